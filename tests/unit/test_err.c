/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>

static char *printed(const struct err *e, int debug)
{
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        err_print(e, f, "kelp", debug);
        (void)fclose(f);
        return text;
}

static void test_sys(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int r = err_sys(&e, ENOENT, "open '%s'", "x");

        assert_int_equal(r, -ENOENT);
        assert_string_equal(err_message(e), "open 'x': No such file or directory");
        assert_int_equal(err_kind(e), ERR_SYS);
        assert_int_equal(err_errno(e), ENOENT);
        assert_null(err_hint_text(e));
}

static void test_unknown_errno(void **state)
{
        AUTO_ERR struct err *e = NULL;

        assert_int_equal(err_sys(&e, 4000, "x"), -4000);
        assert_string_equal(err_message(e), "x: error 4000");
}

static void test_no_words_wanted(void **state)
{
        assert_int_equal(err_sys(NULL, EPERM, "x"), -EPERM);
        assert_int_equal(err_new(NULL, ERR_BUSY, "x"), -EBUSY);
        assert_int_equal(err_wrap(NULL, -EIO, "x"), -EIO);
        assert_int_equal(err_hint(NULL, -EIO, "x"), -EIO);
        assert_int_equal(err_set_kind(NULL, -EIO, ERR_BUSY), -EIO);
}

static void test_new_returns(void **state)
{
        static const int expected[ERR_KIND_COUNT] = {
            [ERR_USAGE] = -EINVAL,   [ERR_NOT_FOUND] = -ENOENT,   [ERR_EXISTS] = -EEXIST,
            [ERR_BUSY] = -EBUSY,     [ERR_DENIED] = -EPERM,       [ERR_UNSUPPORTED] = -EOPNOTSUPP,
            [ERR_INVALID] = -EINVAL, [ERR_EXEC_DENIED] = -EACCES, [ERR_EXEC_MISSING] = -ENOENT,
            [ERR_REMOTE] = -EPROTO,
        };

        for (int k = ERR_USAGE; k < ERR_KIND_COUNT; k++) {
                AUTO_ERR struct err *e = NULL;

                assert_int_equal(err_new(&e, (enum err_kind)k, "no '%s'", "x"), expected[k]);
                assert_int_equal(err_kind(e), k);
                assert_int_equal(err_errno(e), 0);
                assert_string_equal(err_message(e), "no 'x'");
        }
}

static void test_chain(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int r = err_sys(&e, EPERM, "attach at %s", "/x");

        r = err_wrap(&e, r, "volume '%s'", "data");
        r = err_wrap(&e, r, "run '%s'", "web");
        assert_int_equal(r, -EPERM);
        assert_string_equal(err_message(e),
                            "run 'web': volume 'data': attach at /x: Operation not permitted");
        assert_int_equal(err_errno(e), EPERM);
}

static void test_wrap_of_nothing(void **state)
{
        AUTO_ERR struct err *e = NULL;

        assert_int_equal(err_wrap(&e, -EWOULDBLOCK, "lock"), -EWOULDBLOCK);
        assert_string_equal(err_message(e), "lock: Resource temporarily unavailable");
}

static void test_first_hint_stays(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int r = err_hint(&e, err_new(&e, ERR_DENIED, "no"), "try %d", 1);

        r = err_hint(&e, r, "try 2");
        assert_int_equal(r, -EPERM);
        assert_string_equal(err_hint_text(e), "try 1");
}

static void test_set_kind(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int r = err_set_kind(&e, err_sys(&e, ENOENT, "x"), ERR_NOT_FOUND);

        assert_int_equal(r, -ENOENT);
        assert_int_equal(err_kind(e), ERR_NOT_FOUND);
        assert_int_equal(err_errno(e), ENOENT);
        assert_int_equal(err_http_status(e), 404);
}

static void test_codes(void **state)
{
        AUTO_ERR struct err *denied = NULL, *missing = NULL;

        (void)err_new(&denied, ERR_EXEC_DENIED, "x");
        (void)err_new(&missing, ERR_EXEC_MISSING, "x");
        assert_int_equal(err_exit_code(denied), 126);
        assert_int_equal(err_exit_code(missing), 127);
        assert_int_equal(err_exit_code(NULL), 125);
        assert_int_equal(err_http_status(NULL), 500);
}

static void test_print(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *text = NULL, *debug = NULL;
        int r = err_new(&e, ERR_NOT_FOUND, "no such container: web");

        r = err_wrap(&e, r, "stop");
        (void)err_hint(&e, r, "kelp ps -a");
        text = printed(e, 0);
        assert_string_equal(text, "kelp: error: stop: no such container: web\nhint: kelp ps -a\n");
        debug = printed(e, 1);
        assert_non_null(strstr(debug, "test_err.c:"));
        assert_non_null(strstr(debug, ": stop\n"));
        assert_non_null(strstr(debug, ": no such container: web\n"));
}

static void test_print_escapes(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
            {"a\x1b[2Jb", "a\\x1b[2Jb"},
            {"one\ntwo\t", "one\\ntwo\\t"},
            {"\x7f", "\\x7f"},
            {"gr\xc3\xb6\xc3\x9f"
             "e",
             "gr\xc3\xb6\xc3\x9f"
             "e"},
            {"\xe6\xbc\xa2\xf0\x9f\x90\x8b", "\xe6\xbc\xa2\xf0\x9f\x90\x8b"},
            {"\xc2\x9b"
             "2J",
             "\\xc2\\x9b"
             "2J"}, /* C1: CSI in one */
            {"\xe2\x80\xae"
             "x",
             "\\xe2\\x80\\xae"
             "x"},                      /* right-to-left override */
            {"\xff\xc3", "\\xff\\xc3"}, /* not UTF-8 */
            {"\xc0\xaf", "\\xc0\\xaf"}, /* overlong */
            {"\xf0\x9f", "\\xf0\\x9f"}, /* cut off */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_ERR struct err *e = NULL;
                AUTO_FREE char *text = NULL, *expected = NULL;

                (void)err_new(&e, ERR_USAGE, "%s", cases[i].in);
                text = printed(e, 0);
                expected = xasprintf("kelp: error: %s\n", cases[i].out);
                assert_string_equal(text, expected);
        }
}

static void test_wire(void **state)
{
        AUTO_ERR struct err *e = NULL, *back = NULL;
        AUTO_JSON *o = NULL;
        int r;

        (void)err_hint(&e, err_wrap(&e, err_sys(&e, EACCES, "a"), "b"), "h");
        (void)err_set_kind(&e, -1, ERR_DENIED);
        o = err_encode(e);
        r = err_decode(&back, o);
        assert_int_equal(r, -EACCES);
        assert_string_equal(err_message(back), "b: a: Permission denied");
        assert_string_equal(err_hint_text(back), "h");
        assert_int_equal(err_kind(back), ERR_DENIED);
        assert_int_equal(err_errno(back), EACCES);
        r = err_wrap(&back, r, "c");
        assert_string_equal(err_message(back), "c: b: a: Permission denied");
}

static void test_wire_without_errno(void **state)
{
        AUTO_ERR struct err *e = NULL, *back = NULL;
        AUTO_JSON *o = NULL;

        (void)err_new(&e, ERR_EXISTS, "taken");
        o = err_encode(e);
        assert_int_equal(err_decode(&back, o), -EEXIST);
        assert_int_equal(err_decode(NULL, o), -EEXIST);
        assert_null(err_hint_text(back));
}

static void test_wire_damaged(void **state)
{
        static const char *const damaged[] = {
            "{}",
            "[]",
            "null",
            "\"x\"",
            "{\"kind\":\"nonsense\",\"errno\":1,\"message\":\"x\"}",
            "{\"kind\":\"system\",\"errno\":-1,\"message\":\"x\"}",
            "{\"kind\":\"system\",\"errno\":5000,\"message\":\"x\"}",
            "{\"kind\":\"system\",\"errno\":1,\"message\":7}",
            "{\"kind\":1,\"errno\":1,\"message\":\"x\"}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
                AUTO_ERR struct err *e = NULL;
                AUTO_JSON *o = NULL;

                assert_ok(json_parse(damaged[i], strlen(damaged[i]), "x", &o, &e), e);
                assert_failed(err_decode(&e, o), e, ERR_INVALID, "damaged");
        }
}

static void test_move(void **state)
{
        AUTO_ERR struct err *from = NULL, *to = NULL;
        int r = err_new(&from, ERR_BUSY, "x");

        assert_int_equal(err_move(&to, r, &from), -EBUSY);
        assert_null(from);
        assert_string_equal(err_message(to), "x");
        assert_int_equal(err_move(NULL, r, &to), -EBUSY);
        assert_null(to);
}

/* Each of these must abort. */
static int set_twice(void *arg)
{
        AUTO_ERR struct err *e = NULL;

        (void)err_new(&e, ERR_BUSY, "one");
        (void)err_new(&e, ERR_BUSY, "two");
        return 0;
}

static int wrap_success(void *arg)
{
        AUTO_ERR struct err *e = NULL;

        (void)err_wrap(&e, 0, "x");
        return 0;
}

static int sys_negative(void *arg)
{
        AUTO_ERR struct err *e = NULL;

        (void)err_sys(&e, -ENOENT, "x");
        return 0;
}

static int new_sys(void *arg)
{
        AUTO_ERR struct err *e = NULL;

        (void)err_new(&e, ERR_SYS, "x");
        return 0;
}

static int quietly(void *fn)
{
        int (*f)(void *) = *(int (**)(void *))fn;

        if (!freopen("/dev/null", "we", stderr))
                return 1;
        return f(NULL);
}

static void test_misuse_aborts(void **state)
{
        int (*const misuses[])(void *) = {set_twice, wrap_success, sys_negative, new_sys};

        for (size_t i = 0; i < ARRAY_SIZE(misuses); i++)
                assert_int_equal(unit_fork(quietly, (void *)&misuses[i], 0), 128 + SIGABRT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sys),
            cmocka_unit_test(test_unknown_errno),
            cmocka_unit_test(test_no_words_wanted),
            cmocka_unit_test(test_new_returns),
            cmocka_unit_test(test_chain),
            cmocka_unit_test(test_wrap_of_nothing),
            cmocka_unit_test(test_first_hint_stays),
            cmocka_unit_test(test_set_kind),
            cmocka_unit_test(test_codes),
            cmocka_unit_test(test_print),
            cmocka_unit_test(test_print_escapes),
            cmocka_unit_test(test_wire),
            cmocka_unit_test(test_wire_without_errno),
            cmocka_unit_test(test_wire_damaged),
            cmocka_unit_test(test_move),
            cmocka_unit_test(test_misuse_aborts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
