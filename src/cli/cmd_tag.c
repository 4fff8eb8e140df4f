/* SPDX-License-Identifier: Apache-2.0 */
/* kelp tag */
#include "base/err.h"
#include "base/str.h"
#include "cli/verb.h"
#include "image/store.h"

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        for (size_t i = 1; r >= 0 && i < operands->n; i++)
                r = store_tag(d, operands->v[0], operands->v[i], reterr);
        return r < 0 ? r : 0;
}

const struct verb verb_tag = {
    .names = {"tag", "image tag"},
    .group = VERB_GROUP_IMAGE,
    .operands = "IMAGE NAME[:TAG] [NAME[:TAG]...]",
    .summary = "Give an image a further name",
    .min_operands = 2,
    .completes = {COMPLETE_IMAGE, COMPLETE_NONE},
    .run = run,
};
