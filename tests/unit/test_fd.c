/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/fd.h"
#include "base/io.h"

#include <sys/socket.h>

static int is_cloexec(int fd)
{
        return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static void test_close_keeps_errno(void **state)
{
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        errno = EXDEV;
        assert_int_equal(fd_close(fd), -EBADF);
        assert_int_equal(fd_close(-EBADF), -EBADF);
        assert_int_equal(fd_close(-1), -EBADF);
        assert_int_equal(errno, EXDEV);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static int close_twice(void *arg)
{
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        (void)close(STDERR_FILENO);
        (void)fd_close(fd);
        (void)fd_close(fd);
        return 0;
}

static void test_close_twice_aborts(void **state)
{
        assert_int_equal(unit_fork(close_twice, NULL, 0), 128 + SIGABRT);
}

static void test_take(void **state)
{
        AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        int taken = TAKE_FD(fd);

        assert_int_equal(fd, -EBADF);
        assert_true(taken >= 0);
        (void)fd_close(taken);
}

static void test_dup(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int fd = fd_dup(STDOUT_FILENO, &e);

        assert_ok(fd, e);
        assert_true(fd > 2);
        assert_true(is_cloexec(fd));
        assert_failed(fd_dup(-EBADF, &e), e, ERR_SYS, "Bad file descriptor");
}

static void test_flags(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int p[2];

        assert_ok(fd_pipe(p, &e), e);
        assert_true(is_cloexec(p[0]) && is_cloexec(p[1]));
        assert_ok(fd_set_nonblock(p[0], true, &e), e);
        assert_true(fcntl(p[0], F_GETFL) & O_NONBLOCK);
        assert_ok(fd_set_nonblock(p[0], false, &e), e);
        assert_false(fcntl(p[0], F_GETFL) & O_NONBLOCK);
        assert_ok(fd_set_cloexec(p[0], false, &e), e);
        assert_false(is_cloexec(p[0]));
        (void)fd_close(p[0]);
        (void)fd_close(p[1]);
}

static void test_path(void **state)
{
        char buf[FD_PATH_MAX];

        assert_string_equal(fd_path(0, buf), "/proc/self/fd/0");
        assert_string_equal(fd_path(1234567890, buf), "/proc/self/fd/1234567890");
        assert_string_equal(fd_path(INT32_MAX, buf), "/proc/self/fd/2147483647");
}

static int stdio_closed(void *arg)
{
        (void)close(0);
        (void)close(2);
        if (fd_sanitize_stdio() < 0)
                return 1;
        if (fcntl(0, F_GETFD) != 0 || fcntl(2, F_GETFD) != 0)
                return 2;
        return fd_is_terminal(0) ? 3 : 0;
}

static void test_sanitize_stdio(void **state)
{
        assert_int_equal(unit_fork(stdio_closed, NULL, 0), 0);
}

static int above_stdio(void *arg)
{
        int fd;

        (void)close(0);
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd != 0)
                return 1;
        fd = fd_move_above_stdio_take(fd, NULL);
        return fd > 2 && fcntl(0, F_GETFD) < 0 ? 0 : 2;
}

static void test_move_above_stdio(void **state)
{
        assert_int_equal(unit_fork(above_stdio, NULL, 0), 0);
}

static void test_send_recv(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int s[2], fds[3] = {0, 0, 0}, before;
        size_t n = ARRAY_SIZE(fds);
        char buf[8];

        assert_ok(fd_socketpair(SOCK_SEQPACKET, s, &e), e);
        before = unit_count_fds();
        assert_int_equal(fd_send(s[0], "abc", 3, (int[]){0, 1}, 2), 3);
        assert_int_equal(fd_recv(s[1], buf, sizeof(buf), fds, &n), 3);
        assert_memory_equal(buf, "abc", 3);
        assert_int_equal(n, 2);
        assert_true(is_cloexec(fds[0]) && is_cloexec(fds[1]));
        (void)fd_close(fds[0]);
        (void)fd_close(fds[1]);
        assert_int_equal(unit_count_fds(), before);
        (void)fd_close(s[0]);
        n = 3;
        assert_int_equal(fd_recv(s[1], buf, sizeof(buf), fds, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(fd_send(s[1], "x", 1, NULL, 0), -EPIPE);
        (void)fd_close(s[1]);
}

/* Truncated data, and more descriptors than there is room for: an error, and nothing leaks. */
static void test_recv_refuses(void **state)
{
        static const struct {
                size_t room, sent, len;
                ssize_t expected;
        } cases[] = {
            {1, 1, 4, 4},       {1, 2, 4, -EPROTO}, {0, 1, 4, -EPROTO},
            {2, 2, 9, -EPROTO}, {0, 0, 9, -EPROTO},
        };
        int s[2], before;

        assert_int_equal(fd_socketpair(SOCK_SEQPACKET, s, NULL), 0);
        before = unit_count_fds();
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int fds[4] = {-EBADF, -EBADF, -EBADF, -EBADF};
                size_t n = cases[i].room;
                char buf[8];

                assert_int_equal(
                    fd_send(s[0], "123456789", cases[i].len, (int[]){0, 1, 2}, cases[i].sent),
                    cases[i].len);
                assert_int_equal(fd_recv(s[1], buf, sizeof(buf), n ? fds : NULL, n ? &n : NULL),
                                 cases[i].expected);
                for (size_t k = 0; k < ARRAY_SIZE(fds); k++)
                        (void)fd_close(fds[k]);
                assert_int_equal(unit_count_fds(), before);
        }
        assert_int_equal(fd_send(s[0], "x", 1, (int[FD_SEND_MAX + 1]){0}, FD_SEND_MAX + 1),
                         -EINVAL);
        (void)fd_close(s[0]);
        (void)fd_close(s[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_close_keeps_errno),
            cmocka_unit_test(test_close_twice_aborts),
            cmocka_unit_test(test_take),
            cmocka_unit_test(test_dup),
            cmocka_unit_test(test_flags),
            cmocka_unit_test(test_path),
            cmocka_unit_test(test_sanitize_stdio),
            cmocka_unit_test(test_move_above_stdio),
            cmocka_unit_test(test_send_recv),
            cmocka_unit_test(test_recv_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
