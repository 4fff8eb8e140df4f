/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>

static int gone(int dir, const char *name)
{
        struct stat st;

        return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

static void test_remove_simple(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);

        assert_ok(path_remove_tree(dir, "none", &e), e);
        unit_write(dir, "file", "x");
        assert_ok(path_remove_tree(dir, "file", &e), e);
        assert_int_equal(symlinkat("/nowhere", dir, "link"), 0);
        assert_ok(path_remove_tree(dir, "link", &e), e);
        assert_int_equal(mkdirat(dir, "empty", 0700), 0);
        assert_ok(path_remove_tree(dir, "empty", &e), e);
        assert_true(gone(dir, "file") && gone(dir, "link") && gone(dir, "empty"));
        assert_failed(path_remove_tree(-EBADF, "x", &e), e, ERR_SYS, "remove 'x'");
}

static void test_remove_wide(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state), before;
        char name[64];

        assert_int_equal(mkdirat(dir, "t", 0700), 0);
        for (int i = 0; i < 300; i++) {
                (void)snprintf(name, sizeof(name), "t/directory-with-a-long-name-%d", i);
                assert_int_equal(mkdirat(dir, name, 0700), 0);
                (void)snprintf(name, sizeof(name), "t/directory-with-a-long-name-%d/f", i);
                unit_write(dir, name, "x");
                (void)snprintf(name, sizeof(name), "t/f%d", i);
                unit_write(dir, name, "x");
        }
        before = unit_count_fds();
        assert_ok(path_remove_tree(dir, "t", &e), e);
        assert_true(gone(dir, "t"));
        assert_int_equal(unit_count_fds(), before);
}

/* A chain of directories with a file and a second directory beside it at every level. */
static void make_deep(int dir, const char *name, int depth)
{
        int fd;

        assert_int_equal(mkdirat(dir, name, 0700), 0);
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int i = 0; i < depth; i++) {
                int next;

                unit_write(fd, "file", "x");
                assert_int_equal(mkdirat(fd, "beside", 0700) | mkdirat(fd, "d", 0700), 0);
                unit_write(fd, "beside/file", "x");
                next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                (void)fd_close(fd);
                fd = next;
                assert_true(fd >= 0);
        }
        (void)fd_close(fd);
}

/* Deeper than any path can say, with fewer descriptors than levels. */
static void test_remove_deep(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        struct rlimit old, few = {.rlim_cur = 80, .rlim_max = 80};

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        few.rlim_max = old.rlim_max;
        make_deep(dir, "t", 3000);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        assert_ok(path_remove_tree(dir, "t", &e), e);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_true(gone(dir, "t"));
}

static void test_remove_follows_no_link(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);

        assert_int_equal(mkdirat(dir, "keep", 0700) | mkdirat(dir, "t", 0700), 0);
        unit_write(dir, "keep/f", "x");
        assert_int_equal(symlinkat("../keep", dir, "t/link") | symlinkat("keep", dir, "top"), 0);
        assert_int_equal(linkat(dir, "keep/f", dir, "t/hard", 0), 0);
        assert_ok(path_remove_tree(dir, "t", &e), e);
        assert_ok(path_remove_tree(dir, "top", &e), e);
        assert_true(gone(dir, "t") && gone(dir, "top"));
        assert_false(gone(dir, "keep/f"));
}

/* As somebody whom permission bits stop. */
static int remove_closed(void *arg)
{
        AUTO_CLOSE int dir = openat(*(int *)arg, "open", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (mkdirat(dir, "t", 0700) < 0 || mkdirat(dir, "t/a", 0700) < 0 ||
            mkdirat(dir, "t/a/b", 0700) < 0 || mkdirat(dir, "t/ro", 0700) < 0)
                return 1;
        unit_write(dir, "t/a/b/f", "x");
        unit_write(dir, "t/a/f", "x");
        unit_write(dir, "t/ro/f", "x");
        if (fchmodat(dir, "t/a/b", 0, 0) < 0 || fchmodat(dir, "t/a", 0, 0) < 0 ||
            fchmodat(dir, "t/ro", 0500, 0) < 0 || fchmodat(dir, "t", 0, 0) < 0)
                return 2;
        if (path_remove_tree(dir, "t", NULL) < 0)
                return 3;
        return gone(dir, "t") ? 0 : 4;
}

static void test_remove_without_permission_bits(void **state)
{
        int dir = unit_dir(state);

        assert_int_equal(mkdirat(dir, "open", 0777) | fchmodat(dir, "open", 0777, 0), 0);
        assert_int_equal(unit_fork(remove_closed, &dir, 1), 0);
}

/* In namespaces of its own: a mount inside the tree is not entered, bind mounts of the same file system included. */
static int remove_mounted(void *arg)
{
        AUTO_CLOSE int dir = -EBADF;
        char from[FD_PATH_MAX + 8], to[FD_PATH_MAX + 8], link[FD_PATH_MAX];

        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return 77;
        dir = open(arg, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)snprintf(from, sizeof(from), "%s/keep", fd_path(dir, link));
        (void)snprintf(to, sizeof(to), "%s/t/m", fd_path(dir, link));
        if (mount(from, to, NULL, MS_BIND, NULL) < 0)
                return 77;
        if (path_remove_tree(dir, "t", NULL) != -EBUSY)
                return 3;
        return gone(dir, "keep/f") ? 4 : 0;
}

static void test_remove_crosses_no_mount(void **state)
{
        int dir = unit_dir(state), r;
        char *path = unit_dir_path(dir);

        assert_int_equal(mkdirat(dir, "keep", 0700) | mkdirat(dir, "t", 0700), 0);
        assert_int_equal(mkdirat(dir, "t/m", 0700), 0);
        unit_write(dir, "keep/f", "x");
        r = unit_fork(remove_mounted, path, 0);
        free(path);
        if (r == 77)
                skip();
        assert_int_equal(r, 0);
}

/* Moves a directory in and out of the tree, swaps it with a link, and keeps making new ones, while the tree is removed. */
static void disturb(int dir)
{
        for (unsigned i = 0;; i++) {
                (void)renameat(dir, "t/a", dir, "aside");
                if (symlinkat("../keep", dir, "t/a") == 0)
                        (void)unlinkat(dir, "t/a", 0);
                (void)renameat(dir, "aside", dir, "t/a");
                (void)mkdirat(dir, "t/a", 0700);
                (void)mkdirat(dir, "t/a/b", 0700);
                if (getppid() == 1)
                        _exit(0);
        }
}

static void test_remove_while_disturbed(void **state)
{
        int dir = unit_dir(state), before = unit_count_fds();
        pid_t pid;

        assert_int_equal(mkdirat(dir, "keep", 0700), 0);
        unit_write(dir, "keep/f", "x");
        pid = fork();
        if (pid == 0)
                disturb(dir);
        for (int i = 0; i < 200; i++) {
                (void)mkdirat(dir, "t", 0700);
                (void)mkdirat(dir, "t/a", 0700);
                (void)mkdirat(dir, "t/a/c", 0700);
                /* May lose against somebody who makes new ones for ever; may not hang, nor go astray. */
                (void)path_remove_tree(dir, "t", NULL);
        }
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        assert_false(gone(dir, "keep/f"));
        assert_int_equal(unit_count_fds(), before);
        assert_int_equal(path_remove_tree(dir, "t", NULL), 0);
}

static void test_usage(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        unsigned long long bytes = 0, inodes = 0, more = 0;
        char block[8193];

        memset(block, 'x', 8192);
        block[8192] = '\0';
        assert_int_equal(mkdirat(dir, "t", 0700) | mkdirat(dir, "t/d", 0700), 0);
        unit_write(dir, "t/a", block);
        assert_int_equal(symlinkat("/", dir, "t/link"), 0);
        assert_ok(path_usage(dir, "t", &bytes, &inodes, &e), e);
        assert_int_equal(inodes, 4);
        assert_true(bytes >= 8192);
        /* Further names of a file weigh nothing. */
        for (int i = 0; i < 200; i++) {
                char name[20];

                (void)snprintf(name, sizeof(name), "t/d/%d", i);
                assert_int_equal(linkat(dir, "t/a", dir, name, 0), 0);
        }
        assert_ok(path_usage(dir, "t", &more, &inodes, &e), e);
        assert_int_equal(inodes, 4);
        assert_true(more < bytes + 3 * 8192);
        assert_ok(path_usage(dir, "t/a", &bytes, &inodes, &e), e);
        assert_int_equal(inodes, 1);
        assert_failed(path_usage(dir, "none", &bytes, &inodes, &e), e, ERR_SYS, "measure 'none'");
}

static void test_usage_deep(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state), before = unit_count_fds();
        unsigned long long bytes, inodes;

        make_deep(dir, "t", 500);
        assert_ok(path_usage(dir, "t", &bytes, &inodes, &e), e);
        assert_int_equal(inodes, 1 + 4 * 500);
        assert_int_equal(unit_count_fds(), before);
}

static void test_usage_many_linked(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        unsigned long long bytes, inodes;
        char name[24], other[24];

        assert_int_equal(mkdirat(dir, "t", 0700), 0);
        for (int i = 0; i < 300; i++) {
                (void)snprintf(name, sizeof(name), "t/%d", i);
                (void)snprintf(other, sizeof(other), "t/%d-again", i);
                unit_write(dir, name, "");
                assert_int_equal(linkat(dir, name, dir, other, 0), 0);
        }
        assert_ok(path_usage(dir, "t", &bytes, &inodes, &e), e);
        assert_int_equal(inodes, 301);
}

/* Down to the last, with fewer descriptors than levels; the link's target stays whose it is. Only root can tell. */
static void test_chown(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state), fd;
        uid_t to = geteuid() == 0 ? 1234 : geteuid();
        struct stat st;

        unit_write(dir, "keep", "x");
        make_deep(dir, "t", 200);
        assert_int_equal(symlinkat("../keep", dir, "t/link"), 0);
        fd = openat(dir, "t", O_PATH | O_CLOEXEC);
        assert_ok(path_chown_tree(fd, to, getegid(), &e), e);
        assert_int_equal(fstat(fd, &st) | (st.st_uid != to), 0);
        assert_int_equal(fstatat(fd, "link", &st, AT_SYMLINK_NOFOLLOW) | (st.st_uid != to), 0);
        assert_int_equal(fstatat(dir, "keep", &st, 0) | (st.st_uid != geteuid()), 0);
        for (int i = 0; i < 199; i++) {
                int next = openat(fd, "d", O_PATH | O_CLOEXEC);

                (void)fd_close(fd);
                fd = next;
        }
        assert_int_equal(fstatat(fd, "beside/file", &st, 0) | (st.st_uid != to), 0);
        assert_int_equal(fstatat(fd, "d", &st, 0) | (st.st_uid != to), 0);
        (void)fd_close(fd);
        assert_failed(path_chown_tree(-EBADF, to, getegid(), &e), e, ERR_SYS, "change its owner");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            unit_test_dir(test_remove_simple),
            unit_test_dir(test_remove_wide),
            unit_test_dir(test_remove_deep),
            unit_test_dir(test_remove_follows_no_link),
            unit_test_dir(test_remove_without_permission_bits),
            unit_test_dir(test_remove_crosses_no_mount),
            unit_test_dir(test_remove_while_disturbed),
            unit_test_dir(test_usage),
            unit_test_dir(test_usage_deep),
            unit_test_dir(test_usage_many_linked),
            unit_test_dir(test_chown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
