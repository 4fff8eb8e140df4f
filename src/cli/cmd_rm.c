/* SPDX-License-Identifier: Apache-2.0 */
/* kelp rm */
#include "base/err.h"
#include "cli/each.h"
#include "cli/verb.h"
#include "container/container.h"

#include <stdio.h>

struct rm_args {
        bool force, volumes;
        int64_t time;
};
#define F(f) offsetof(struct rm_args, f)
static const struct opt opts[] = {
    {"force", 'f', OPT_BOOL, F(force), NULL,
     "Stop a running one first; one that is not there is no error"},
    {"volumes", 'v', OPT_BOOL, F(volumes), NULL, "Remove its anonymous volumes too"},
    {"time", 't', OPT_I64, F(time), "SECONDS", "With --force: wait so long before killing (0)"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int remove_one(struct dirs *d, const char *name, const void *arg, struct err **reterr)
{
        const struct rm_args *a = arg;
        struct container_remove_opts o = {
            .force = a->force, .volumes = a->volumes, .timeout_s = a->time};
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *err = NULL;
        int r = container_find(d, name, &c, &err);

        if (r < 0 && a->force && err_kind(err) == ERR_NOT_FOUND)
                return 0;
        if (r >= 0)
                r = container_remove(d, c, &o, &err);
        if (r < 0)
                return err_move(reterr, r, &err);
        printf("%s\n", name);
        return 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        return each_name(cli, "rm", operands, remove_one, args, reterr);
}

const struct verb verb_rm = {
    .names = {"rm", "container rm", "container remove"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER [CONTAINER...]",
    .summary = "Remove containers",
    .sections = sections,
    .args_size = sizeof(struct rm_args),
    .min_operands = 1,
    .completes = {COMPLETE_CONTAINER},
    .run = run,
};
