/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/random_id.h"
#include "base/str.h"

static void test_id(void **state)
{
        char a[RANDOM_ID_LEN + 1], b[RANDOM_ID_LEN + 1];

        for (int i = 0; i < 2000; i++) {
                random_id(a);
                assert_true(str_is_hex(a, RANDOM_ID_LEN));
                assert_true(strspn(a, "0123456789") < 12);
        }
        random_id(b);
        assert_string_not_equal(a, b);
}

static void test_name(void **state)
{
        char name[32], tiny[4];

        for (int i = 0; i < 500; i++) {
                random_name(name, sizeof(name));
                assert_non_null(strchr(name, '_'));
                assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
                assert_true(strlen(name) < sizeof(name) - 1);
        }
        random_name(tiny, sizeof(tiny));
        assert_int_equal(strlen(tiny), 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_id),
            cmocka_unit_test(test_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
