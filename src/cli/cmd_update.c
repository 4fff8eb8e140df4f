/* SPDX-License-Identifier: Apache-2.0 */
/* kelp update */
#include "base/err.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/verb.h"
#include "container/container.h"
#include "container/update.h"
#include "spec/restart_policy.h"

struct update_args {
        char *restart;
};
static const struct opt opts[] = {
    {"restart", 0, OPT_STRING, offsetof(struct update_args, restart), "POLICY",
     "Start it again when it ends: no, on-failure[:N], always, unless-stopped",
     .values = "no on-failure always unless-stopped"},
    {0},
};
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int update_one(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        return container_update(cli->dirs, c, arg, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct update_args *a = args;
        struct restart_policy policy;
        int r;

        if (!a->restart) {
                r = err_new(reterr, ERR_USAGE, "nothing to change is named");
                return err_hint(reterr, r, "this version changes the restart policy: --restart");
        }
        r = restart_policy_parse(a->restart, &policy, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "option '--restart'");
        return each_container(cli, "update", operands, update_one, &policy, reterr);
}

const struct verb verb_update = {
    .names = {"update", "container update"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER [CONTAINER...]",
    .summary = "Change containers that exist: their restart policy",
    .sections = sections,
    .args_size = sizeof(struct update_args),
    .min_operands = 1,
    .completes = {COMPLETE_CONTAINER},
    .run = run,
};
