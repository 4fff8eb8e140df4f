/* SPDX-License-Identifier: Apache-2.0 */
/* gpus — --gpus: Docker's way to name graphics processors, as devices of the Container Device Interface. */
#include "base/err.h"
#include "base/parse.h"
#include "cli/run_opts.h"
#include "spec/options.h"

#include <string.h>

#define KIND    "nvidia.com/gpu="
#define MAX_GPU 64

static int unsupported(const char *value, const char *part, struct err **reterr)
{
        int r = err_new(reterr, ERR_UNSUPPORTED, "option '--gpus %s': '%s' cannot be chosen", value,
                        part);

        return err_hint(reterr, r,
                        "the device's specification in /etc/cdi says what a container gets; "
                        "--gpus all, N and device=ID choose among the devices");
}

static void add_devices(struct run_options *o, const char *ids)
{
        AUTO_STRV list = {0};

        strv_split(&list, ids, ',');
        for (size_t i = 0; i < list.n; i++)
                strv_addf(&o->devices, KIND "%s", list.v[i]);
}

static int add_count(struct run_options *o, const char *value, const char *text,
                     struct err **reterr)
{
        uint32_t n;

        if (strcmp(text, "all") == 0 || strcmp(text, "-1") == 0) {
                strv_add(&o->devices, KIND "all");
                return 0;
        }
        if (parse_u32(text, &n) < 0 || n > MAX_GPU)
                return err_new(reterr, ERR_USAGE,
                               "option '--gpus %s': '%s' is not all, a number or device=ID", value,
                               text);
        for (uint32_t i = 0; i < n; i++)
                strv_addf(&o->devices, KIND "%u", i);
        return 0;
}

int run_opts_take_gpus(void *field, const char *value, struct err **reterr)
{
        struct run_options *o = field;
        AUTO_STRV parts = {0};
        int r = run_csv_split("option --gpus", value, &parts, reterr);

        for (size_t i = 0; i < parts.n && r >= 0; i++) {
                const char *part = parts.v[i], *equals = strchr(part, '=');

                if (!equals || str_starts(part, "count="))
                        r = add_count(o, value, equals ? equals + 1 : part, reterr);
                else if (str_starts(part, "device=") && equals[1])
                        add_devices(o, equals + 1);
                else if (strcmp(part, "driver=nvidia") != 0 && strcmp(part, "driver=cdi") != 0 &&
                         strcmp(part, "capabilities=gpu") != 0)
                        r = unsupported(value, part, reterr);
        }
        return r;
}
