/* SPDX-License-Identifier: Apache-2.0 */
/* kelp unshare */
#include "base/dirs.h"
#include "base/err.h"
#include "base/process.h"
#include "base/str.h"
#include "cli/verb.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRAM "kelp-monitor"

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO_FREE char *path = process_helper_path(PROGRAM);
        const char *shell = getenv("SHELL");
        AUTO_STRV argv = {0};
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        (void)args;
        if (r < 0)
                return r;
        strv_add(&argv, PROGRAM);
        strv_add(&argv, "unshare");
        strv_add(&argv, d->root);
        for (size_t i = 0; i < operands->n; i++)
                strv_add(&argv, operands->v[i]);
        if (operands->n == 0)
                strv_add(&argv, shell && *shell == '/' ? shell : "/bin/sh");
        (void)signal(SIGPIPE, SIG_DFL); /* the command's as it came to us */
        (void)execv(path, argv.v);
        r = err_sys(reterr, errno, "execute '%s'", path);
        return err_hint(reterr, r,
                        "is Kelp installed completely? KELP_LIBEXEC names the directory "
                        "of its helper programs");
}

const struct verb verb_unshare = {
    .names = {"unshare", "system unshare"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "[COMMAND [ARG...]]",
    .summary = "Run a command as root of your user namespace, with your subordinate ids",
    .details = "Without a command it is $SHELL. Files that containers left with their users' ids "
               "can be changed and removed in there.",
    .options_first = true,
    .completes = {COMPLETE_FILE, COMPLETE_FILE},
    .run = run,
};
