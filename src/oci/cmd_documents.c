/* SPDX-License-Identifier: Apache-2.0 */
/* spec, features: documents that need no container. */
#include "base/json.h"
#include "base/opt.h"
#include "oci/documents.h"
#include "oci/oci.h"

#include <stddef.h>
#include <unistd.h>

struct spec_args {
        char *bundle;
        bool rootless;
};
static const struct opt spec_opts[] = {
    {"bundle", 'b', OPT_STRING, offsetof(struct spec_args, bundle), "DIR",
     "where to write it (default: the current directory)"},
    {"rootless", 0, OPT_BOOL, offsetof(struct spec_args, rootless), NULL,
     "for an ordinary user: with a user namespace"},
    {0}};
static const struct opt_section spec_sections[] = {{spec_opts, NULL, 0, false}, {0}};

static int run_spec(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        const struct spec_args *a = args;

        return oci_write_default_config(a->bundle ? a->bundle : ".", a->rootless, reterr);
}

static int run_features(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO_JSON *features = oci_features();

        return oci_print_json(features, reterr);
}

const struct oci_command oci_cmd_spec = {
    .name = "spec",
    .operands = "",
    .help = "write a config.json to begin with",
    .sections = spec_sections,
    .args_size = sizeof(struct spec_args),
    .run = run_spec,
};
const struct oci_command oci_cmd_features = {
    .name = "features",
    .operands = "",
    .help = "print what this runtime can do",
    .run = run_features,
};
