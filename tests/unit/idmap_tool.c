/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap_tool — drives idmap/ from the integration tests (tests/integration/test_idmap.py) without the rest of Kelp.
 *
 *   idmap_tool info              opens U: tier, why, remedy, maps and the runtime directory as JSON
 *   idmap_tool enter PROGRAM …   enters U and executes
 *   idmap_tool child USERNS PROGRAM …   as a container: a namespace C below U, then executes
 *   idmap_tool stop              ends the holder
 *   idmap_tool bench N           microseconds of one open and of one enter, in the mean of N
 *   idmap_tool cold N            milliseconds of one open without a holder, likewise
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/sys.h"
#include "idmap/idmap.h"

static int show(const struct dirs *dirs, struct err **reterr)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        AUTO_JSON *o = json_object_new_object();
        int r = idmap_userns_open(dirs, &u, reterr);

        if (r < 0)
                return r;
        json_add_string(o, "tier", idmap_tier_name(u->tier));
        json_add_string(o, "why", u->why);
        json_add_string(o, "remedy", u->remedy);
        json_object_object_add(o, "uidMap", id_map_to_json(&u->uid));
        json_object_object_add(o, "gidMap", id_map_to_json(&u->gid));
        json_add_string(o, "runtime", dirs->runtime);
        (void)puts(json_object_to_json_string(o));
        return 0;
}

static int open_and_enter(const struct dirs *dirs, struct err **reterr)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        int r = idmap_userns_open(dirs, &u, reterr);

        return r < 0 ? r : idmap_userns_enter(u, reterr);
}

static int enter(const struct dirs *dirs, char **argv, struct err **reterr)
{
        int r = open_and_enter(dirs, reterr);

        if (r < 0)
                return r;
        (void)execvp(argv[0], argv);
        return err_sys(reterr, errno, "execute '%s'", argv[0]);
}

static int run_below(char **argv, const struct id_map *uid, const struct id_map *gid,
                     struct err **reterr)
{
        int go[2], ready[2], r, status = 0;
        char c;
        pid_t pid;

        if (fd_pipe(go, reterr) < 0 || fd_pipe(ready, reterr) < 0)
                return -EMFILE;
        pid = fork();
        if (pid == 0) {
                if (sys_unshare(CLONE_NEWUSER) < 0 || write(ready[1], "r", 1) != 1 ||
                    read(go[0], &c, 1) != 1)
                        _exit(125);
                (void)execvp(argv[0], argv);
                _exit(127);
        }
        if (read(ready[0], &c, 1) != 1)
                return err_sys(reterr, EIO, "start the child");
        r = idmap_write(pid, uid, gid, reterr);
        if (r == 0 && write(go[1], "g", 1) != 1)
                r = -EIO;
        if (r < 0)
                (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        return r < 0 ? r : WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

static int child(const struct dirs *dirs, const char *userns, char **argv, struct err **reterr)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        AUTO(idmap_request_release) struct idmap_request req = {0};
        AUTO(id_map_release) struct id_map uid = {0};
        AUTO(id_map_release) struct id_map gid = {0};
        uid_t caller_uid = geteuid();
        gid_t caller_gid = getegid();
        int r = idmap_request_parse(userns, NULL, NULL, &req, reterr);

        if (r == 0)
                r = idmap_userns_open(dirs, &u, reterr);
        if (r == 0)
                r = idmap_plan(&req, u, caller_uid, caller_gid, &uid, &gid, reterr);
        if (r == 0)
                r = idmap_userns_enter(u, reterr);
        return r < 0 ? r : run_below(argv, &uid, &gid, reterr);
}

/* One process can enter once only: each round is a child. */
static int64_t bench_enter(const struct dirs *dirs, struct err **reterr)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        AUTO_CLOSE int in = -EBADF;
        int pipe_fds[2];
        int64_t spent = -1;
        pid_t pid;

        if (idmap_userns_open(dirs, &u, reterr) < 0 || fd_pipe(pipe_fds, reterr) < 0)
                return -1;
        in = pipe_fds[0];
        pid = fork();
        if (pid == 0) {
                int64_t start = clock_monotonic_ns();

                if (idmap_userns_enter(u, NULL) == 0)
                        spent = clock_monotonic_ns() - start;
                _exit(write(pipe_fds[1], &spent, sizeof(spent)) != sizeof(spent));
        }
        (void)fd_close(pipe_fds[1]);
        (void)waitpid(pid, NULL, 0);
        return read(in, &spent, sizeof(spent)) == sizeof(spent) ? spent : -1;
}

static int bench(const struct dirs *dirs, uint32_t n, struct err **reterr)
{
        int64_t start = clock_monotonic_ns(), entered = 0;

        for (uint32_t i = 0; i < n; i++) {
                AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
                int r = idmap_userns_open(dirs, &u, reterr);

                if (r < 0)
                        return r;
        }
        start = clock_monotonic_ns() - start;
        for (uint32_t i = 0; i < n; i++)
                entered += bench_enter(dirs, reterr);
        (void)printf("open %.1f us, enter %.1f us\n", (double)start / n / 1000,
                     (double)entered / n / 1000);
        return 0;
}

static int cold(const struct dirs *dirs, uint32_t n, struct err **reterr)
{
        int64_t spent = 0;

        for (uint32_t i = 0; i < n; i++) {
                AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
                int r = idmap_holder_stop(dirs, reterr);
                int64_t start = clock_monotonic_ns();

                if (r == 0)
                        r = idmap_userns_open(dirs, &u, reterr);
                if (r < 0)
                        return r;
                spent += clock_monotonic_ns() - start;
        }
        (void)printf("cold open %.1f ms\n", (double)spent / n / 1000000);
        return 0;
}

static int run(int argc, char **argv, struct err **reterr)
{
        AUTO(dirs_freep) struct dirs *dirs = NULL;
        uint32_t n;
        int r = dirs_open(NULL, &dirs, reterr);

        if (r < 0)
                return r;
        if (argc == 2 && strcmp(argv[1], "info") == 0)
                return show(dirs, reterr);
        if (argc == 2 && strcmp(argv[1], "stop") == 0)
                return idmap_holder_stop(dirs, reterr);
        if (argc > 2 && strcmp(argv[1], "enter") == 0)
                return enter(dirs, argv + 2, reterr);
        if (argc > 3 && strcmp(argv[1], "child") == 0)
                return child(dirs, argv[2], argv + 3, reterr);
        if (argc == 3 && strcmp(argv[1], "bench") == 0 && parse_u32(argv[2], &n) == 0 && n > 0)
                return bench(dirs, n, reterr);
        if (argc == 3 && strcmp(argv[1], "cold") == 0 && parse_u32(argv[2], &n) == 0 && n > 0)
                return cold(dirs, n, reterr);
        return err_new(reterr, ERR_USAGE,
                       "info, stop, enter PROGRAM, child USERNS PROGRAM, bench N or cold N");
}

int main(int argc, char **argv)
{
        AUTO_ERR struct err *err = NULL;
        int r = run(argc, argv, &err);

        if (r >= 0)
                return r;
        err_print(err, stderr, "idmap_tool", 0);
        return err_exit_code(err);
}
