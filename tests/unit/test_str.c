/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/str.h"

static void test_strbuf(void **state)
{
        AUTO_STRBUF b = {0};
        AUTO_FREE char *s = NULL;

        s = strbuf_take(&b);
        assert_string_equal(s, "");
        strbuf_add(&b, "ab");
        strbuf_add_len(&b, "c\0d", 3);
        strbuf_addf(&b, "%d", 42);
        assert_int_equal(b.len, 7);
        assert_memory_equal(b.data, "abc\0d42", 8);
        strbuf_release(&b);
        assert_null(b.data);
}

static void test_strbuf_grows(void **state)
{
        AUTO_STRBUF b = {0};
        char big[300];

        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        for (int i = 0; i < 100; i++)
                strbuf_addf(&b, "%s%c", big, 'y');
        assert_int_equal(b.len, 30000);
        assert_int_equal(b.data[29999], 'y');
        assert_int_equal(strlen(b.data), 30000);
}

static void test_utf8(void **state)
{
        static const char bad[] = "a\xff\xc3(\xe2\x82\0\xed\xa0\x80\xe2\x82\xac\xf0\x9f\x98";
        AUTO_STRBUF b = {0};

        strbuf_add_utf8(&b, bad, sizeof(bad) - 1);
#define NONE "\xef\xbf\xbd"
        assert_int_equal(b.len, sizeof("a" NONE NONE "(" NONE NONE "\0" NONE NONE NONE
                                       "\xe2\x82\xac" NONE NONE NONE) -
                                    1);
        assert_memory_equal(
            b.data, "a" NONE NONE "(" NONE NONE "\0" NONE NONE NONE "\xe2\x82\xac" NONE NONE NONE,
            b.len);
        assert_int_equal(str_utf8_whole("a\xe2\x82\xac", 4), 4);
        assert_int_equal(str_utf8_whole("a\xe2\x82", 3), 1);
        assert_int_equal(str_utf8_whole("a\xf0\x9f\x98", 4), 1);
        assert_int_equal(str_utf8_whole("", 0), 0);
}

static void test_strv(void **state)
{
        AUTO_STRV v = {0}, w = {0};

        for (int i = 0; i < 50; i++)
                strv_addf(&v, "n%d", i);
        strv_add_take(&v, xstrdup("last"));
        assert_int_equal(v.n, 51);
        assert_null(v.v[51]);
        assert_true(strv_contains(&v, "n49"));
        assert_false(strv_contains(&v, "n50"));
        strv_copy(&w, &v);
        assert_int_equal(w.n, 51);
        assert_string_equal(w.v[50], "last");
        assert_ptr_not_equal(w.v[50], v.v[50]);
}

static void test_env(void **state)
{
        AUTO_STRV env = {0};

        strv_env_set(&env, "A=1");
        strv_env_set(&env, "AB=2");
        strv_env_set(&env, "A=3=4");
        assert_int_equal(env.n, 2);
        assert_string_equal(strv_env_get(&env, "A"), "3=4");
        assert_string_equal(strv_env_get(&env, "AB"), "2");
        assert_null(strv_env_get(&env, "B"));
        strv_env_set(&env, "A=");
        assert_string_equal(strv_env_get(&env, "A"), "");
}

static void test_split(void **state)
{
        AUTO_STRV v = {0};

        strv_split(&v, "a::b:", ':');
        assert_int_equal(v.n, 4);
        assert_string_equal(v.v[0], "a");
        assert_string_equal(v.v[1], "");
        assert_string_equal(v.v[2], "b");
        assert_string_equal(v.v[3], "");
}

static void test_predicates(void **state)
{
        assert_true(str_starts("abc", "ab") && str_starts("abc", ""));
        assert_false(str_starts("a", "ab"));
        assert_true(str_ends("abc", "bc") && str_ends("abc", ""));
        assert_false(str_ends("c", "bc"));
        assert_true(str_empty(NULL) && str_empty(""));
        assert_false(str_empty("x"));
        assert_true(str_is_hex("0af9", 4));
        assert_false(str_is_hex("0af9", 3));
        assert_false(str_is_hex("0af", 4));
        assert_false(str_is_hex("0AF9", 4));
        assert_false(str_is_hex("0ag9", 4));
}

static void test_alloc(void **state)
{
        AUTO_FREE char *a = xstrndup("abcdef", 3), *b = xstrdup(NULL),
                       *c = xasprintf("%s-%d", "x", 1);
        char unterminated[3] = {'a', 'b', 'c'};
        AUTO_FREE char *d = xstrndup(unterminated, sizeof(unterminated));

        assert_string_equal(a, "abc");
        assert_null(b);
        assert_string_equal(c, "x-1");
        assert_string_equal(d, "abc");
}

static int overflow(void *arg)
{
        (void)close(STDERR_FILENO);
        arg = xrealloc(NULL, SIZE_MAX / 2, 3);
        return arg ? 1 : 2;
}

static void test_alloc_overflow_aborts(void **state)
{
        assert_int_equal(unit_fork(overflow, NULL, 0), 128 + SIGABRT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_strbuf),
            cmocka_unit_test(test_strbuf_grows),
            cmocka_unit_test(test_utf8),
            cmocka_unit_test(test_strv),
            cmocka_unit_test(test_env),
            cmocka_unit_test(test_split),
            cmocka_unit_test(test_predicates),
            cmocka_unit_test(test_alloc),
            cmocka_unit_test(test_alloc_overflow_aborts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
