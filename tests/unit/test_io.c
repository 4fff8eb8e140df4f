/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/io.h"

#include <signal.h>
#include <stdio.h>

static void test_read_full(void **state)
{
        int p[2];
        char buf[4] = "";

        assert_int_equal(fd_pipe(p, NULL), 0);
        assert_int_equal(io_write_full(p[1], "abcdef", 6), 0);
        (void)fd_close(p[1]);
        assert_int_equal(io_read_full(p[0], buf, 4), 0);
        assert_memory_equal(buf, "abcd", 4);
        /* Two of four promised: never a success. */
        assert_int_equal(io_read_full(p[0], buf, 4), -EPROTO);
        assert_int_equal(io_read_some(p[0], buf, 4), 0);
        (void)fd_close(p[0]);
        assert_int_equal(io_read_full(-EBADF, buf, 1), -EBADF);
}

/* More than a pipe holds, into a non-blocking end, with a reader that takes its time. */
static int slow_reader(void *arg)
{
        int *p = arg;
        char buf[1000];
        size_t n = 0;
        ssize_t r;

        (void)close(p[1]);
        while ((r = read(p[0], buf, sizeof(buf))) > 0)
                n += (size_t)r;
        return n == 300000 ? 0 : 1;
}

static int write_slowly(void *arg)
{
        AUTO_FREE char *big = xcalloc(1, 300000);
        int p[2], r, status;
        pid_t pid;

        if (fd_pipe(p, NULL) < 0 || fd_set_nonblock(p[1], true, NULL) < 0)
                return 1;
        pid = fork();
        if (pid == 0)
                _exit(slow_reader(p));
        (void)close(p[0]);
        r = io_write_full(p[1], big, 300000);
        (void)close(p[1]);
        if (r < 0 || waitpid(pid, &status, 0) != pid)
                return 2;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

static void test_write_nonblocking(void **state)
{
        assert_int_equal(unit_fork(write_slowly, NULL, 0), 0);
}

static void test_read_file(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *text = NULL, *none = NULL, *big = xcalloc(1, 20001);
        int dir = unit_dir(state);
        size_t n;

        unit_write(dir, "f", "hello");
        assert_ok(io_read_file(dir, "f", 5, &text, &n, &e), e);
        assert_int_equal(n, 5);
        assert_string_equal(text, "hello");
        assert_int_equal(io_read_file(dir, "f", 4, &none, &n, &e), -EFBIG);
        assert_int_equal(err_kind(e), ERR_INVALID);
        e = err_free(e);
        assert_failed(io_read_file(dir, "none", 4, &none, &n, &e), e, ERR_SYS, "open 'none'");
        assert_failed(io_read_file(dir, ".", 4, &none, &n, &e), e, ERR_SYS, "read '.'");
        assert_null(none);
        memset(big, 'x', 20000);
        unit_write(dir, "f", big);
        assert_ok(io_read_file(dir, "f", SIZE_MAX - 2, &none, NULL, &e), e);
        assert_string_equal(none, big);
}

static void test_read_empty_and_proc(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *empty = NULL, *proc = NULL, *never = NULL;
        int dir = unit_dir(state);
        size_t n;

        unit_write(dir, "f", "");
        assert_ok(io_read_file(dir, "f", 0, &empty, &n, &e), e);
        assert_int_equal(n, 0);
        assert_string_equal(empty, "");
        /* Size 0 by stat, and not empty. */
        assert_ok(io_read_file(AT_FDCWD, "/proc/self/status", 1 << 20, &proc, &n, &e), e);
        assert_true(n > 100);
        assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/status", 100, &never, &n, &e), -EFBIG);
        assert_int_equal(io_read_file(AT_FDCWD, "/dev/zero", 10000, &never, &n, NULL), -EFBIG);
}

static void test_fifo_does_not_hang(void **state)
{
        AUTO_FREE char *text = NULL;
        int dir = unit_dir(state);

        assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
        (void)alarm(10);
        assert_int_equal(io_read_file(dir, "fifo", 100, &text, NULL, NULL), 0);
        (void)alarm(0);
        assert_string_equal(text, "");
}

static int open_new(int dir, const char *name)
{
        return openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static void test_copy(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *whole = NULL, *part = NULL;
        int dir = unit_dir(state);
        AUTO_CLOSE int from = open_new(dir, "a"), to = open_new(dir, "b"), to2 = open_new(dir, "c");

        unit_write(dir, "a", "0123456789");
        assert_ok(io_copy(from, to, IO_COPY_ALL, &e), e);
        whole = unit_read(dir, "b");
        assert_string_equal(whole, "0123456789");
        assert_int_equal(lseek(from, 2, SEEK_SET), 2);
        assert_ok(io_copy(from, to2, 3, &e), e);
        part = unit_read(dir, "c");
        assert_string_equal(part, "234");
        assert_failed(io_copy(from, to2, 6, &e), e, ERR_SYS, "after 5 of 6 bytes");
}

static void test_copy_pipe_and_proc(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *text = NULL, *status = NULL;
        int dir = unit_dir(state), p[2];
        AUTO_CLOSE int to = open_new(dir, "b"), to2 = open_new(dir, "c");
        AUTO_CLOSE int proc = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

        assert_int_equal(fd_pipe(p, NULL), 0);
        assert_int_equal(io_write_full(p[1], "pipe", 4), 0);
        (void)fd_close(p[1]);
        assert_ok(io_copy(p[0], to, IO_COPY_ALL, &e), e);
        (void)fd_close(p[0]);
        text = unit_read(dir, "b");
        assert_string_equal(text, "pipe");
        assert_ok(io_copy(proc, to2, IO_COPY_ALL, &e), e);
        status = unit_read(dir, "c");
        assert_non_null(strstr(status, "Pid:"));
}

/* Hole, data, hole, data, hole: neither content nor size change, and the holes stay. */
static void test_copy_sparse(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        AUTO_CLOSE int from = open_new(dir, "a"), to = open_new(dir, "b");
        struct stat a, b;
        char x;

        assert_int_equal(pwrite(from, "x", 1, 1 << 20), 1);
        assert_int_equal(pwrite(from, "y", 1, 5 << 20), 1);
        assert_int_equal(ftruncate(from, 8 << 20), 0);
        assert_ok(io_copy(from, to, IO_COPY_ALL, &e), e);
        assert_int_equal(fstat(from, &a) | fstat(to, &b), 0);
        assert_int_equal(b.st_size, 8 << 20);
        if (a.st_blocks * 512 < 1 << 20)
                assert_true(b.st_blocks * 512 < 1 << 20);
        assert_int_equal(pread(to, &x, 1, 1 << 20), 1);
        assert_int_equal(x, 'x');
        assert_int_equal(pread(to, &x, 1, 5 << 20), 1);
        assert_int_equal(x, 'y');
        /* Both stand at the end. */
        assert_int_equal(lseek(from, 0, SEEK_CUR), 8 << 20);
        assert_int_equal(lseek(to, 0, SEEK_CUR), 8 << 20);
        /* A part of it that ends in a hole. */
        assert_int_equal(lseek(from, (1 << 20) - 1, SEEK_SET), (1 << 20) - 1);
        assert_int_equal(ftruncate(to, 0) | lseek(to, 0, SEEK_SET), 0);
        assert_ok(io_copy(from, to, 1 << 20, &e), e);
        assert_int_equal(fstat(to, &b), 0);
        assert_int_equal(b.st_size, 1 << 20);
        assert_int_equal(pread(to, &x, 1, 1), 1);
        assert_int_equal(x, 'x');
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_read_full),       cmocka_unit_test(test_write_nonblocking),
            unit_test_dir(test_read_file),          unit_test_dir(test_read_empty_and_proc),
            unit_test_dir(test_fifo_does_not_hang), unit_test_dir(test_copy),
            unit_test_dir(test_copy_pipe_and_proc), unit_test_dir(test_copy_sparse),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
