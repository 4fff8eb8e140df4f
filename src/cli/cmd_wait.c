/* SPDX-License-Identifier: Apache-2.0 */
/* kelp wait */
#include "base/err.h"
#include "base/str.h"
#include "cli/verb.h"
#include "container/container.h"

#include <stdio.h>

/* The exit code of our own; errors have been printed. */
static int wait_one(struct cli *cli, const char *name)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *err = NULL;
        struct dirs *d;
        int r = cli_dirs(cli, &d, &err);

        if (r >= 0)
                r = container_find(d, name, &c, &err);
        if (r >= 0)
                r = container_wait(d, c, false, &err);
        if (r < 0) {
                (void)err_wrap(&err, r, "wait");
                return cli_report(cli, &err);
        }
        printf("%d\n", r);
        fflush(stdout); /* a script reads the first while the second still runs */
        return 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        int code = 0;

        for (size_t i = 0; i < operands->n; i++) {
                int r = wait_one(cli, operands->v[i]);

                if (r)
                        code = r;
        }
        return code;
}

const struct verb verb_wait = {
    .names = {"wait", "container wait"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER [CONTAINER...]",
    .summary = "Wait until containers end, and print their exit codes",
    .min_operands = 1,
    .run = run,
};
