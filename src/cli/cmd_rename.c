/* SPDX-License-Identifier: Apache-2.0 */
/* kelp rename */
#include "cli/verb.h"
#include "container/container.h"

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        if (r >= 0)
                r = container_find(d, operands->v[0], &c, reterr);
        if (r >= 0)
                r = container_rename(d, c, operands->v[1], reterr);
        return r < 0 ? r : 0;
}

const struct verb verb_rename = {
    .names = {"rename", "container rename"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER NEW_NAME",
    .completes = {COMPLETE_CONTAINER},
    .summary = "Give a container another name",
    .min_operands = 2,
    .max_operands = 2,
    .run = run,
};
