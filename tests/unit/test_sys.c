/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/fd.h"
#include "base/process.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void test_clone(void **state)
{
        int pidfd = -EBADF;
        pid_t pid = sys_clone(0, &pidfd, -EBADF);

        if (pid == 0)
                _exit(sys_getppid() > 0 && sys_getpid() > 0 ? 7 : 1);
        assert_true(pid > 0);
        assert_int_equal(process_wait(pidfd, NULL), 7);
        (void)fd_close(pidfd);
}

/* Loads a filter that makes clone3 answer ENOSYS, as outer containers do; for this process and its children. */
static int hide_clone3(void)
{
        struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog prog = {.len = ARRAY_SIZE(filter), .filter = filter};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return sys_seccomp_load(&prog, 0);
}

static int clone_without_clone3(void *arg)
{
        int pidfd = -EBADF;
        pid_t pid;

        if (hide_clone3() < 0)
                return 77;
        if (sys_clone(0, NULL, STDIN_FILENO) != -ENOSYS)
                return 1;
        if (sys_clone(1ULL << 33, NULL, -EBADF) != -ENOSYS)
                return 2;
        pid = sys_clone(0, &pidfd, -EBADF);
        if (pid == 0)
                _exit(7);
        if (pid < 0 || process_wait(pidfd, NULL) != 7)
                return 3;
        return 0;
}

static void test_clone_fallback(void **state)
{
        int r = unit_fork(clone_without_clone3, NULL, 0);

        if (r == 77)
                skip();
        assert_int_equal(r, 0);
}

/* Everything answers with -errno, and close-on-exec where there is a descriptor. */
static void test_errors(void **state)
{
        assert_int_equal(sys_openat2(AT_FDCWD, "/nowhere", O_RDONLY, 0, 0), -ENOENT);
        assert_int_equal(sys_close(-1), -EBADF);
        assert_int_equal(sys_pidfd_open(-1, 0), -EINVAL);
        assert_int_equal(sys_pidfd_send_signal(-1, 0), -EBADF);
        assert_int_equal(sys_setns(-1, 0), -EBADF);
        assert_int_equal(sys_close_range(5, 4, 0), -EINVAL);
}

static void test_read_write(void **state)
{
        AUTO_CLOSE int null = sys_openat2(AT_FDCWD, "/dev/null", O_RDWR, 0, 0);
        char c;

        assert_true(fcntl(null, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(sys_write(null, "x", 1), 1);
        assert_int_equal(sys_read(null, &c, 1), 0);
        assert_int_equal(sys_read(-1, &c, 1), -EBADF);
}

/* A mount that cannot be leaves words behind. */
static int fs_message(void *arg)
{
        AUTO_CLOSE int fs = -EBADF;
        char text[120] = "x", tiny[5];

        if (sys_unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return 77;
        fs = sys_fsopen("overlay");
        if (fs < 0)
                return 77;
        sys_fs_message(fs, text, sizeof(text));
        if (text[0] != '\0')
                return 1;
        if (sys_fsconfig_string(fs, "nonsense", "1") >= 0)
                return 2;
        sys_fs_message(fs, text, sizeof(text));
        if (!strstr(text, "nonsense") || strchr(text, '\n'))
                return 3;
        (void)sys_fsconfig_string(fs, "nonsense", "1");
        sys_fs_message(fs, tiny, sizeof(tiny));
        return strlen(tiny) == 4 ? 0 : 4;
}

static void test_fs_message(void **state)
{
        int r = unit_fork(fs_message, NULL, 0);

        if (r == 77)
                skip();
        assert_int_equal(r, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_clone),      cmocka_unit_test(test_clone_fallback),
            cmocka_unit_test(test_errors),     cmocka_unit_test(test_read_write),
            cmocka_unit_test(test_fs_message),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
