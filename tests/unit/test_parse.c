/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/parse.h"

#include <errno.h>

static void test_u32(void **state)
{
        static const char *const bad[] = {"", " 1", "1 ", "-1", "+1", "0x1", "1a", "a"};
        uint32_t v = 7;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(parse_u32(bad[i], &v), -EINVAL);
        assert_int_equal(parse_u32("4294967296", &v), -ERANGE);
        assert_int_equal(parse_u32("99999999999999999999999", &v), -ERANGE);
        assert_int_equal(v, 7);
        assert_int_equal(parse_u32("4294967295", &v), 0);
        assert_int_equal(v, UINT32_MAX);
        assert_int_equal(parse_u32("007", &v), 0);
        assert_int_equal(v, 7);
}

static void test_u64_i64(void **state)
{
        uint64_t u;
        int64_t i;

        assert_int_equal(parse_u64("18446744073709551615", &u), 0);
        assert_true(u == UINT64_MAX);
        assert_int_equal(parse_u64("18446744073709551616", &u), -ERANGE);
        assert_int_equal(parse_i64("-9223372036854775808", &i), 0);
        assert_true(i == INT64_MIN);
        assert_int_equal(parse_i64("+9223372036854775807", &i), 0);
        assert_true(i == INT64_MAX);
        assert_int_equal(parse_i64("9223372036854775808", &i), -ERANGE);
        assert_int_equal(parse_i64("-9223372036854775809", &i), -ERANGE);
        assert_int_equal(parse_i64("--1", &i), -EINVAL);
        assert_int_equal(parse_i64("-", &i), -EINVAL);
}

static void test_bool(void **state)
{
        bool b = false;

        assert_int_equal(parse_bool("True", &b), 0);
        assert_true(b);
        assert_int_equal(parse_bool("f", &b), 0);
        assert_false(b);
        assert_int_equal(parse_bool("yes", &b), -EINVAL);
        assert_int_equal(parse_bool("", &b), -EINVAL);
        assert_int_equal(parse_bool("tRUE", &b), -EINVAL);
}

static void test_size(void **state)
{
        static const struct {
                const char *text;
                int r;
                uint64_t value;
        } cases[] = {
            {"0", 0, 0},
            {"1024", 0, 1024},
            {"64m", 0, 64ULL << 20},
            {"64M", 0, 64ULL << 20},
            {"64mb", 0, 64ULL << 20},
            {"10MiB", 0, 10ULL << 20},
            {"1.5g", 0, 3ULL << 29},
            {"0.1k", 0, 102},
            {"2 GB", 0, 2ULL << 30},
            {"5b", 0, 5},
            {"1e", 0, 1ULL << 60},
            {"9223372036854775807", 0, INT64_MAX},
            {"9223372036854775808", -ERANGE, 0},
            {"8e", -ERANGE, 0},
            {"0.0000000000000000000000001g", 0, 0},
            {"", -EINVAL, 0},
            {"m", -EINVAL, 0},
            {"-1", -EINVAL, 0},
            {".", -EINVAL, 0},
            {"1x", -EINVAL, 0},
            {"1mm", -EINVAL, 0},
            {"1 ", 0, 1},
            {"1  m", -EINVAL, 0},
            {"1ib", -EINVAL, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t v = 0;

                if (parse_size(cases[i].text, &v) != cases[i].r || v != cases[i].value)
                        fail_msg("'%s': %llu", cases[i].text, (unsigned long long)v);
        }
}

static void test_duration(void **state)
{
        static const struct {
                const char *text;
                int r;
                int64_t value;
        } cases[] = {
            {"0", 0, 0},
            {"10", 0, 10000000000},
            {"1.5", 0, 1500000000},
            {"1m30s", 0, 90000000000},
            {"500ms", 0, 500000000},
            {"1h2m3s4ms5us6ns", 0, 3723004005006},
            {"1\xc2\xb5s", 0, 1000},
            {"1\xce\xbcs", 0, 1000},
            {"-1.5h", 0, -5400000000000},
            {"+2s", 0, 2000000000},
            {".5s", 0, 500000000},
            {"", -EINVAL, 0},
            {"s", -EINVAL, 0},
            {"1m30", -EINVAL, 0},
            {"0s5", -EINVAL, 0},
            {"1x", -EINVAL, 0},
            {"1s ", -EINVAL, 0},
            {"-", -EINVAL, 0},
            {"3000000h", -ERANGE, 0},
            {"2562047h2562047h", -ERANGE, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int64_t v = 0;

                if (parse_duration(cases[i].text, &v) != cases[i].r || v != cases[i].value)
                        fail_msg("'%s': %lld", cases[i].text, (long long)v);
        }
}

static void test_signal(void **state)
{
        static const struct {
                const char *text;
                int sig; /* 0: refused */
        } cases[] = {
            {"9", SIGKILL},
            {"KILL", SIGKILL},
            {"SIGKILL", SIGKILL},
            {"kill", SIGKILL},
            {"SigTerm", SIGTERM},
            {"0", 0},
            {"-1", 0},
            {"65", 0},
            {"64", 64},
            {"", 0},
            {"SIG", 0},
            {"SIGSIGKILL", 0},
            {"NOPE", 0},
            {"IOT", SIGABRT},
            {"CLD", SIGCHLD},
            {"POLL", SIGIO},
            {"RTMIN", 34},
            {"SIGRTMIN+3", 37},
            {"RTMAX-2", 62},
            {"RTMAX", 64},
            {"RTMIN+31", 0},
            {"RTMIN-1", 0},
            {"RTMAX+1", 0},
            {"RTMIN+", 0},
            {"9x", 0},
            {"RTMIN+-1", 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int sig = 0, r = parse_signal(cases[i].text, &sig);

                if (r != (cases[i].sig ? 0 : -EINVAL) || sig != cases[i].sig)
                        fail_msg("'%s': %d, %d", cases[i].text, r, sig);
        }
}

/* Whatever has a name is found again by it. */
static void test_signal_names(void **state)
{
        for (int i = -1; i < 70; i++) {
                int sig = 0;

                if (!signal_name(i))
                        continue;
                assert_int_equal(parse_signal(signal_name(i), &sig), 0);
                assert_int_equal(sig, i);
        }
        assert_string_equal(signal_name(SIGWINCH), "SIGWINCH");
        assert_string_equal(signal_name(SIGRTMAX), "SIGRTMAX");
        assert_null(signal_name(0));
        assert_null(signal_name(32));
        assert_null(signal_name(65));
}

static void test_octal(void **state)
{
        uint32_t v;

        assert_int_equal(parse_octal_mode("0755", &v), 0);
        assert_int_equal(v, 0755);
        assert_int_equal(parse_octal_mode("7777", &v), 0);
        assert_int_equal(parse_octal_mode("10000", &v), -ERANGE);
        assert_int_equal(parse_octal_mode("8", &v), -EINVAL);
        assert_int_equal(parse_octal_mode("", &v), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_u32),      cmocka_unit_test(test_u64_i64),
            cmocka_unit_test(test_bool),     cmocka_unit_test(test_size),
            cmocka_unit_test(test_duration), cmocka_unit_test(test_signal),
            cmocka_unit_test(test_octal),    cmocka_unit_test(test_signal_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
