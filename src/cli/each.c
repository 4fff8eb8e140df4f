/* SPDX-License-Identifier: Apache-2.0 */
/* each — see each.h. */
#include "cli/each.h"

#include "base/err.h"
#include "base/str.h"
#include "cli/verb.h"
#include "container/container.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARALLEL_MAX 64

/* The exit code; what went wrong has been printed. */
static int one(struct cli *cli, const char *verb, const char *name, each_fn fn, void *arg)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *err = NULL;
        struct dirs *d;
        int r = cli_dirs(cli, &d, &err);

        if (r >= 0)
                r = container_find(d, name, &c, &err);
        if (r >= 0)
                r = fn(cli, c, arg, &err);
        if (r >= 0)
                return 0;
        (void)err_wrap(&err, r, "%s", verb);
        return cli_report(cli, &err);
}

int each_container(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                   void *arg)
{
        int code = 0;

        for (size_t i = 0; i < names->n; i++) {
                int r = one(cli, verb, names->v[i], fn, arg);

                if (r == 0)
                        printf("%s\n", names->v[i]);
                else
                        code = r;
        }
        return code;
}

/* 0 when the child did its work, else its exit code. */
static int reap(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0) {
                if (errno != EINTR)
                        return 125;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

int each_container_parallel(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                            void *arg)
{
        pid_t pids[PARALLEL_MAX];
        size_t started = 0;
        int code = 0;

        if (names->n == 1)
                return each_container(cli, verb, names, fn, arg);
        fflush(stdout); /* a child must not print what we have buffered */
        for (size_t done = 0; done < names->n; done++) {
                int r;

                for (; started < names->n && started < done + PARALLEL_MAX; started++) {
                        pid_t pid = fork();

                        if (pid == 0)
                                _exit(one(cli, verb, names->v[started], fn, arg));
                        pids[started % PARALLEL_MAX] = pid;
                }
                /* No process to be had: then one after the other. */
                if (pids[done % PARALLEL_MAX] < 0)
                        r = one(cli, verb, names->v[done], fn, arg);
                else
                        r = reap(pids[done % PARALLEL_MAX]);
                if (r == 0)
                        printf("%s\n", names->v[done]);
                else
                        code = r;
        }
        return code;
}
