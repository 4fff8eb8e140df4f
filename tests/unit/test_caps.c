/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/str.h"
#include "security/caps.h"

#include <linux/capability.h>

#define BIT(c) (UINT64_C(1) << (c))

static int adjust(const char *add, const char *drop, uint64_t *ret, struct err **e)
{
        AUTO_STRV a = {0}, d = {0};

        if (*add)
                strv_split(&a, add, ',');
        if (*drop)
                strv_split(&d, drop, ',');
        return caps_adjust(caps_default(), &a, &d, ret, e);
}

static void test_names(void **state)
{
        for (int i = 0; i < CAPS_COUNT; i++)
                assert_int_equal(cap_from_name(cap_name(i)), i);
        assert_int_equal(cap_from_name("net_raw"), CAP_NET_RAW);
        assert_int_equal(cap_from_name("cap_NET_raw"), CAP_NET_RAW);
        assert_int_equal(cap_from_name("CAP_"), -1);
        assert_int_equal(cap_from_name(""), -1);
        assert_null(cap_name(CAPS_COUNT));
        assert_null(cap_name(-1));
}

/* Docker's default, as /proc/self/status shows it in one of its containers. */
static void test_default(void **state)
{
        assert_true(caps_default() == UINT64_C(0xa80425fb));
        assert_true((caps_known() & caps_default()) == caps_default());
}

static void test_adjust(void **state)
{
        struct err *e = NULL;
        uint64_t set;

        assert_ok(adjust("", "", &set, e ? NULL : &e), e);
        assert_true(set == caps_default());
        assert_ok(adjust("sys_admin", "CHOWN", &set, &e), e);
        assert_true(set == ((caps_default() | BIT(CAP_SYS_ADMIN)) & ~BIT(CAP_CHOWN)));
        assert_ok(adjust("NET_RAW", "all", &set, &e), e);
        assert_true(set == BIT(CAP_NET_RAW));
        assert_ok(adjust("ALL", "sys_admin", &set, &e), e);
        assert_true(set == (CAPS_ALL & ~BIT(CAP_SYS_ADMIN)));
        assert_ok(adjust("", "ALL", &set, &e), e);
        assert_true(set == 0);
        assert_failed(adjust("flying", "", &set, &e), e, ERR_USAGE, "flying");
        assert_failed(adjust("", "flying", &set, &e), e, ERR_USAGE, "flying");
        assert_failed(adjust("chown", "CAP_CHOWN", &set, &e), e, ERR_USAGE, "CAP_CHOWN");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_default),
            cmocka_unit_test(test_adjust),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
