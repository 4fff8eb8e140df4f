/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "cli/term.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <termios.h>

static void open_pty(int *master, int *slave)
{
        struct winsize w = {.ws_row = 33, .ws_col = 111};

        assert_int_equal(openpty(master, slave, NULL, NULL, &w), 0);
}

static bool is_raw(int fd)
{
        struct termios t;

        assert_int_equal(tcgetattr(fd, &t), 0);
        return !(t.c_lflag & (ICANON | ECHO | ISIG)) && !(t.c_oflag & OPOST);
}

/* The guard works on its own time. */
static bool becomes_cooked(int fd)
{
        for (int i = 0; i < 500; i++) {
                if (!is_raw(fd))
                        return true;
                (void)poll(NULL, 0, 10);
        }
        return false;
}

static void test_raw_and_back(void **state)
{
        struct term *t = NULL;
        struct err *e = NULL;
        int master, slave, fds;
        uint16_t rows, cols;

        open_pty(&master, &slave);
        fds = unit_count_fds();
        assert_true(term_size(slave, &rows, &cols));
        assert_int_equal(rows, 33);
        assert_int_equal(cols, 111);
        assert_ok(term_raw(slave, &t, &e), e);
        assert_true(is_raw(slave));
        term_suspend(t);
        assert_false(is_raw(slave));
        term_resume(t);
        assert_true(is_raw(slave));
        term_free(t);
        assert_false(is_raw(slave));
        assert_int_equal(unit_count_fds(), fds);
        close(master);
        close(slave);
}

/* A process that puts the terminal into raw mode and is killed in it. */
static pid_t raw_child(int slave, bool *ret_raw)
{
        int ready[2];
        char c;
        pid_t pid;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                struct term *t = NULL;

                (void)setpgid(0, 0);
                if (term_raw(slave, &t, NULL) < 0 || write(ready[1], "r", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(ready[1]);
        *ret_raw = read(ready[0], &c, 1) == 1 && is_raw(slave);
        close(ready[0]);
        return pid;
}

static void test_guard_restores_after_kill(void **state)
{
        int master, slave;
        bool raw;
        pid_t pid;

        open_pty(&master, &slave);
        pid = raw_child(slave, &raw);
        assert_true(raw);
        kill(-pid, SIGHUP); /* the whole group: the guard is not in it, and HUP ends the child */
        kill(-pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(becomes_cooked(slave));
        close(master);
        close(slave);
}

/* A shell that has set its own modes meanwhile keeps them. */
static void test_guard_leaves_others_modes_alone(void **state)
{
        struct termios mine, now;
        int master, slave;
        bool raw;
        pid_t pid;

        open_pty(&master, &slave);
        pid = raw_child(slave, &raw);
        assert_true(raw);
        assert_int_equal(tcgetattr(slave, &mine), 0);
        mine.c_lflag |= ISIG; /* raw, but for signals */
        assert_int_equal(tcsetattr(slave, TCSANOW, &mine), 0);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void)poll(NULL, 0, 300); /* time in which a wrong guard would act */
        assert_int_equal(tcgetattr(slave, &now), 0);
        assert_int_equal(now.c_lflag, mine.c_lflag);
        close(master);
        close(slave);
}

static void test_no_terminal(void **state)
{
        struct term *t = NULL;
        struct err *e = NULL;
        uint16_t rows, cols;
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        assert_failed(term_raw(fd, &t, &e), e, ERR_SYS, "terminal");
        assert_false(term_size(fd, &rows, &cols));
        close(fd);
}

static void test_detach_keys(void **state)
{
        static const struct {
                const char *keys, *in, *out;
                bool detached;
        } cases[] = {
            {NULL, "abc", "abc", false},
            {NULL,
             "a\x10\x11"
             "b",
             "a", true},
            {NULL, "\x10x", "\x10x", false},
            {NULL, "\x10\x10\x11", "\x10", true},
            {"a,a,b", "aaab", "a", true},
            {"a,b,a,c", "ababac", "ab", true},
            {"x", "ax", "a", true},
            {"", "\x10\x11", "\x10\x11", false},
            {"ctrl-@", "", "", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                /* All at once, and a byte at a time: a sequence may come in pieces. */
                for (int piecewise = 0; piecewise < 2; piecewise++) {
                        struct detach_keys k;
                        struct err *e = NULL;
                        char out[64] = "";
                        size_t n = strlen(cases[i].in), step = piecewise ? 1 : n, total = 0;
                        bool detached = false;

                        assert_ok(detach_keys_parse(cases[i].keys, &k, &e), e);
                        for (size_t at = 0; at < n && !detached; at += step) {
                                size_t written = 0;

                                detached = detach_keys_filter(&k, cases[i].in + at, step,
                                                              out + total, &written);
                                total += written;
                        }
                        assert_int_equal(detached, cases[i].detached);
                        assert_int_equal(total, strlen(cases[i].out));
                        assert_memory_equal(out, cases[i].out, total);
                }
        }
}

static void test_detach_keys_errors(void **state)
{
        static const char *const bad[] = {"ctrl-",
                                          "ctrl-p,",
                                          "ctrl-pp",
                                          "shift-a",
                                          ",",
                                          "ctrl-1",
                                          "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"};
        struct detach_keys k;
        struct err *e = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_failed(detach_keys_parse(bad[i], &k, &e), e, ERR_USAGE, bad[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_raw_and_back),
            cmocka_unit_test(test_guard_restores_after_kill),
            cmocka_unit_test(test_guard_leaves_others_modes_alone),
            cmocka_unit_test(test_no_terminal),
            cmocka_unit_test(test_detach_keys),
            cmocka_unit_test(test_detach_keys_errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
