/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 *   look    holder.json names a process; it is checked, its namespace opened, the file touched. No lock, nothing executed.
 *   start   only when that fails: under holder.lock (so that many starters make one holder), look once more, then run
 *           kelp-userns, which inherits the lock's descriptor: the lock holds until the helper is done even when we are killed.
 *
 * A holder may end between our look and our opening its namespace; then it is as if there had been none. Once the namespace's
 * descriptor is open, the holder no longer matters.
 */
#include "idmap/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "idmap/holder.h"
#include "idmap/idmap_internal.h"

/* A holder with one id is made anew after so long: its cause (a directory service that was down) may be gone. */
#define RETRY_ONE_NS 60000000000LL
#define STOP_WAIT_MS 5000
#define START_AGAIN  3

struct idmap_userns *idmap_userns_free(struct idmap_userns *u)
{
        if (!u)
                return NULL;
        (void)fd_close(u->fd);
        id_map_release(&u->uid);
        id_map_release(&u->gid);
        free(u->why);
        free(u->remedy);
        free(u);
        return NULL;
}

/* ---- look ---- */

/*
 * Is U still what this caller would get? Another primary group (newgrp) does not matter while U has many ids, since entering sets
 * ours to U's group 0; but it is why a one-id holder cannot be shared.
 */
static bool is_current(const struct holder_record *rec)
{
        AUTO_FREE char *ns = holder_ns_name(AT_FDCWD, "/proc/self/ns/user");
        AUTO_FREE char *identity = NULL;

        if (rec->uid != geteuid() || !ns || strcmp(ns, rec->parent_ns) != 0)
                return false;
        if (rec->tier == IDMAP_TIER_ONE &&
            (rec->gid != getegid() || clock_monotonic_ns() - (int64_t)rec->made > RETRY_ONE_NS))
                return false;
        identity = holder_identity(rec->tier);
        return strcmp(identity, rec->identity) == 0;
}

static int look(const struct dirs *dirs, struct idmap_userns **ret, struct err **reterr)
{
        AUTO(holder_record_release) struct holder_record rec = {0};
        AUTO_CLOSE int file = -EBADF, ns = -EBADF;
        struct idmap_userns *u;
        int r;

        r = holder_record_read(dirs->runtime_fd, &rec, &file, reterr);
        if (r < 0)
                return r;
        if (!is_current(&rec))
                return err_new(reterr, ERR_NOT_FOUND,
                               "the holder's ranges are not the present ones");
        ns = holder_open_ns(&rec, reterr);
        if (ns < 0)
                return ns;
        /* Tells the holder that it is in use. Failing costs no more than another start after the idle time. */
        (void)futimens(file, NULL);
        u = xnew(struct idmap_userns);
        u->fd = TAKE_FD(ns);
        u->tier = rec.tier;
        u->uid = rec.uid_map;
        u->gid = rec.gid_map;
        u->why = TAKE_PTR(rec.why);
        u->remedy = TAKE_PTR(rec.remedy);
        rec.uid_map = rec.gid_map = (struct id_map){0};
        *ret = u;
        return 0;
}

/* ---- inside ---- */

char *idmap_inside_mark(struct err **reterr)
{
        char *name = holder_ns_name(AT_FDCWD, "/proc/self/ns/user");

        if (!name)
                (void)err_sys(reterr, errno, "look at our user namespace");
        return name;
}

static int read_own_map(const char *path, struct id_map *ret, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        int r = io_read_file(AT_FDCWD, path, HOLDER_FILE_MAX, &text, NULL, reterr);

        return r < 0 ? r : id_map_parse(text, ret, reterr);
}

/* In `kelp unshare` the namespace is there as long as we are, holder or none. Read from inside, its maps lead to the caller's namespace. */
static bool look_around(struct idmap_userns **ret)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        const char *mark = getenv(IDMAP_INSIDE_ENV);
        AUTO_FREE char *here = mark ? idmap_inside_mark(NULL) : NULL;

        /* A mark that was handed on to another namespace, a container's say, means nothing there. */
        if (!here || strcmp(here, mark) != 0)
                return false;
        u = xnew(struct idmap_userns);
        u->inside = true;
        u->fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
        if (u->fd < 0 || read_own_map("/proc/self/uid_map", &u->uid, NULL) < 0 ||
            read_own_map("/proc/self/gid_map", &u->gid, NULL) < 0)
                return false;
        u->tier = idmap_tier_of(&u->uid, &u->gid);
        *ret = TAKE_PTR(u);
        return true;
}

/* ---- start ---- */

/* What the helper needs, and no more: its environment stays readable as long as the holder lives. */
static void helper_environment(struct strv *env)
{
        static const char *const kept[] = {"PATH=",
                                           "KELP_",
                                           "LD_",
                                           "ASAN_OPTIONS=",
                                           "LSAN_OPTIONS=",
                                           "UBSAN_OPTIONS=",
                                           "LLVM_PROFILE_FILE="};

        strv_add(env, "LC_ALL=C");
        for (char **e = environ; *e; e++)
                for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
                        if (str_starts(*e, kept[i]))
                                strv_add(env, *e);
}

/* The helper's output is empty, or its error as JSON. */
static int helper_verdict(const char *text, size_t n, int status, struct err **reterr)
{
        AUTO_JSON *obj = NULL;

        if (status == 0)
                return 0;
        if (n > 0) {
                int r = json_parse(text, n, HOLDER_PROGRAM, &obj, reterr);

                return r < 0 ? r : err_decode(reterr, obj);
        }
        if (status == 128 + SIGALRM)
                return err_hint(
                    reterr, err_new(reterr, ERR_REMOTE, "%s took too long", HOLDER_PROGRAM),
                    "is the source of subordinate ids in /etc/nsswitch.conf reachable?");
        return err_new(reterr, ERR_REMOTE, "%s ended with code %d", HOLDER_PROGRAM, status);
}

static int run_helper(const struct dirs *dirs, int lock, struct err **reterr)
{
        AUTO_FREE char *path = process_helper_path(HOLDER_PROGRAM);
        char *argv[] = {(char[]){HOLDER_PROGRAM}, NULL};
        AUTO_STRV env = {0};
        int out[2] = {-EBADF, -EBADF};
        AUTO_CLOSE int in = -EBADF, pidfd = -EBADF;
        AUTO_FREE char *text = NULL;
        size_t n = 0;
        int r, status;

        helper_environment(&env);
        r = fd_pipe(out, reterr);
        if (r < 0)
                return r;
        in = out[0];
        r = process_spawn(
            &(struct process_spawn_opts){
                .path = path,
                .argv = argv,
                .envp = env.v,
                .fds = (int[]){-EBADF, out[1], STDERR_FILENO, lock, dirs->runtime_fd},
                .n_fds = HOLDER_FD_COUNT,
                .reset_signals = true,
            },
            NULL, &pidfd, reterr);
        (void)fd_close(out[1]);
        if (r < 0)
                return err_hint(reterr, r,
                                "is Kelp installed completely? KELP_LIBEXEC names the "
                                "directory of its helper programs");
        r = io_read_fd(in, HOLDER_PROGRAM, HOLDER_FILE_MAX, &text, &n, reterr);
        status = process_wait(pidfd, r < 0 ? NULL : reterr);
        if (r < 0 || status < 0)
                return r < 0 ? r : status;
        return helper_verdict(text, n, status, reterr);
}

static int start(const struct dirs *dirs, struct idmap_userns **ret, struct err **reterr)
{
        AUTO_CLOSE int lock = -EBADF;
        AUTO_ERR struct err *why = NULL;
        int r;

        lock = lock_acquire(dirs->runtime_fd, HOLDER_LOCK, true, reterr);
        if (lock < 0)
                return lock;
        if (look(dirs, ret, &why) == 0)
                return 0;
        log_debug("no usable namespace holder: %s", err_message(why));
        r = run_helper(dirs, lock, reterr);
        if (r < 0)
                return r;
        return look(dirs, ret, reterr);
}

int idmap_userns_open(const struct dirs *dirs, struct idmap_userns **ret, struct err **reterr)
{
        AUTO_ERR struct err *first = NULL;
        int r;

        if (look_around(ret) || look(dirs, ret, NULL) == 0)
                return 0;
        r = start(dirs, ret, &first);
        /* Killed, or the ranges changed, between its making and our look: again, but not for ever. */
        for (int i = 0; i < START_AGAIN && (r == -ENOENT || r == -ESRCH); i++) {
                log_debug("namespace holder: %s", err_message(first));
                first = err_free(first);
                r = start(dirs, ret, &first);
        }
        if (r < 0)
                return err_wrap(reterr, err_move(reterr, r, &first), "user namespace");
        return 0;
}

/* ---- enter, stop ---- */

int idmap_userns_enter(const struct idmap_userns *u, struct err **reterr)
{
        int r = u->inside ? 0 : sys_setns(u->fd, CLONE_NEWUSER);

        if (r < 0)
                return err_sys(reterr, -r, "enter the user namespace");
        /* After newgrp our group is one that U does not hold, and files could not be made with it. */
        if (getegid() != 0 || getgid() != 0) {
                r = sys_setresgid(0, 0, 0);
                if (r < 0)
                        return err_sys(reterr, -r, "enter the user namespace: set the group");
        }
        if (geteuid() != 0)
                return err_new(reterr, ERR_DENIED, "the user namespace belongs to another user");
        /* Changed credentials made our /proc files root's, and closed us to our own helpers. */
        if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
                return err_sys(reterr, errno, "enter the user namespace: become dumpable");
        return 0;
}

int idmap_holder_stop(const struct dirs *dirs, struct err **reterr)
{
        AUTO(holder_record_release) struct holder_record rec = {0};
        AUTO_CLOSE int lock = -EBADF, file = -EBADF, pidfd = -EBADF, ns = -EBADF;
        struct pollfd p = {.events = POLLIN};

        lock = lock_acquire(dirs->runtime_fd, HOLDER_LOCK, true, reterr);
        if (lock < 0)
                return err_wrap(reterr, lock, "namespace holder");
        if (holder_record_read(dirs->runtime_fd, &rec, &file, NULL) < 0)
                return 0;
        if (unlinkat(dirs->runtime_fd, HOLDER_FILE, 0) < 0 && errno != ENOENT)
                return err_sys(reterr, errno, "namespace holder: remove %s", HOLDER_FILE);
        /* A damaged record must not make us end somebody else: only who holds our namespace is a holder. */
        ns = holder_open_ns(&rec, NULL);
        pidfd = process_open(&rec.process, NULL);
        if (ns < 0 || pidfd < 0)
                return 0;
        (void)sys_pidfd_send_signal(pidfd, SIGTERM);
        p.fd = pidfd;
        if (poll(&p, 1, STOP_WAIT_MS) == 0)
                return err_new(reterr, ERR_BUSY, "namespace holder %d does not end",
                               (int)rec.process.pid);
        return 0;
}
