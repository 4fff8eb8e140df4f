/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static void test_clean(void **state)
{
        static const char *const cases[][2] = {
            {"", "."},          {".", "."},      {"/", "/"},           {"//", "/"},
            {"a", "a"},         {"a/", "a"},     {"./a", "a"},         {"a//b/./c", "a/b/c"},
            {"a/..", "."},      {"a/../b", "b"}, {"../a", "../a"},     {"a/../../b", "../b"},
            {"../..", "../.."}, {"/..", "/"},    {"/../a", "/a"},      {"/a/b/../..", "/"},
            {"/a/b/..", "/a"},  {"...", "..."},  {"/.../x", "/.../x"}, {"a/b/../../..", ".."},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *s = path_clean(cases[i][0]);

                assert_string_equal(s, cases[i][1]);
        }
}

static void test_join_last_name(void **state)
{
        static const char *const joins[][3] = {
            {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"},
            {"a", "/b", "/b"}, {"", "b", "b"},     {"/a//", "b/c", "/a/b/c"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(joins); i++) {
                AUTO_FREE char *s = path_join(joins[i][0], joins[i][1]);

                assert_string_equal(s, joins[i][2]);
        }
        assert_string_equal(path_last("/a/b"), "b");
        assert_string_equal(path_last("b"), "b");
        assert_string_equal(path_last("a/"), "");
        assert_true(path_is_clean_name("a") && path_is_clean_name("...") &&
                    path_is_clean_name(".a"));
        assert_false(path_is_clean_name(""));
        assert_false(path_is_clean_name("."));
        assert_false(path_is_clean_name(".."));
        assert_false(path_is_clean_name("a/b"));
}

static void test_make_absolute(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *cwd = getcwd(NULL, 0), *a = path_make_absolute("x/../y", &e);
        AUTO_FREE char *b = path_make_absolute("/x//y", &e), *expected = path_join(cwd, "y");

        assert_string_equal(a, expected);
        assert_string_equal(b, "/x/y");
}

static void test_mkdir_open(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        AUTO_CLOSE int a = path_mkdir_open(dir, "a/b//c/", 0700, &e), b = -EBADF;
        struct stat st;

        assert_ok(a, e);
        assert_int_equal(fstat(a, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        b = path_mkdir_open(dir, "a/b/c", 0755, &e);
        assert_ok(b, e);
        unit_write(dir, "file", "");
        assert_failed(path_mkdir_open(dir, "file/x", 0700, &e), e, ERR_SYS, "Not a directory");
        assert_failed(path_mkdir_open(dir, "file", 0700, &e), e, ERR_SYS, "Not a directory");
}

/* The test directory: root/ is the root, secret lies beside it; every way out must end inside or fail. */
static int make_root(int dir)
{
        int root;

        unit_write(dir, "secret", "secret");
        assert_int_equal(mkdirat(dir, "root", 0755), 0);
        root = openat(dir, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(root, "etc", 0755), 0);
        unit_write(root, "etc/passwd", "inside");
        unit_write(root, "secret", "inside");
        assert_int_equal(symlinkat("/etc/passwd", root, "absolute"), 0);
        assert_int_equal(symlinkat("../../../../etc/passwd", root, "dotdot"), 0);
        assert_int_equal(symlinkat("../secret", root, "beside"), 0);
        assert_int_equal(symlinkat("loop", root, "loop"), 0);
        assert_int_equal(symlinkat("/nowhere", root, "dangling"), 0);
        return root;
}

static void assert_inside(int fd)
{
        char buf[16] = "";

        assert_true(fd >= 0);
        assert_true(read(fd, buf, sizeof(buf) - 1) > 0);
        assert_string_equal(buf, "inside");
        (void)fd_close(fd);
}

static void test_in_root(void **state)
{
        static const char *const inside[] = {
            "etc/passwd",     "/etc/passwd", "absolute",   "dotdot",
            "beside",         "../secret",   "/../secret", "etc/../../../secret",
            "./etc/./passwd", "//secret",
        };
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int root = make_root(unit_dir(state)), fd = -EBADF;

        for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
                assert_inside(path_open_in_root(root, inside[i], O_RDONLY, 0, &e));
        assert_null(e);
        assert_int_equal(path_open_in_root_raw(root, "loop", O_RDONLY, 0), -ELOOP);
        assert_int_equal(path_open_in_root_raw(root, "absolute", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
        assert_int_equal(path_open_in_root_raw(root, "dangling", O_RDONLY, 0), -ENOENT);
        assert_failed(path_open_in_root(root, "none", O_RDONLY, 0, &e), e, ERR_SYS,
                      "open 'none' inside the root: No such file");
        /* Created through a link that points out: inside, with the mode asked for and close-on-exec. */
        fd = path_open_in_root(root, "dangling", O_WRONLY | O_CREAT, 0600, &e);
        assert_ok(fd, e);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(faccessat(root, "nowhere", F_OK, 0), 0);
}

static void test_magic_links(void **state)
{
        AUTO_CLOSE int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(path_open_in_root_raw(proc, "self/root/etc", O_RDONLY, 0), -ELOOP);
        assert_int_equal(path_open_in_root_raw(proc, "self/cwd", O_RDONLY, 0), -ELOOP);
        assert_int_equal(path_open_in_root_raw(proc, "self/fd/0", O_RDONLY, 0), -ELOOP);
}

/* Somebody exchanges a directory with a link to the outside as fast as they can. */
static void swapper(int root)
{
        for (;;) {
                (void)syscall(SYS_renameat2, root, "d", root, "link", RENAME_EXCHANGE);
                if (getppid() == 1)
                        _exit(0);
        }
}

static void race(int dir, int root, void (*attempt)(int root, int i))
{
        AUTO_FREE char *outside = unit_dir_path(dir);
        pid_t pid;

        assert_int_equal(mkdirat(root, "d", 0755), 0);
        unit_write(root, "d/secret", "inside");
        assert_int_equal(symlinkat(outside, root, "link"), 0);
        pid = fork();
        if (pid == 0)
                swapper(root);
        for (int i = 0; i < 3000; i++)
                attempt(root, i);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
}

static void open_once(int root, int i)
{
        int fd = path_open_in_root_raw(root, i % 2 ? "d/secret" : "d/../d/secret", O_RDONLY, 0);

        if (fd >= 0)
                assert_inside(fd);
        else
                assert_true(fd == -ENOENT || fd == -EAGAIN);
}

static void test_in_root_race(void **state)
{
        AUTO_CLOSE int root = make_root(unit_dir(state));

        race(unit_dir(state), root, open_once);
}

static void mkdir_once(int root, int i)
{
        int fd = path_mkdir_in_root_raw(root, "d/new/deep", 0755);

        if (fd >= 0)
                (void)fd_close(fd);
        (void)path_remove_tree(root, "d/new", NULL);
}

static void test_mkdir_in_root_race(void **state)
{
        int dir = unit_dir(state);
        AUTO_CLOSE int root = make_root(dir);

        race(dir, root, mkdir_once);
        assert_int_equal(faccessat(dir, "new", F_OK, 0), -1);
}

static ino_t inode_of(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return st.st_ino;
}

static void test_mkdir_in_root(void **state)
{
        static const char *const cases[][2] = {
            /* made, and where it must be */
            {"/a/b/c", "a/b/c"},
            {"a/b/c", "a/b/c"},
            {"../../x/./y//z/", "x/y/z"},
            {"new/../other", "other"},
            {"to-etc/sub", "etc/sub"},
            {"out/sub", "etc/sub"},
            {"dangling/sub", "nowhere/sub"},
            {"etc/relative/sub", "etc/made/up/sub"},
            {"var/run/sub", "run/sub"},
            {"chain/sub", "nowhere2/sub"},
            {"/", "."},
            {"", "."},
        };
        AUTO_CLOSE int root = make_root(unit_dir(state));

        assert_int_equal(symlinkat("/etc", root, "to-etc"), 0);
        assert_int_equal(symlinkat("../../../etc", root, "out"), 0);
        assert_int_equal(symlinkat("made/up", root, "etc/relative"), 0);
        assert_int_equal(mkdirat(root, "var", 0755), 0);
        assert_int_equal(symlinkat("../run", root, "var/run"), 0);
        assert_int_equal(symlinkat("chain2", root, "chain"), 0);
        assert_int_equal(symlinkat("/nowhere2", root, "chain2"), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_CLOSE int fd = path_mkdir_in_root_raw(root, cases[i][0], 0755);
                AUTO_CLOSE int there = openat(root, cases[i][1], O_PATH | O_DIRECTORY | O_CLOEXEC);

                if (fd < 0 || there < 0)
                        fail_msg("'%s': %d", cases[i][0], fd);
                assert_true(inode_of(fd) == inode_of(there));
        }
}

static void test_mkdir_in_root_refuses(void **state)
{
        AUTO_CLOSE int root = make_root(unit_dir(state));
        char long_path[PATH_MAX + 1];
        int before;

        memset(long_path, 'x', PATH_MAX);
        long_path[PATH_MAX] = '\0';
        before = unit_count_fds();
        assert_int_equal(path_mkdir_in_root_raw(root, "etc/passwd", 0755), -ENOTDIR);
        assert_int_equal(path_mkdir_in_root_raw(root, "etc/passwd/x", 0755), -ENOTDIR);
        assert_int_equal(path_mkdir_in_root_raw(root, "loop/x", 0755), -ELOOP);
        assert_int_equal(path_mkdir_in_root_raw(root, long_path, 0755), -ENAMETOOLONG);
        long_path[300] = '\0';
        assert_int_equal(path_mkdir_in_root_raw(root, long_path, 0755), -ENAMETOOLONG);
        assert_int_equal(unit_count_fds(), before);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_clean),         cmocka_unit_test(test_join_last_name),
            cmocka_unit_test(test_make_absolute), unit_test_dir(test_mkdir_open),
            unit_test_dir(test_in_root),          unit_test_dir(test_magic_links),
            unit_test_dir(test_in_root_race),     unit_test_dir(test_mkdir_in_root_race),
            unit_test_dir(test_mkdir_in_root),    unit_test_dir(test_mkdir_in_root_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
