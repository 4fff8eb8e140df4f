/* SPDX-License-Identifier: Apache-2.0 */
/* kelp version */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/host.h"
#include "cli/output.h"
#include "cli/verb.h"

#include "config.h"

#include <string.h>

struct version_args {
        char *format;
};
static const struct opt opts[] = {
    {"format", 'f', OPT_STRING, offsetof(struct version_args, format), "FORMAT",
     "json or TEMPLATE"},
    {0},
};
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static struct json_object *component(const struct host *h)
{
        struct json_object *o = json_object_new_object();

        json_add_string(o, "Name", "Kelp");
        json_add_string(o, "Version", KELP_VERSION);
        json_add_string(o, "Os", "linux");
        json_add_string(o, "Arch", h->go_arch);
        json_add_string(o, "KernelVersion", h->kernel);
        return o;
}

/* There is no server: the engine is this program, and both of Docker's names lead to it. */
static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct version_args *a = args;
        AUTO_JSON *o = json_object_new_object();
        struct host h;

        host_get(&h);
        json_object_object_add(o, "Client", component(&h));
        json_object_object_add(o, "Server", component(&h));
        if (str_empty(a->format))
                return output_printf(reterr,
                                     "Kelp\n Version:  %s\n Kernel:   %s\n OS/Arch:  linux/%s\n",
                                     KELP_VERSION, h.kernel, h.go_arch);
        return output_inspect(&o, 1, a->format, reterr);
}

const struct verb verb_version = {
    .names = {"version"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "Show the version",
    .sections = sections,
    .args_size = sizeof(struct version_args),
    .run = run,
};
