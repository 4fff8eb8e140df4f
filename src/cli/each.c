/* SPDX-License-Identifier: Apache-2.0 */
/* each — see each.h. */
#include "cli/each.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/select.h"
#include "cli/verb.h"
#include "container/container.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARALLEL_MAX 64
#define EACH_MISSING 2 /* of one(), and the exit code of its child */

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

int each_inspect(struct cli *cli, const char *verb, const struct strv *names, each_inspect_fn fn,
                 const void *arg, const char *format, struct err **reterr)
{
        AUTO_FREE struct json_object **v = xcalloc(names->n + 1, sizeof(struct json_object *));
        struct dirs *d;
        size_t n = 0;
        int code = 0, r = cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < names->n; i++) {
                AUTO_ERR struct err *err = NULL;

                r = fn(d, names->v[i], arg, &v[n], &err);
                if (r < 0)
                        code = report(cli, verb, r, &err);
                else
                        n++;
        }
        r = n > 0 || !format ? output_inspect(v, n, format, reterr) : 0;
        for (size_t i = 0; i < n; i++)
                json_unref(v[i]);
        return r < 0 ? r : code;
}

struct each {
        struct cli *cli;
        const char *verb;
        const struct strv *names;
        each_fn fn;
        void *arg;
        bool missing_ok, quiet;
};

/* 0, EACH_FAILED when what went wrong has been printed, EACH_MISSING when it is not there and need not be. */
static int one(const struct each *e, const char *name)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *err = NULL;
        int r = container_find(e->cli->dirs, name, &c, &err);

        if (r >= 0)
                r = e->fn(e->cli, c, e->arg, &err);
        if (r < 0 && e->missing_ok && err_kind(err) == ERR_NOT_FOUND)
                return EACH_MISSING;
        return r < 0 ? report(e->cli, e->verb, r, &err) : 0;
}

static void conclude(const struct each *e, int r, const char *name, int *code)
{
        if (r == 0 && !e->quiet)
                printf("%s\n", name);
        else if (r != 0 && r != EACH_MISSING)
                *code = r;
}

/* The data root is open. */
static int one_after_the_other(const struct each *e)
{
        int code = 0;

        for (size_t i = 0; i < e->names->n; i++)
                conclude(e, one(e, e->names->v[i]), e->names->v[i], &code);
        return code;
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

static int in_parallel(const struct each *e)
{
        const struct strv *names = e->names;
        pid_t pids[PARALLEL_MAX];
        size_t started = 0;
        int code = 0;

        if (names->n == 1)
                return one_after_the_other(e);
        fflush(stdout); /* a child must not print what we have buffered */
        for (size_t done = 0; done < names->n; done++) {
                pid_t pid;

                for (; started < names->n && started < done + PARALLEL_MAX; started++) {
                        pid = fork();
                        if (pid == 0)
                                _exit(one(e, names->v[started]));
                        pids[started % PARALLEL_MAX] = pid;
                }
                pid = pids[done % PARALLEL_MAX];
                /* No process to be had: then one after the other. */
                conclude(e, pid < 0 ? one(e, names->v[done]) : reap(pid), names->v[done], &code);
        }
        return code;
}

int each_container(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                   void *arg, struct err **reterr)
{
        const struct each e = {cli, verb, names, fn, arg, false, false};
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        return r < 0 ? r : one_after_the_other(&e);
}

int each_container_parallel(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                            void *arg, struct err **reterr)
{
        const struct each e = {cli, verb, names, fn, arg, false, false};
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        return r < 0 ? r : in_parallel(&e);
}

int each_selected(struct cli *cli, const char *verb, const struct selection *s, each_fn fn,
                  void *arg, bool parallel, struct err **reterr)
{
        const struct each e = {cli, verb, &s->names, fn, arg, s->missing_ok, false};
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        return r < 0 ? r : parallel ? in_parallel(&e) : one_after_the_other(&e);
}

int each_quietly(struct cli *cli, const char *verb, const struct strv *ids, each_fn fn, void *arg,
                 bool parallel)
{
        const struct each e = {cli, verb, ids, fn, arg, true, true};

        return parallel ? in_parallel(&e) : one_after_the_other(&e);
}
