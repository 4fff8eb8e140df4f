/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/clock.h"

#include <errno.h>

#define S 1000000000LL

static void test_format(void **state)
{
        static const struct {
                int64_t ns;
                const char *text;
        } cases[] = {
            {0, "1970-01-01T00:00:00Z"},
            {1795502504500000000, "2026-11-24T06:41:44.5Z"},
            {1795502504000000001, "2026-11-24T06:41:44.000000001Z"},
            {-1, "1969-12-31T23:59:59.999999999Z"},
            {-S, "1969-12-31T23:59:59Z"},
            {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
            {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char buf[CLOCK_RFC3339_MAX];
                int64_t back = 1;

                assert_string_equal(clock_format(cases[i].ns, buf), cases[i].text);
                if (cases[i].ns == INT64_MIN)
                        continue;
                assert_int_equal(clock_parse(buf, &back), 0);
                assert_true(back == cases[i].ns);
        }
}

static void test_parse(void **state)
{
        int64_t ns;

        assert_int_equal(clock_parse("1970-01-01T01:30:00+01:30", &ns), 0);
        assert_int_equal(ns, 0);
        assert_int_equal(clock_parse("1969-12-31T23:00:00-01:00", &ns), 0);
        assert_int_equal(ns, 0);
        assert_int_equal(clock_parse("1970-01-01t00:00:01.0000000019z", &ns), 0);
        assert_int_equal(ns, S + 1);
        assert_int_equal(clock_parse("2024-02-29T00:00:00Z", &ns), 0);
}

static void test_parse_refuses(void **state)
{
        static const char *const bad[] = {
            "",
            CLOCK_ZERO,
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00Zx",
            "1970-01-01T00:00:00.Z",
            "1970-1-01T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00+24:00",
            "9999-01-01T00:00:00Z",
            " 1970-01-01T00:00:00Z",
        };
        int64_t ns;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                if (clock_parse(bad[i], &ns) != -EINVAL)
                        fail_msg("'%s'", bad[i]);
}

static void test_human(void **state)
{
        static const struct {
                int64_t s;
                const char *text;
        } cases[] = {
            {-5, "Less than a second"},
            {0, "Less than a second"},
            {1, "1 second"},
            {59, "59 seconds"},
            {60, "About a minute"},
            {119, "About a minute"},
            {120, "2 minutes"},
            {3599, "59 minutes"},
            {3600, "About an hour"},
            {3600 + 1799, "About an hour"},
            {3600 + 1800, "2 hours"},
            {47 * 3600, "47 hours"},
            {47 * 3600 + 1800, "2 days"},
            {13 * 86400, "13 days"},
            {14 * 86400, "2 weeks"},
            {59 * 86400, "8 weeks"},
            {60 * 86400, "2 months"},
            {729LL * 86400, "24 months"},
            {730LL * 86400, "2 years"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char buf[40];

                assert_string_equal(clock_human(cases[i].s * S, buf, sizeof(buf)), cases[i].text);
        }
}

static void test_now(void **state)
{
        int64_t a = clock_monotonic_ns(), b = clock_monotonic_ns();

        assert_true(b >= a);
        assert_true(clock_now_ns() > 1700000000LL * S);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_format),        cmocka_unit_test(test_parse),
            cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_human),
            cmocka_unit_test(test_now),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
