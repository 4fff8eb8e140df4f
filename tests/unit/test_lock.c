/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/fd.h"
#include "base/lock.h"

#include <errno.h>
#include <signal.h>

static void test_exclusive(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        int a = lock_acquire(dir, "lock", true, &e);

        assert_ok(a, e);
        assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(lock_try(dir, "lock", true, &e), -EWOULDBLOCK);
        assert_int_equal(lock_try(dir, "lock", false, &e), -EWOULDBLOCK);
        assert_null(e);
        assert_true(lock_is_held(dir, "lock"));
        (void)fd_close(a);
        assert_false(lock_is_held(dir, "lock"));
        a = lock_try(dir, "lock", true, &e);
        assert_ok(a, e);
        (void)fd_close(a);
}

static void test_shared(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        AUTO_CLOSE int a = lock_acquire(dir, "lock", false, &e),
                       b = lock_try(dir, "lock", false, &e);

        assert_ok(a, e);
        assert_ok(b, e);
        assert_int_equal(lock_try(dir, "lock", true, &e), -EWOULDBLOCK);
        assert_false(lock_is_held(dir, "lock"));
}

static void test_directory(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        AUTO_CLOSE int a = -EBADF, b = -EBADF;

        assert_int_equal(mkdirat(dir, "d", 0700), 0);
        a = lock_acquire(dir, "d", true, &e);
        assert_ok(a, e);
        assert_true(lock_is_held(dir, "d"));
        b = lock_acquire(dir, ".", true, &e);
        assert_ok(b, e);
}

static void test_refuses(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);

        assert_false(lock_is_held(dir, "none"));
        assert_int_equal(symlinkat("target", dir, "link"), 0);
        assert_failed(lock_acquire(dir, "link", true, &e), e, ERR_SYS, "lock 'link'");
        assert_failed(lock_try(dir, "none/x", true, &e), e, ERR_SYS, "lock 'none/x'");
        assert_int_equal(faccessat(dir, "target", F_OK, 0), -1);
}

/* Dies holding it. */
static int hold_and_die(void *arg)
{
        if (lock_acquire(*(int *)arg, "lock", true, NULL) < 0)
                return 1;
        return raise(SIGKILL);
}

static void test_gone_with_its_holder(void **state)
{
        int dir = unit_dir(state);

        assert_int_equal(unit_fork(hold_and_die, &dir, 0), 128 + SIGKILL);
        assert_false(lock_is_held(dir, "lock"));
}

/* While one waits, the holder removes the file: the waiter must not end up with a lock nobody else can see. */
static void test_file_replaced(void **state)
{
        int dir = unit_dir(state), status;
        int a = lock_acquire(dir, "lock", true, NULL);
        pid_t pid = fork();

        if (pid == 0) {
                int fd;

                (void)fd_close(a); /* a copy of it would hold the lock as well */
                fd = lock_acquire(dir, "lock", true, NULL);
                _exit(fd >= 0 && lock_is_held(dir, "lock") ? 0 : 1);
        }
        (void)usleep(
            20000); /* most likely it waits by now; if not, the test is only easier to pass */
        assert_int_equal(unlinkat(dir, "lock", 0), 0);
        (void)fd_close(a);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            unit_test_dir(test_exclusive),
            unit_test_dir(test_shared),
            unit_test_dir(test_directory),
            unit_test_dir(test_refuses),
            unit_test_dir(test_gone_with_its_holder),
            unit_test_dir(test_file_replaced),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
