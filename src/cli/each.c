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

static int report(struct cli *cli, const char *verb, int r, struct err **err)
{
        (void)err_wrap(err, r, "%s", verb);
        (void)cli_report(cli, err);
        return EACH_FAILED;
}

int each_name(struct cli *cli, const char *verb, const struct strv *names, each_name_fn fn,
              const void *arg, struct err **reterr)
{
        struct dirs *d;
        int code = 0, r = cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < names->n; i++) {
                AUTO_ERR struct err *err = NULL;

                r = fn(d, names->v[i], arg, &err);
                if (r < 0)
                        code = report(cli, verb, r, &err);
        }
        return code;
}

/* 0 or EACH_FAILED; what went wrong has been printed. */
static int one(struct cli *cli, const char *verb, const char *name, each_fn fn, void *arg)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *err = NULL;
        int r = container_find(cli->dirs, name, &c, &err);

        if (r >= 0)
                r = fn(cli, c, arg, &err);
        return r < 0 ? report(cli, verb, r, &err) : 0;
}

/* The data root is open. */
static int one_after_the_other(struct cli *cli, const char *verb, const struct strv *names,
                               each_fn fn, void *arg)
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

int each_container(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                   void *arg, struct err **reterr)
{
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        return r < 0 ? r : one_after_the_other(cli, verb, names, fn, arg);
}

/* 0 when the child did its work, else its exit code. */
static int reap(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0) {
                if (errno != EINTR)
                        return EACH_FAILED;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : EACH_FAILED;
}

int each_container_parallel(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                            void *arg, struct err **reterr)
{
        pid_t pids[PARALLEL_MAX];
        size_t started = 0;
        struct dirs *d;
        int code = 0, opened = cli_dirs(cli, &d, reterr);

        if (opened < 0)
                return opened;
        if (names->n == 1)
                return one_after_the_other(cli, verb, names, fn, arg);
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
