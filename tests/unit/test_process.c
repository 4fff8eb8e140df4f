/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that are started are this one again, with a word that says what to do. */
#include "unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "base/process.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#define SELF      "/proc/self/exe"
#define ARGV(...) ((char *[]){(char[]){"self"}, __VA_ARGS__, NULL})
#define WORD(w)   ((char[]){w})

/* ---- in the started program ---- */

static int say_fds(void)
{
        for (int fd = 0; fd < 64; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        (void)printf("%d ", fd);
        (void)fflush(stdout);
        return 0;
}

static int say_signals(void)
{
        sigset_t mask;
        struct sigaction usr1, pipe_;

        (void)sigprocmask(SIG_BLOCK, NULL, &mask);
        (void)sigaction(SIGUSR1, NULL, &usr1);
        (void)sigaction(SIGPIPE, NULL, &pipe_);
        (void)printf("blocked %d usr1 %d pipe %d", sigismember(&mask, SIGUSR2),
                     usr1.sa_handler == SIG_DFL, pipe_.sa_handler == SIG_DFL);
        (void)fflush(stdout);
        return 0;
}

static int say_session(void)
{
        int death = 0;

        (void)prctl(PR_GET_PDEATHSIG, &death);
        (void)printf("%d %d", getsid(0) == getpid(), death);
        (void)fflush(stdout);
        return 0;
}

static int run_word(const char *word)
{
        if (strcmp(word, "fds") == 0)
                return say_fds();
        if (strcmp(word, "signals") == 0)
                return say_signals();
        if (strcmp(word, "session") == 0)
                return say_session();
        if (strcmp(word, "kill") == 0)
                return raise(SIGKILL);
        if (strcmp(word, "fail") == 0) {
                (void)fputs("could not\n", stderr);
                return 3;
        }
        if (strcmp(word, "endless") == 0)
                while (puts("y") > 0)
                        ;
        if (strcmp(word, "env") == 0)
                return puts(getenv("UNIT_X") ? getenv("UNIT_X") : "unset") < 0;
        return 99;
}

/* ---- identity ---- */

static void test_identify_self(void **state)
{
        AUTO_ERR struct err *e = NULL;
        struct process_id id;
        AUTO_CLOSE int fd = -EBADF;

        assert_ok(process_identify(getpid(), &id, &e), e);
        assert_int_equal(id.pid, getpid());
        assert_true(id.start_time > 0);
        assert_int_equal(strlen(id.boot_id), 36);
        fd = process_open(&id, &e);
        assert_ok(fd, e);
}

/* The 22nd field is found behind a name made to mislead. */
static void test_identify_strange_name(void **state)
{
        struct process_id before, after;
        char name[16];

        (void)prctl(PR_GET_NAME, name);
        assert_int_equal(process_identify(getpid(), &before, NULL), 0);
        (void)prctl(PR_SET_NAME, ") R 1 (x) 2");
        assert_int_equal(process_identify(getpid(), &after, NULL), 0);
        (void)prctl(PR_SET_NAME, name);
        assert_true(before.start_time == after.start_time);
}

static void test_open_another(void **state)
{
        struct process_id self, id;
        AUTO_ERR struct err *e = NULL;

        assert_int_equal(process_identify(getpid(), &self, NULL), 0);
        id = self;
        id.start_time++;
        assert_int_equal(process_open(&id, &e), -ESRCH);
        assert_int_equal(err_kind(e), ERR_NOT_FOUND);
        e = err_free(e);
        id = self;
        id.boot_id[0] = 'x';
        assert_int_equal(process_open(&id, NULL), -ESRCH);
        assert_int_equal(process_open(&(struct process_id){0}, NULL), -ESRCH);
        id = self;
        id.pid = 0x3fffffff;
        assert_int_equal(process_open(&id, NULL), -ESRCH);
        assert_failed(process_identify(0x3fffffff, &id, &e), e, ERR_SYS, "No such process");
}

static void test_open_zombie(void **state)
{
        struct process_id id;
        siginfo_t si;
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        assert_int_equal(process_identify(pid, &id, NULL), 0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
        assert_int_equal(process_open(&id, NULL), -ESRCH);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(process_open(&id, NULL), -ESRCH);
}

/* ---- starting ---- */

/* Starts with a pipe as descriptor 1 and returns what it said. */
static char *spawn_and_read(struct process_spawn_opts *o, char *word)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int pidfd = -EBADF;
        char *text = NULL;
        int p[2], fds[8];

        assert_int_equal(fd_pipe(p, NULL), 0);
        for (size_t i = 0; i < o->n_fds; i++)
                fds[i] = o->fds[i];
        o->n_fds = MAX(o->n_fds, (size_t)2);
        if (!o->fds)
                fds[0] = -EBADF;
        fds[1] = p[1];
        o->fds = fds;
        o->path = SELF;
        o->argv = ARGV(word);
        assert_ok(process_spawn(o, NULL, &pidfd, &e), e);
        (void)fd_close(p[1]);
        assert_ok(io_read_fd(p[0], "pipe", 1000, &text, NULL, &e), e);
        (void)fd_close(p[0]);
        assert_int_equal(process_wait(pidfd, NULL), 0);
        return text;
}

static void test_spawn_fds(void **state)
{
        struct process_spawn_opts plain = {0};
        AUTO_FREE char *text = spawn_and_read(&plain, WORD("fds"));

        assert_string_equal(text, "0 1 2 ");
}

/* Sources lie among the targets, in the wrong order, twice, and with holes between. */
static void test_spawn_fds_placed(void **state)
{
        int a = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3),
            b = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 4);
        int fds[7] = {-EBADF, -EBADF, STDERR_FILENO, b, a, -EBADF, a};
        struct process_spawn_opts o = {.fds = fds, .n_fds = 7};
        AUTO_FREE char *text = spawn_and_read(&o, WORD("fds"));

        assert_string_equal(text, "0 1 2 3 4 6 ");
        assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
        (void)fd_close(a);
        (void)fd_close(b);
}

/* Two descriptors change places: each arrives as the other. */
static void test_spawn_fds_swapped(void **state)
{
        AUTO_CLOSE int pidfd = -EBADF;
        int p[2], fds[3] = {-EBADF, -EBADF, STDERR_FILENO};
        struct process_spawn_opts o = {
            .path = "/bin/sh",
            .argv = ARGV(WORD("-c"), WORD("read x <&4; echo $x >&3")),
            .n_fds = 5,
        };
        int placed[5], low_read, low_write;
        char buf[3] = "";

        assert_int_equal(fd_pipe(p, NULL), 0);
        /* read end on 3, write end on 4, in the child the other way round */
        low_read = fcntl(p[0], F_DUPFD_CLOEXEC, 3);
        low_write = fcntl(p[1], F_DUPFD_CLOEXEC, 3);
        memcpy(placed, fds, sizeof(fds));
        placed[3] = low_write;
        placed[4] = low_read;
        o.fds = placed;
        assert_int_equal(io_write_full(p[1], "q\n", 2), 0);
        assert_int_equal(process_spawn(&o, NULL, &pidfd, NULL), 0);
        assert_int_equal(process_wait(pidfd, NULL), 0);
        assert_int_equal(io_read_full(p[0], buf, 2), 0);
        assert_string_equal(buf, "q\n");
        (void)fd_close(low_read);
        (void)fd_close(low_write);
        (void)fd_close(p[0]);
        (void)fd_close(p[1]);
}

static void on_usr1(int sig)
{
        (void)sig;
}

static void test_spawn_signals(void **state)
{
        struct process_spawn_opts keep = {0}, reset = {.reset_signals = true};
        AUTO_FREE char *kept = NULL, *cleared = NULL;
        sigset_t usr2, old;
        struct sigaction sa = {.sa_handler = on_usr1}, now;

        (void)sigaction(SIGUSR1, &sa, NULL);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)sigemptyset(&usr2);
        (void)sigaddset(&usr2, SIGUSR2);
        (void)sigprocmask(SIG_BLOCK, &usr2, &old);
        kept = spawn_and_read(&keep, WORD("signals"));
        cleared = spawn_and_read(&reset, WORD("signals"));
        /* Ours are as they were. */
        (void)sigaction(SIGUSR1, NULL, &now);
        assert_true(now.sa_handler == on_usr1);
        (void)sigprocmask(SIG_SETMASK, &old, &usr2);
        assert_int_equal(sigismember(&usr2, SIGUSR2), 1);
        assert_int_equal(sigismember(&usr2, SIGTERM), 0);
        (void)signal(SIGPIPE, SIG_DFL);
        assert_string_equal(kept, "blocked 1 usr1 1 pipe 0");
        assert_string_equal(cleared, "blocked 0 usr1 1 pipe 1");
}

static void test_spawn_session(void **state)
{
        struct process_spawn_opts o = {.new_session = true, .death_signal = SIGTERM}, plain = {0};
        AUTO_FREE char *a = spawn_and_read(&o, WORD("session")),
                       *b = spawn_and_read(&plain, WORD("session"));

        assert_string_equal(a, "1 15");
        assert_string_equal(b, "0 0");
}

static void test_spawn_env(void **state)
{
        char *const envp[] = {WORD("UNIT_X=given"), NULL};
        struct process_spawn_opts given = {.envp = envp}, ours = {0};
        AUTO_FREE char *a = spawn_and_read(&given, WORD("env")), *b = NULL;

        (void)setenv("UNIT_X", "ours", 1);
        b = spawn_and_read(&ours, WORD("env"));
        (void)unsetenv("UNIT_X");
        assert_string_equal(a, "given\n");
        assert_string_equal(b, "ours\n");
}

static void test_spawn_failures(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int pidfd = -EBADF, before = unit_count_fds();
        struct process_spawn_opts o = {.path = "/nowhere/x", .argv = ARGV(WORD("x"))};

        assert_failed(process_spawn(&o, NULL, &pidfd, &e), e, ERR_SYS,
                      "start '/nowhere/x': execute: No such file");
        o.path = "/etc/passwd";
        assert_failed(process_spawn(&o, NULL, &pidfd, &e), e, ERR_SYS, "Permission denied");
        o.path = SELF;
        o.fds = (int[]){0, 1, 2, 1000};
        o.n_fds = 4;
        assert_failed(process_spawn(&o, NULL, &pidfd, &e), e, ERR_SYS,
                      "place descriptors: Bad file descriptor");
        assert_int_equal(pidfd, -EBADF);
        assert_int_equal(unit_count_fds(), before);
        /* No zombie is left. */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_run_capture(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *out = NULL, *never = NULL;
        int before = unit_count_fds();

        assert_ok(process_run_capture(SELF, ARGV(WORD("fds")), 100, &out, &e), e);
        assert_string_equal(out, "0 1 2 ");
        assert_ok(process_run_capture(SELF, ARGV(WORD("fds")), 100, NULL, &e), e);
        assert_failed(process_run_capture(SELF, ARGV(WORD("fail")), 100, &never, &e), e, ERR_REMOTE,
                      "exe: exit code 3: could not");
        assert_failed(process_run_capture(SELF, ARGV(WORD("kill")), 100, &never, &e), e, ERR_REMOTE,
                      "killed by signal 9");
        assert_failed(process_run_capture(SELF, ARGV(WORD("endless")), 100, &never, &e), e, ERR_SYS,
                      "File too large");
        assert_failed(process_run_capture("/nowhere", ARGV(WORD("x")), 100, &never, &e), e, ERR_SYS,
                      "No such file");
        assert_null(never);
        assert_int_equal(unit_count_fds(), before);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_wait_foreign(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int self = sys_pidfd_open(getpid(), 0);

        assert_failed(process_wait(self, &e), e, ERR_SYS, "No child processes");
}

/* ---- helper programs ---- */

static void test_helper_path(void **state)
{
        AUTO_FREE char *from_env = NULL, *installed = NULL;
        const char *env = getenv("KELP_LIBEXEC");
        AUTO_FREE char *saved = xstrdup(env);

        (void)setenv("KELP_LIBEXEC", "/x/y/", 1);
        from_env = process_helper_path("kelp-init");
        (void)unsetenv("KELP_LIBEXEC");
        /* This test lies in tests/unit of the build tree, neither beside the programs nor in a prefix. */
        installed = process_helper_path("kelp-init");
        if (saved)
                (void)setenv("KELP_LIBEXEC", saved, 1);
        assert_string_equal(from_env, "/x/y/kelp-init");
        assert_true(str_ends(installed, "/kelp/kelp-init"));
        assert_int_equal(installed[0], '/');
}

/* Copies this program to @to and asks the copy. */
static char *helper_path_of_copy(int dir, const char *bin)
{
        AUTO_FREE char *top = unit_dir_path(dir), *path = xasprintf("%s/%s/kelp", top, bin);
        AUTO_CLOSE int from = open(SELF, O_RDONLY | O_CLOEXEC), to = -EBADF, at = -EBADF;
        AUTO_ERR struct err *e = NULL;
        char *text = NULL, *const argv[] = {path, WORD("helper"), NULL};

        at = path_mkdir_open(dir, bin, 0755, &e);
        assert_ok(at, e);
        to = openat(at, "kelp", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        assert_ok(io_copy(from, to, IO_COPY_ALL, &e), e);
        to = fd_close(to);
        (void)unsetenv("KELP_LIBEXEC");
        assert_ok(process_run_capture(path, argv, 1000, &text, &e), e);
        assert_true(str_starts(text, top));
        memmove(text, text + strlen(top), strlen(text + strlen(top)) + 1);
        return text;
}

static void test_helper_path_moves(void **state)
{
        int dir = unit_dir(state);
        AUTO_FREE char *a = helper_path_of_copy(dir, "bin"),
                       *b = helper_path_of_copy(dir, "libexec/kelp");
        AUTO_FREE char *c = NULL;

        assert_string_equal(a, "/libexec/kelp/x");
        assert_string_equal(b, "/libexec/kelp/x");
        assert_int_equal(mkdirat(dir, "build", 0755) | mkdirat(dir, "build/meson-private", 0755),
                         0);
        c = helper_path_of_copy(dir, "build");
        assert_string_equal(c, "/build/x");
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_identify_self),     cmocka_unit_test(test_identify_strange_name),
            cmocka_unit_test(test_open_another),      cmocka_unit_test(test_open_zombie),
            cmocka_unit_test(test_spawn_fds),         cmocka_unit_test(test_spawn_fds_placed),
            cmocka_unit_test(test_spawn_fds_swapped), cmocka_unit_test(test_spawn_signals),
            cmocka_unit_test(test_spawn_session),     cmocka_unit_test(test_spawn_env),
            cmocka_unit_test(test_spawn_failures),    cmocka_unit_test(test_run_capture),
            cmocka_unit_test(test_wait_foreign),      cmocka_unit_test(test_helper_path),
            unit_test_dir(test_helper_path_moves),
        };

        if (argc > 1 && strcmp(argv[1], "helper") == 0) {
                AUTO_FREE char *path = process_helper_path("x");

                return fputs(path, stdout) < 0;
        }
        if (argc > 1)
                return run_word(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
