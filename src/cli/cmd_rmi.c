/* SPDX-License-Identifier: Apache-2.0 */
/* kelp rmi */
#include "base/err.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/verb.h"
#include "image/store.h"

#include <stdio.h>

struct rmi_args {
        bool force, no_prune;
};
#define F(f) offsetof(struct rmi_args, f)
static const struct opt opts[] = {
    {"force", 'f', OPT_BOOL, F(force), NULL,
     "Also with several names or stopped containers; one that is not there is no error"},
    {"no-prune", 0, OPT_BOOL, F(no_prune), NULL,
     "Keep nameless parents (Kelp never has any: always so)"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int remove_one(struct dirs *d, const char *name, const void *arg, struct err **reterr)
{
        const struct rmi_args *a = arg;
        struct store_remove_opts o = {.force = a->force, .no_prune = a->no_prune};
        AUTO_ERR struct err *err = NULL;
        AUTO_STRV report = {0};
        int r = store_remove(d, name, &o, &report, &err);

        for (size_t i = 0; i < report.n; i++)
                printf("%s\n", report.v[i]);
        if (r >= 0 || (a->force && err_kind(err) == ERR_NOT_FOUND))
                return 0;
        return err_move(reterr, r, &err);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        return each_name(cli, "rmi", operands, remove_one, args, reterr);
}

const struct verb verb_rmi = {
    .names = {"rmi", "image rm", "image remove"},
    .group = VERB_GROUP_IMAGE,
    .operands = "IMAGE [IMAGE...]",
    .summary = "Remove names of images, and images with their last name",
    .sections = sections,
    .args_size = sizeof(struct rmi_args),
    .min_operands = 1,
    .completes = {COMPLETE_IMAGE},
    .run = run,
};
