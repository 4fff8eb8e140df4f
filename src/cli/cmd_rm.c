/* SPDX-License-Identifier: Apache-2.0 */
/* kelp rm */
#include "base/err.h"
#include "cli/each.h"
#include "cli/select.h"
#include "cli/verb.h"
#include "container/container.h"

#include <stdio.h>

struct rm_args {
        bool force, volumes;
        int64_t time;
        struct select_args select;
};
#define F(f) offsetof(struct rm_args, f)
static const struct opt opts[] = {
    {"force", 'f', OPT_BOOL, F(force), NULL,
     "Stop a running one first; one that is not there is no error"},
    {"volumes", 'v', OPT_BOOL, F(volumes), NULL, "Remove its anonymous volumes too"},
    {"time", 't', OPT_I64, F(time), "SECONDS", "With --force: wait so long before killing (0)"},
    {0},
};
static const struct opt_section sections[] = {
    {opts, NULL, 0, false},
    {select_opts, "Choice", F(select), false},
    {select_ignore_opts, "Choice, continued", F(select), false},
    {0},
};
#undef F

static int remove_one(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        const struct rm_args *a = arg;
        struct container_remove_opts o = {
            .force = a->force, .volumes = a->volumes, .timeout_s = a->time};

        return container_remove(cli->dirs, c, &o, reterr);
}

/* With --force also what cannot be read any more. */
static int remove_damaged(struct cli *cli, const struct strv *operands, struct err **reterr)
{
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        for (size_t i = 0; r >= 0 && i < operands->n; i++) {
                r = container_remove_damaged(d, operands->v[i], reterr);
                if (r > 0)
                        puts(operands->v[i]);
        }
        return r;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct rm_args *a = args;
        AUTO(selection_release) struct selection s = {0};
        int r = a->force ? remove_damaged(cli, operands, reterr) : 0;

        if (r >= 0)
                r = select_containers(cli, &a->select, operands, SELECT_ANY, &s, reterr);

        s.missing_ok = s.missing_ok || a->force;
        return r < 0 ? r : each_selected(cli, "rm", &s, remove_one, args, false, reterr);
}

const struct verb verb_rm = {
    .names = {"rm", "container rm", "container remove"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER...]",
    .summary = "Remove containers",
    .sections = sections,
    .args_size = sizeof(struct rm_args),
    .completes = {COMPLETE_CONTAINER},
    .run = run,
};
