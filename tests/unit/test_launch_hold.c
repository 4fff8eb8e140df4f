/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that is held before its program: it waits visibly, outlives its creator, runs once it is released, and only once; what can be known to fail
 * fails before.
 */
#include "launch_fixture.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/process.h"
#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static int bind_hold(const struct fixture *f)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/start", f->root);
        CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0);
        return fd;
}

static int create(struct fixture *f, int out, struct launched *l, struct err **e)
{
        AUTO_CLOSE int fd = bind_hold(f);
        struct launch_opts opts = {.orphan = true, .hold_fd = fd};

        return start_with(f, &opts, -1, out, l, e);
}

static void create_ok(struct fixture *f, int out, struct launched *l)
{
        struct err *e = NULL;

        if (create(f, out, l, &e) < 0) {
                (void)fprintf(stderr, "create: %s\n", err_message(e));
                _exit(1);
        }
}

static bool held(const struct fixture *f)
{
        return launch_is_held(f->cache_fd, "start");
}

static void release_ok(const struct fixture *f)
{
        struct err *e = NULL;

        if (launch_release(f->cache_fd, "start", &e) < 0) {
                (void)fprintf(stderr, "release: %s\n", err_message(e));
                _exit(1);
        }
}

static void release_fails(const struct fixture *f, enum err_kind kind, const char *part)
{
        struct err *e = NULL;
        int r = launch_release(f->cache_fd, "start", &e);

        if (r >= 0 || err_kind(e) != kind || !strstr(err_message(e), part))
                (void)fprintf(stderr, "%d: %s (wanted %s)\n", r, err_message(e), part);
        CHECK(r < 0 && err_kind(e) == kind && strstr(err_message(e), part));
        e = err_free(e);
}

static void release_refused(const struct fixture *f)
{
        struct err *e = NULL;

        CHECK(launch_release(f->cache_fd, "start", &e) == -ECONNREFUSED);
        CHECK(err_kind(e) == ERR_BUSY && strstr(err_message(e), "not waiting to be started"));
        e = err_free(e);
}

static void remove_socket(const struct fixture *f)
{
        CHECK(unlinkat(f->cache_fd, "start", 0) == 0);
}

static int connect_hold(const struct fixture *f)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/start", f->root);
        CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0);
        return fd;
}

/* Whom the kernel names to somebody who connects. */
static pid_t who_listens(const struct fixture *f)
{
        struct ucred who = {0};
        socklen_t len = sizeof(who);
        int fd = connect_hold(f);

        CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0);
        (void)fd_close(fd);
        return who.pid;
}

static int run_hold(void *arg)
{
        struct fixture f;
        struct launched l;
        struct err *e = NULL;
        char *text = NULL;
        int fds[2], before;

        (void)arg;
        setup(&f);
        CHECK(!held(&f));
        release_refused(&f);
        before = unit_count_fds();
        set_command(&f, "/bin/probe seq id -- hostname -- fds");
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        create_ok(&f, fds[1], &l);
        (void)fd_close(fds[1]);
        CHECK(who_listens(&f) == l.pid);
        /* To look is not to start. */
        for (int i = 0; i < 40; i++)
                CHECK(held(&f));
        CHECK(poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 100) == 0);
        release_ok(&f);
        CHECK(io_read_fd(fds[0], "pipe", 65536, &text, NULL, &e) >= 0);
        CHECK(strstr(text, "uid=0") && strstr(text, "box\n"));
        CHECK(strstr(text, "\n2 ") && !strstr(text, "\n3 "));
        free(text);
        (void)fd_close(fds[0]);
        release_refused(&f);
        CHECK(!held(&f));
        CHECK(finish(&l) == 0);
        CHECK(unit_count_fds() == before);
        release_refused(&f);
        return teardown(&f);
}

static void test_hold(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_hold, NULL, 1), 0);
}

/* Its creator keeps the socket, against the advice: a second release is refused all the same. */
static int run_kept_socket(void *arg)
{
        struct launch_opts opts = {.hold_fd = -EBADF};
        struct fixture f;
        struct launched l;
        struct err *e = NULL;

        (void)arg;
        setup(&f);
        opts.hold_fd = bind_hold(&f);
        set_command(&f, "/bin/probe pause");
        CHECK(start_with(&f, &opts, -1, 2, &l, &e) >= 0);
        release_ok(&f);
        CHECK(!held(&f));
        release_refused(&f);
        CHECK(sys_pidfd_send_signal(l.pidfd, SIGKILL) == 0);
        CHECK(finish(&l) == 128 + SIGKILL);
        (void)fd_close(opts.hold_fd);
        return teardown(&f);
}

static void test_kept_socket(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_kept_socket, NULL, 1), 0);
}

/* ---- what fails, and when ---- */

static void create_fails(struct fixture *f, enum err_kind kind, const char *part)
{
        struct err *e = NULL;
        struct launched l;
        int r = create(f, -EBADF, &l, &e);

        if (r >= 0 || err_kind(e) != kind || !strstr(err_message(e), part))
                (void)fprintf(stderr, "%d: %s (wanted %s)\n", r, err_message(e), part);
        CHECK(r < 0 && err_kind(e) == kind && strstr(err_message(e), part));
        e = err_free(e);
        CHECK(!held(f));
        CHECK(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
        remove_socket(f);
}

static int run_failures(void *arg)
{
        struct fixture f;
        struct launched l;
        AUTO_FREE char *path = NULL;
        int fd;

        (void)arg;
        setup(&f);
        set_command(&f, "nosuch");
        create_fails(&f, ERR_EXEC_MISSING, "exec 'nosuch': executable file not found in $PATH");
        set_command(&f, "/bin");
        create_fails(&f, ERR_EXEC_DENIED, "exec '/bin': Is a directory");
        f.spec->process.absent = false;
        strv_release(&f.spec->process.args);
        {
                struct err *e = NULL;

                CHECK(create(&f, -EBADF, &l, &e) < 0 && err_kind(e) == ERR_USAGE);
                e = err_free(e);
                remove_socket(&f);
        }
        /* What only the exec can find out fails the release. */
        path = xasprintf("%s/bin/text", f.root);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
        CHECK(fd >= 0 && io_write_full(fd, "no program", 10) == 0);
        (void)fd_close(fd);
        set_command(&f, "text");
        create_ok(&f, -EBADF, &l);
        release_fails(&f, ERR_EXEC_DENIED, "Exec format error");
        CHECK(finish(&l) == 126);
        CHECK(!held(&f));
        return teardown(&f);
}

static void test_failures(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_failures, NULL, 1), 0);
}

/* These hooks belong to the start. */
static int run_start_hooks(void *arg)
{
        struct fixture f;
        struct launched l;
        int fds[2];
        char text[16] = "";

        (void)arg;
        setup(&f);
        f.spec->bundle = xstrdup(f.root);
        strv_addf(&f.spec->annotations, "run.oci.hooks.stdout=%s/out", f.root);
        set_command(&f, "/bin/probe echo program");
        add_hook(&f, SPEC_HOOK_START_CONTAINER, "/bin/probe", "probe write /mark x");
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        create_ok(&f, fds[1], &l);
        CHECK(faccessat(f.cache_fd, "mark", F_OK, 0) < 0);
        release_ok(&f);
        CHECK(faccessat(f.cache_fd, "mark", F_OK, 0) == 0);
        CHECK(finish(&l) == 0);
        (void)fd_close(fds[1]);
        CHECK(read(fds[0], text, sizeof(text)) == 8 && memcmp(text, "program\n", 8) == 0);
        (void)fd_close(fds[0]);
        remove_socket(&f);
        add_hook(&f, SPEC_HOOK_START_CONTAINER, "/bin/probe", "probe exit 4");
        create_ok(&f, -EBADF, &l);
        release_fails(&f, ERR_REMOTE, "startContainer hook '/bin/probe': exit status 4");
        CHECK(finish(&l) == 126);
        return teardown(&f);
}

static void test_start_hooks(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_start_hooks, NULL, 1), 0);
}

/* Without a process there is nothing to start, and the container stays as it was. */
static int run_absent(void *arg)
{
        struct fixture f;
        struct launched l;

        (void)arg;
        setup(&f);
        make_bundle(&f);
        f.spec->process.absent = true;
        strv_release(&f.spec->process.args);
        create_ok(&f, -EBADF, &l);
        release_fails(&f, ERR_USAGE, "no process to start");
        CHECK(held(&f));
        release_fails(&f, ERR_USAGE, "no process to start");
        CHECK(sys_pidfd_send_signal(l.pidfd, SIGKILL) == 0);
        CHECK(finish(&l) == 128 + SIGKILL);
        CHECK(!held(&f));
        release_refused(&f);
        return teardown(&f);
}

static void test_absent(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_absent, NULL, 1), 0);
}

/* ---- creators that die ---- */

/* The creator, which is killed once the child waits; the child becomes ours. The child's pid. */
static pid_t orphaned(struct fixture *f, bool orphan, int out)
{
        pid_t creator, pid = 0;
        int fds[2];

        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        creator = fork();
        CHECK(creator >= 0);
        if (creator == 0) {
                struct launch_opts opts = {.orphan = orphan, .hold_fd = bind_hold(f)};
                struct launched l;
                struct err *e = NULL;

                CHECK(start_with(f, &opts, -1, out, &l, &e) >= 0);
                CHECK(write(fds[1], &l.pid, sizeof(l.pid)) == sizeof(l.pid));
                for (;;)
                        (void)pause();
        }
        (void)fd_close(fds[1]);
        CHECK(read(fds[0], &pid, sizeof(pid)) == sizeof(pid) && pid > 0);
        (void)fd_close(fds[0]);
        CHECK(kill(creator, SIGKILL) == 0 && waitpid(creator, NULL, 0) == creator);
        return pid;
}

static int run_orphan(void *arg)
{
        struct fixture f;
        int fds[2], status;
        char text[8] = "";
        pid_t pid;

        (void)arg;
        setup(&f);
        set_command(&f, "/bin/probe exit 7");
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        pid = orphaned(&f, true, fds[1]);
        (void)fd_close(fds[1]);
        CHECK(held(&f));
        CHECK(who_listens(&f) == pid);
        release_ok(&f);
        CHECK(read(fds[0], text, sizeof(text)) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
        /* With a death signal it goes with its creator. */
        remove_socket(&f);
        pid = orphaned(&f, false, 2);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        release_refused(&f);
        (void)fd_close(fds[0]);
        return teardown(&f);
}

static void test_orphan(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_orphan, NULL, 1), 0);
}

/* Who releases ends before the child has read what he wants: the container starts. */
static int run_released_by_dead(void *arg)
{
        struct child_report start = {.what = REPORT_START, .stage = STAGE_HOLD};
        struct fixture f;
        struct launched l;
        int sock;

        (void)arg;
        setup(&f);
        set_command(&f, "/bin/probe exit 7");
        create_ok(&f, -EBADF, &l);
        CHECK(sys_pidfd_send_signal(l.pidfd, SIGSTOP) == 0);
        sock = connect_hold(&f);
        CHECK(sync_send(sock, &start, NULL, 0) == 0);
        (void)fd_close(sock);
        CHECK(sys_pidfd_send_signal(l.pidfd, SIGCONT) == 0);
        CHECK(finish(&l) == 7);
        return teardown(&f);
}

static void test_released_by_dead(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_released_by_dead, NULL, 1), 0);
}

/* ---- what it keeps while it waits ---- */

/* The terminal comes with HELD; few descriptors are no hindrance to waiting. */
static int run_terminal(void *arg)
{
        struct spec_rlimit limit = {.resource = RLIMIT_NOFILE, .soft = 4, .hard = 4};
        struct fixture f;
        struct launched l;
        char text[64] = "";
        ssize_t n;

        (void)arg;
        setup(&f);
        f.spec->process.terminal = true;
        f.spec->process.rlimits = &limit;
        f.spec->process.n_rlimits = 1;
        set_command(&f, "/bin/probe echo program");
        create_ok(&f, -EBADF, &l);
        CHECK(l.terminal >= 0 && l.keeper >= 0 && isatty(l.terminal) && isatty(l.keeper));
        CHECK(held(&f) && held(&f));
        release_ok(&f);
        CHECK(poll(&(struct pollfd){.fd = l.terminal, .events = POLLIN}, 1, 5000) == 1);
        n = read(l.terminal, text, sizeof(text) - 1);
        CHECK(n > 0 && strstr(text, "program"));
        CHECK(finish(&l) == 0);
        f.spec->process.rlimits = NULL;
        f.spec->process.n_rlimits = 0;
        return teardown(&f);
}

static void test_terminal(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_terminal, NULL, 1), 0);
}

/* ---- namespaces ---- */

static int place_refused(pid_t pid, void *arg, struct err **reterr)
{
        CHECK(arg == NULL && pid > 0);
        return err_new(reterr, ERR_DENIED, "no room for it");
}

/* @arg: a cgroup's directory. */
static int place_in(pid_t pid, void *arg, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("%s/cgroup.procs", (const char *)arg);
        AUTO_FREE char *text = xasprintf("%d", (int)pid);

        return write_file(path, text) ? 0 : err_new(reterr, ERR_DENIED, "'%s'", path);
}

/* The root of its cgroup namespace is where the child was put, not where its creator is. @arg: a cgroup, NULL: none can be made. */
static int run_place(void *arg)
{
        struct launch_opts opts = {.hold_fd = -EBADF, .place = place_refused};
        struct fixture f;
        struct launched l;
        struct err *e = NULL;
        char *text = NULL;
        int fds[2];

        setup_in(&f, arg == NULL);
        make_bundle(&f);
        f.spec->bundle = xstrdup(f.root);
        set_command(&f, "/bin/probe read /proc/self/cgroup");
        CHECK(start_with(&f, &opts, -1, -EBADF, &l, &e) < 0);
        CHECK(strcmp(err_message(e), "no room for it") == 0);
        e = err_free(e);
        CHECK(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
        if (!arg)
                return teardown(&f);
        opts.place = place_in;
        opts.place_arg = arg;
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHECK(start_with(&f, &opts, -1, fds[1], &l, &e) >= 0);
        (void)fd_close(fds[1]);
        CHECK(io_read_fd(fds[0], "pipe", 65536, &text, NULL, &e) >= 0);
        (void)fd_close(fds[0]);
        CHECK(finish(&l) == 0);
        if (!strstr(text, "0::/\n"))
                (void)fprintf(stderr, "%s", text);
        CHECK(strstr(text, "0::/\n"));
        free(text);
        return teardown(&f);
}

static void test_place(void **state)
{
        static const char *const tops[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};

        (void)state;
        assert_int_equal(unit_fork(run_place, NULL, 1), 0);
        for (size_t i = 0; geteuid() == 0 && i < ARRAY_SIZE(tops); i++) {
                AUTO_FREE char *procs = xasprintf("%s/cgroup.procs", tops[i]);
                AUTO_FREE char *path = xasprintf("%s/kelp-launch-%d", tops[i], (int)getpid());
                int r;

                if (access(procs, W_OK) < 0 || mkdir(path, 0755) < 0)
                        continue;
                r = unit_fork(run_place, path, 0);
                assert_int_equal(rmdir(path), 0);
                assert_int_equal(r, 0);
                break;
        }
}

/* Joined by path: then a process in between makes the child. */
static int run_joined(void *arg)
{
        struct fixture f;
        struct launched l;

        (void)arg;
        setup(&f);
        make_bundle(&f);
        f.spec->bundle = xstrdup(f.root);
        f.spec->ns[SPEC_NS_NET].path = xstrdup("/proc/self/ns/net");
        f.spec->ns[SPEC_NS_IPC].path = xstrdup("/proc/self/ns/ipc");
        CHECK(unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0);
        strv_release(&f.spec->sysctl);
        set_command(&f, "/bin/probe exit 7");
        create_ok(&f, -EBADF, &l);
        CHECK(who_listens(&f) == l.pid);
        release_ok(&f);
        CHECK(finish(&l) == 7);
        return teardown(&f);
}

static void test_joined(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_joined, NULL, 1), 0);
}

struct kind {
        bool user, pid, as_root;
};

/* A bundle with fewer namespaces than Kelp's own containers have. */
static int run_kind(void *arg)
{
        const struct kind *k = arg;
        struct fixture f;
        struct launched l;
        struct err *e = NULL;
        char *text = NULL;
        int fds[2];

        setup_in(&f, !k->as_root);
        make_bundle(&f);
        f.spec->bundle = xstrdup(f.root);
        f.spec->ns[SPEC_NS_USER].enabled = k->user;
        f.spec->ns[SPEC_NS_PID].enabled = k->pid;
        if (!k->pid)
                strv_release(&f.spec->masked_paths);
        if (!k->user) {
                id_map_release(&f.spec->uid_map);
                id_map_release(&f.spec->gid_map);
        }
        set_command(&f, "/bin/probe seq id -- hostname -- cwd");
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        create_ok(&f, fds[1], &l);
        (void)fd_close(fds[1]);
        CHECK(held(&f));
        release_ok(&f);
        CHECK(io_read_fd(fds[0], "pipe", 65536, &text, NULL, &e) >= 0);
        (void)fd_close(fds[0]);
        CHECK(strstr(text, "uid=0") && strstr(text, "box\n") && strstr(text, "/made/for/it\n"));
        free(text);
        CHECK(finish(&l) == 0);
        return teardown(&f);
}

static void test_namespaces(void **state)
{
        static const struct kind kinds[] = {
            {.user = true, .pid = true},
            {.user = true},
            {.pid = true},
            {0},
            {.user = true, .pid = true, .as_root = true},
            {.pid = true, .as_root = true},
            {.as_root = true},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                if (kinds[i].as_root && geteuid() != 0)
                        continue;
                if (unit_fork(run_kind, (void *)&kinds[i], !kinds[i].as_root) != 0)
                        fail_msg("user %d, pid %d, as root %d", kinds[i].user, kinds[i].pid,
                                 kinds[i].as_root);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_hold),        cmocka_unit_test(test_kept_socket),
            cmocka_unit_test(test_failures),    cmocka_unit_test(test_absent),
            cmocka_unit_test(test_orphan),      cmocka_unit_test(test_namespaces),
            cmocka_unit_test(test_start_hooks), cmocka_unit_test(test_released_by_dead),
            cmocka_unit_test(test_terminal),    cmocka_unit_test(test_joined),
            cmocka_unit_test(test_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
