/* SPDX-License-Identifier: Apache-2.0 */
/* kelp volume create, inspect, rm, exists */
#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/volumes.h"
#include "volume/volume.h"

#include <stdio.h>
#include <string.h>

/* ---- create ---- */

struct create_args {
        char *driver, *name;
        struct strv labels, options;
        bool ignore;
};
#define F(f) offsetof(struct create_args, f)
static const struct opt create_opts[] = {
    {"driver", 'd', OPT_STRING, F(driver), "DRIVER", "local, the only one there is"},
    {"label", 'l', OPT_STRV, F(labels), "KEY=VALUE", "Label of the volume"},
    {"opt", 'o', OPT_STRV, F(options), "KEY=VALUE",
     "type=none with o=bind and device=DIR, or type=tmpfs with o=size=…"},
    {"name", 0, OPT_STRING, F(name), "NAME", "Its name; the argument says the same"},
    {"ignore", 0, OPT_BOOL, F(ignore), NULL, "One that exists is no error (it never is)"},
    {0},
};
#undef F
static const struct opt_section create_sections[] = {{create_opts, NULL, 0, false}, {0}};

static int create(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct create_args *a = args;
        const char *operand = operands->n > 0 ? operands->v[0] : NULL;
        struct volume_create_opts o = {.name = operand ? operand : a->name,
                                       .driver = a->driver,
                                       .labels = &a->labels,
                                       .options = &a->options};
        AUTO_FREE char *name = NULL;
        struct dirs *d;
        int r;

        if (operand && a->name)
                return err_new(reterr, ERR_USAGE,
                               "volume create: '%s' and --name '%s' are two names", operand,
                               a->name);
        if ((r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = volume_create(d, &o, &name, NULL, reterr)) < 0)
                return r;
        return output_printf(reterr, "%s\n", name);
}

const struct verb verb_volume_create = {
    .names = {"volume create"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "[VOLUME]",
    .summary = "Create a volume",
    .details = "Without a name it gets one of 64 digits. A volume of that name that is there\n"
               "already is left as it is.",
    .sections = create_sections,
    .args_size = sizeof(struct create_args),
    .max_operands = 1,
    .completes = {COMPLETE_NONE},
    .run = create,
};

/* ---- inspect ---- */

struct inspect_args {
        char *format;
};
static const struct opt inspect_opts[] = {
    {"format", 'f', OPT_STRING, offsetof(struct inspect_args, format), "FORMAT",
     "json or TEMPLATE"},
    {0},
};
static const struct opt_section inspect_sections[] = {{inspect_opts, NULL, 0, false}, {0}};

static int inspect_one(const struct dirs *d, const char *name, const void *arg,
                       struct json_object **ret, struct err **reterr)
{
        AUTO(volume_freep) struct volume *v = NULL;
        int r = volume_load(d, name, &v, reterr);

        if (r >= 0)
                *ret = volume_inspect(d, v);
        return r;
}

static int inspect(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct inspect_args *a = args;

        return each_inspect(cli, "volume inspect", operands, inspect_one, a, a->format, reterr);
}

const struct verb verb_volume_inspect = {
    .names = {"volume inspect"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "VOLUME [VOLUME...]",
    .summary = "Show everything about volumes as JSON",
    .sections = inspect_sections,
    .args_size = sizeof(struct inspect_args),
    .min_operands = 1,
    .completes = {COMPLETE_VOLUME},
    .run = inspect,
};

/* ---- rm ---- */

struct rm_args {
        bool force;
};
static const struct opt rm_opts[] = {
    {"force", 'f', OPT_BOOL, offsetof(struct rm_args, force), NULL,
     "One that is not there is no error; one that is in use stays"},
    {0},
};
static const struct opt_section rm_sections[] = {{rm_opts, NULL, 0, false}, {0}};

static int remove_one(struct dirs *d, const char *name, const void *arg, struct err **reterr)
{
        const struct rm_args *a = arg;
        AUTO_ERR struct err *e = NULL;
        int r = volumes_remove(d, name, &e);

        if (r < 0 && !(a->force && err_kind(e) == ERR_NOT_FOUND))
                return err_move(reterr, r, &e);
        printf("%s\n", name);
        return 0;
}

static int rm(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        return each_name(cli, "volume rm", operands, remove_one, args, reterr);
}

const struct verb verb_volume_rm = {
    .names = {"volume rm", "volume remove"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "VOLUME [VOLUME...]",
    .summary = "Remove volumes that no container has",
    .sections = rm_sections,
    .args_size = sizeof(struct rm_args),
    .min_operands = 1,
    .completes = {COMPLETE_VOLUME},
    .run = rm,
};

/* ---- exists ---- */

static int exists(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const char *name = operands->v[0];
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        (void)args;
        if (r < 0)
                return r;
        return volume_check_name(name, NULL) >= 0 && volume_exists(d, name) ? 0 : 1;
}

const struct verb verb_volume_exists = {
    .names = {"volume exists"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "VOLUME",
    .summary = "Exit with 0 if the volume exists, with 1 if not",
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_VOLUME},
    .run = exists,
};
