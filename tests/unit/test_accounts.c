/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "image/accounts.h"

#include <errno.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "broken\n"
                             "bad:x:-1:0::/:\n"
                             "alice:x:1000:100:Alice:/home/alice:/bin/sh\n"
                             "nogid:x:8:x::/:\n"
                             ":x:13:13::/:\n"
                             "last:x:11:12::/last:/bin/sh"; /* no newline */
static const char group[] = "root:x:0:\n"
                            "staff:x:50:alice\n"
                            "60:x:61:\n";

static void test_find(void **state)
{
        static const struct {
                const char *user;
                int r;
                uint32_t uid, gid;
        } cases[] = {
            {"alice", 0, 1000, 100},
            {"1000", 0, 1000, 100},
            {"1001", 0, 1001, 0},
            {"alice:", 0, 1000, 100},
            {"alice:staff", 0, 1000, 50},
            {"alice:7", 0, 1000, 7},
            {"5:60", 0, 5, 61},
            {"last", 0, 11, 12},
            {"13", 0, 13, 0},
            {"root", 0, 0, 0},
            {"bob", -ENOENT, 0, 0},
            {"alice:nobody", -ENOENT, 0, 0},
            {"bad", -ENOENT, 0, 0},
            {"broken", -ENOENT, 0, 0},
            {"nogid", -ENOENT, 0, 0},
            {":5", -ENOENT, 0, 0},
            {"", -ENOENT, 0, 0},
            {"4294967295", -ENOENT, 0, 0},
            {"99999999999", -ENOENT, 0, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint32_t uid = 0, gid = 0;

                print_message("'%s'\n", cases[i].user);
                assert_int_equal(accounts_find(passwd, group, cases[i].user, &uid, &gid),
                                 cases[i].r);
                assert_int_equal(uid, cases[i].uid);
                assert_int_equal(gid, cases[i].gid);
        }
}

static void test_no_files(void **state)
{
        uint32_t uid = 0, gid = 0;

        assert_int_equal(accounts_find(NULL, NULL, "12:34", &uid, &gid), 0);
        assert_int_equal(uid, 12);
        assert_int_equal(gid, 34);
        assert_int_equal(accounts_find(NULL, NULL, "root", &uid, &gid), -ENOENT);
}

static void test_have(void **state)
{
        assert_true(accounts_have(passwd, 2, "1000"));
        assert_true(accounts_have(passwd, 0, "last"));
        assert_false(accounts_have(passwd, 0, "ali"));
        assert_false(accounts_have(passwd, 9, "1000"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_find),
            cmocka_unit_test(test_no_files),
            cmocka_unit_test(test_have),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
