/* SPDX-License-Identifier: Apache-2.0 */
/* kelp healthcheck run */
#include "base/str.h"
#include "cli/verb.h"
#include "container/container.h"
#include "container/health.h"

#include <stdio.h>

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        if (r >= 0)
                r = container_find(d, operands->v[0], &c, reterr);
        if (r >= 0)
                r = container_check_health(d, c, reterr);
        if (r > 0)
                printf("unhealthy\n");
        return r;
}

const struct verb verb_healthcheck_run = {
    .names = {"healthcheck run"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER",
    .summary = "Check the health of a container now",
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_RUNNING},
    .run = run,
};
