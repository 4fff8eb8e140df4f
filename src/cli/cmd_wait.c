/* SPDX-License-Identifier: Apache-2.0 */
/* kelp wait */
#include "cli/each.h"
#include "cli/verb.h"
#include "container/container.h"

#include <stdio.h>

static int wait_one(struct dirs *d, const char *name, const void *arg, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        int r = container_find(d, name, &c, reterr);

        if (r >= 0)
                r = container_wait(d, c, false, reterr);
        if (r < 0)
                return r;
        printf("%d\n", r);
        fflush(stdout); /* a script reads the first while the second still runs */
        return 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        return each_name(cli, "wait", operands, wait_one, args, reterr);
}

const struct verb verb_wait = {
    .names = {"wait", "container wait"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER [CONTAINER...]",
    .summary = "Wait until containers end, and print their exit codes",
    .min_operands = 1,
    .completes = {COMPLETE_CONTAINER},
    .run = run,
};
