/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "launch/user.h"

#include <errno.h>

/* The module looks below the current directory: it is the container's root there. */
static int enter(void **state)
{
        int r = unit_setup_dir(state);

        if (r != 0 || fchdir(unit_dir(state)) < 0 || mkdirat(unit_dir(state), "etc", 0755) < 0)
                return -1;
        return 0;
}

static int leave(void **state)
{
        if (chdir("/") < 0)
                return -1;
        return unit_teardown_dir(state);
}

static int resolve(const char *who, struct user_result *u)
{
        struct child_note note = {0};

        return user_resolve(who, 0, 0, NULL, 0, u, &note);
}

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "# a comment\n"
                             "broken\n"
                             "bad:x:-1:0::/:\n"
                             "alice:x:1000:100:Alice:/home/alice:/bin/sh\n"
                             "1234:x:7:8::/seven:\n"
                             "nohome:x:9:9:::\n"
                             "last:x:11:12::/last:/bin/sh"; /* no newline */
static const char group[] = "root:x:0:\n"
                            "staff:x:50:bob,alice\n"
                            "also:x:51:alice\n"
                            "prefix:x:52:alicex,xalice\n"
                            "bad:x:x:alice\n"
                            "60:x:61:\n";

static void write_files(void **state)
{
        unit_write(unit_dir(state), "etc/passwd", passwd);
        unit_write(unit_dir(state), "etc/group", group);
}

static void test_names(void **state)
{
        struct user_result u;

        write_files(state);
        assert_int_equal(resolve("", &u), 0);
        assert_int_equal(u.uid, 0);
        assert_string_equal(u.home, "/root");
        assert_int_equal(resolve("alice", &u), 0);
        assert_int_equal(u.uid, 1000);
        assert_int_equal(u.gid, 100);
        assert_int_equal(u.n_groups, 2);
        assert_int_equal(u.groups[0], 50);
        assert_int_equal(u.groups[1], 51);
        assert_string_equal(u.home, "/home/alice");
        assert_int_equal(resolve("last", &u), 0);
        assert_int_equal(u.uid, 11);
        assert_int_equal(resolve("nohome", &u), 0);
        assert_string_equal(u.home, "/");
        assert_int_equal(resolve("bad", &u), -ENOENT);
        assert_int_equal(resolve("nobody", &u), -ENOENT);
}

static void test_numbers(void **state)
{
        struct user_result u;

        write_files(state);
        /* A number takes group and memberships from its line … */
        assert_int_equal(resolve("1000", &u), 0);
        assert_int_equal(u.gid, 100);
        assert_int_equal(u.n_groups, 2);
        /* … and without a line group 0. */
        assert_int_equal(resolve("4321", &u), 0);
        assert_int_equal(u.uid, 4321);
        assert_int_equal(u.gid, 0);
        assert_int_equal(u.n_groups, 0);
        /* A name that looks like a number is a name first. */
        assert_int_equal(resolve("1234", &u), 0);
        assert_int_equal(u.uid, 7);
        /* "No id" is no id. */
        assert_int_equal(resolve("4294967295", &u), -ENOENT);
        assert_int_equal(resolve("99999999999999999999", &u), -ENOENT);
        assert_int_equal(resolve("-1", &u), -ENOENT);
}

static void test_explicit_group(void **state)
{
        struct user_result u;

        write_files(state);
        assert_int_equal(resolve("alice:staff", &u), 0);
        assert_int_equal(u.gid, 50);
        assert_int_equal(u.n_groups, 0);
        assert_int_equal(resolve("1000:60", &u), 0);
        assert_int_equal(u.gid, 61);
        assert_int_equal(resolve("1:77", &u), 0);
        assert_int_equal(u.gid, 77);
        assert_int_equal(resolve(":staff", &u), 0);
        assert_int_equal(u.uid, 0);
        assert_int_equal(u.gid, 50);
        assert_int_equal(resolve("alice:nowhere", &u), -ENOENT);
}

static void test_extra_groups(void **state)
{
        char *extra[] = {(char *)"staff", (char *)"also", (char *)"77", (char *)"77"};
        char *bad[] = {(char *)"nowhere"};
        struct child_note note = {0};
        struct user_result u;

        write_files(state);
        assert_int_equal(user_resolve("alice", 0, 0, extra, 4, &u, &note), 0);
        assert_int_equal(u.n_groups, 3);
        assert_int_equal(u.groups[2], 77);
        assert_int_equal(user_resolve("alice", 0, 0, bad, 1, &u, &note), -ENOENT);
        assert_string_equal(note.object, "nowhere");
}

static void test_without_files(void **state)
{
        struct child_note note = {0};
        struct user_result u;

        assert_int_equal(user_resolve("", 1000, 1001, NULL, 0, &u, &note), 0);
        assert_int_equal(u.uid, 1000);
        assert_int_equal(u.gid, 1001);
        assert_int_equal(resolve("5:6", &u), 0);
        assert_int_equal(u.uid, 5);
        assert_int_equal(u.gid, 6);
        assert_int_equal(resolve("root", &u), -ENOENT);
}

/* A pipe would hang, a directory and a device are no lists of users. */
static void test_hostile_kinds(void **state)
{
        struct user_result u;

        assert_int_equal(mkfifo("etc/passwd", 0644), 0);
        assert_int_equal(mkdir("etc/group", 0755), 0);
        assert_int_equal(resolve("7", &u), 0);
        assert_int_equal(resolve("alice", &u), -ENOENT);
}

/* The host's file, by a link that leads out: it is looked up inside. */
static void test_link_stays_inside(void **state)
{
        struct user_result u;

        assert_int_equal(symlink("../../../../../../../../../../etc/passwd", "etc/passwd"), 0);
        assert_int_equal(resolve("root", &u), -ENOENT);
}

/* A line that does not fit is passed over, and the one behind it is found, wherever the buffer's border lies. */
static void test_long_lines(void **state)
{
        static const size_t lengths[] = {65000, 65534, 65535, 65536, 65537, 131072, 200000};
        struct user_result u;

        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
                size_t n = lengths[i];
                char *text = malloc(n + 64);

                memset(text, 'x', n);
                (void)strcpy(text + n, "\nlate:x:5:6::/late:\n"); /* lint-allow: strcpy: test */
                unit_write(unit_dir(state), "etc/passwd", text);
                free(text);
                assert_int_equal(resolve("late", &u), 0);
                assert_int_equal(u.uid, 5);
        }
}

static void test_too_many_groups(void **state)
{
        struct user_result u;
        int fd = open("etc/group", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

        for (int i = 0; i < USER_GROUPS_MAX + 1; i++)
                assert_true(dprintf(fd, "g%d:x:%d:alice\n", i, i + 10) > 0);
        close(fd);
        unit_write(unit_dir(state), "etc/passwd", passwd);
        assert_int_equal(resolve("alice", &u), -E2BIG);
}

/* A number is the id itself, not the name of somebody else's line. */
static void test_home(void **state)
{
        char home[USER_HOME_MAX];

        assert_int_equal(user_home(1000, home), 0); /* no files */
        assert_string_equal(home, "/");
        write_files(state);
        assert_int_equal(user_home(1000, home), 0);
        assert_string_equal(home, "/home/alice");
        assert_int_equal(user_home(1234, home), 0);
        assert_string_equal(home, "/");
        assert_int_equal(user_home(7, home), 0);
        assert_string_equal(home, "/seven");
}

#define user_test(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
        const struct CMUnitTest tests[] = {
            user_test(test_names),
            user_test(test_numbers),
            user_test(test_explicit_group),
            user_test(test_extra_groups),
            user_test(test_without_files),
            user_test(test_hostile_kinds),
            user_test(test_link_stays_inside),
            user_test(test_long_lines),
            user_test(test_too_many_groups),
            user_test(test_home),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
