/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/json.h"
#include "base/str.h"

#include <errno.h>

static struct json_object *parse(const char *text)
{
        AUTO_ERR struct err *e = NULL;
        struct json_object *o = NULL;

        assert_ok(json_parse(text, strlen(text), "doc", &o, &e), e);
        return o;
}

static void test_accepts(void **state)
{
        static const char *const good[] = {
            "{}",
            "[]",
            " {\"a\" : [1, -2, 3.5e3, true, false, null, \"x\"]} \n",
            "1",
            "-0",
            "\"x\"",
            "true",
            " null ",
            "18446744073709551615",
            "-9223372036854775808",
            "1e308",
            "\"\\u00e4\\ud83d\\ude00\"",
            "\"gr\xc3\xbc\xc3\x9f\"",
            "[[[[[[[[[[]]]]]]]]]]",
            "0.5",
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                AUTO_ERR struct err *e = NULL;
                AUTO_JSON *o = NULL;

                assert_ok(json_parse(good[i], strlen(good[i]), good[i], &o, &e), e);
        }
}

static void test_refuses(void **state)
{
        static const char *const bad[] = {
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "['a']",
            "[1] x",
            "{}{}",
            "1 2",
            "nul",
            "NULL",
            "NaN",
            "[Infinity]",
            "[-Infinity]",
            "// x\n{}",
            "{}/* x */",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "0x10",
            "18446744073709551616",
            "-9223372036854775809",
            "1e999",
            "[\"a\nb\"]",
            "\"\xff\"",
            "\"\xc0\xaf\"",
            "\"\xed\xa0\x80\"",
            "\"\xf4\x90\x80\x80\"",
            "\"\xe2\x82\"",
            "\"\\\"",
            "\"unterminated",
            "\"\\",
            "\"\\x\"",
            "[1 2]",
            "{\"a\" 1}",
            "{1:2}",
            "tru",
            "\xef\xbb\xbf{}",
            "[\"\\u12\"]",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                AUTO_ERR struct err *e = NULL;
                struct json_object *o = NULL;

                if (json_parse(bad[i], strlen(bad[i]), "doc", &o, &e) != -EINVAL || o)
                        fail_msg("accepted: %s", bad[i]);
                assert_int_equal(err_kind(e), ERR_INVALID);
                assert_non_null(strstr(err_message(e), "doc: line "));
        }
}

static void test_refuses_nul_and_depth(void **state)
{
        AUTO_ERR struct err *e = NULL;
        struct json_object *o = NULL;
        char deep[201];

        assert_failed(json_parse("{}\0", 3, "doc", &o, &e), e, ERR_INVALID, "line 1");
        memset(deep, '[', 100);
        memset(deep + 100, ']', 100);
        deep[200] = '\0';
        assert_failed(json_parse(deep, 200, "doc", &o, &e), e, ERR_INVALID, "nesting too deep");
        assert_failed(json_parse("{}", (size_t)INT32_MAX, "doc", &o, &e), e, ERR_INVALID,
                      "too large");
        assert_failed(json_parse("{\n\n\"a\": x}", 11, "doc", &o, &e), e, ERR_INVALID,
                      "doc: line 3: unexpected character");
}

static void test_getters(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_JSON *o = parse("{\"s\":\"x\",\"b\":true,\"u\":18446744073709551615,\"i\":-5,"
                             "\"n\":null,\"v\":[\"a\",\"b\"]}");
        struct json_at root = json_root(o, "doc");
        const char *s = NULL, *absent = "kept";
        AUTO_STRV v = {0};
        uint64_t u = 0;
        uint32_t u32 = 7;
        int64_t i = 0;
        bool b = false;

        strv_add(&v, "old");
        assert_ok(json_get_string(&root, "s", &s, &e), e);
        assert_string_equal(s, "x");
        assert_ok(json_opt_bool(&root, "b", &b, &e), e);
        assert_true(b);
        assert_ok(json_get_u64(&root, "u", &u, &e), e);
        assert_true(u == UINT64_MAX);
        assert_ok(json_opt_i64(&root, "i", &i, &e), e);
        assert_int_equal(i, -5);
        assert_ok(json_opt_strv(&root, "v", &v, &e), e);
        assert_int_equal(v.n, 3); /* appended */
        assert_string_equal(v.v[0], "old");
        assert_string_equal(v.v[2], "b");
        assert_ok(json_opt_string(&root, "n", &absent, &e), e);
        assert_ok(json_opt_string(&root, "none", &absent, &e), e);
        assert_string_equal(absent, "kept");
        assert_ok(json_opt_u32(&root, "n", &u32, &e), e);
        assert_int_equal(u32, 7);
        assert_ok(json_opt_strv(&root, "none", &v, &e), e);
        assert_int_equal(v.n, 3);
}

static void test_errors_name_the_path(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_JSON *o = parse("{\"process\":{\"args\":[\"a\",\"b\",3],\"cwd\":1,\"uid\":-1,"
                             "\"big\":4294967296,\"huge\":9223372036854775808,\"f\":1.5}}");
        struct json_at root = json_root(o, "config.json"), process = json_key(&root, "process");
        struct json_at none = json_key(&root, "none"), deep = json_key(&none, "deeper");
        AUTO_STRV v = {0};
        const char *s;
        uint64_t u;
        uint32_t u32;
        int64_t i;
        bool b;

        assert_failed(json_opt_strv(&process, "args", &v, &e), e, ERR_INVALID,
                      "config.json: process.args[2]: expected a string");
        assert_int_equal(v.n, 0);
        assert_failed(json_get_string(&process, "cwd", &s, &e), e, ERR_INVALID,
                      "config.json: process.cwd: expected a string");
        assert_failed(json_get_string(&process, "none", &s, &e), e, ERR_INVALID,
                      "process.none: missing a string");
        assert_failed(json_get_u64(&process, "uid", &u, &e), e, ERR_INVALID, "at least 0");
        assert_failed(json_opt_u64(&process, "f", &u, &e), e, ERR_INVALID, "expected an integer");
        assert_failed(json_opt_u32(&process, "big", &u32, &e), e, ERR_INVALID,
                      "process.big: number out of range");
        assert_failed(json_opt_i64(&process, "huge", &i, &e), e, ERR_INVALID, "out of range");
        assert_failed(json_opt_bool(&process, "cwd", &b, &e), e, ERR_INVALID, "true or false");
        assert_failed(json_want_object(&deep, &e), e, ERR_INVALID,
                      "none.deeper: missing an object");
        assert_failed(json_want_array(&process, 9, NULL, &e), e, ERR_INVALID, "expected an array");
        assert_failed(json_want_object(&(struct json_at){.name = "x"}, &e), e, ERR_INVALID,
                      "x: missing");
}

static void test_arrays(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_JSON *o = parse("[[1,2,3]]");
        struct json_at root = json_root(o, "doc"), inner = json_elem(&root, 0);
        struct json_at beyond = json_elem(&inner, 3);
        size_t n = 0;

        assert_ok(json_want_array(&inner, 3, &n, &e), e);
        assert_int_equal(n, 3);
        assert_failed(json_want_array(&inner, 2, &n, &e), e, ERR_INVALID,
                      "doc: [0]: more than 2 elements");
        assert_failed(json_want_object(&beyond, &e), e, ERR_INVALID, "doc: [0][3]: missing");
}

static void test_nul_in_string(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_JSON *o = parse("{\"a\":\"x\\u0000y\"}");
        struct json_at root = json_root(o, "doc");
        const char *s;

        assert_failed(json_get_string(&root, "a", &s, &e), e, ERR_INVALID, "NUL byte");
}

static void test_building(void **state)
{
        AUTO_JSON *o = json_object_new_object();
        AUTO_STRV v = {0};

        json_add_string(o, "s", "x");
        json_add_string(o, "null", NULL);
        json_add_bool(o, "b", true);
        json_add_int(o, "i", INT64_MIN);
        json_add_uint(o, "u", UINT64_MAX);
        json_object_object_add(o, "empty", json_from_strv(&v));
        strv_add(&v, "a");
        json_object_object_add(o, "v", json_from_strv(&v));
        json_object_array_add(json_array(o, "array"), json_object_new_int(1));
        json_add_bool(json_object(o, "object"), "k", false);
        assert_string_equal(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
                            "{\"s\":\"x\",\"null\":null,\"b\":true,\"i\":-9223372036854775808,"
                            "\"u\":18446744073709551615,\"empty\":[],\"v\":[\"a\"],\"array\":[1],"
                            "\"object\":{\"k\":false}}");
        assert_null(json_unref(NULL));
}

static void test_read_file(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_JSON *o = NULL, *none = NULL;
        int dir = unit_dir(state);

        unit_write(dir, "a.json", "{\"a\":1}");
        assert_ok(json_read_file(dir, "a.json", 100, &o, &e), e);
        assert_int_equal(json_read_file(dir, "a.json", 3, &none, &e), -EFBIG);
        e = err_free(e);
        unit_write(dir, "b.json", "{\n");
        assert_failed(json_read_file(dir, "b.json", 100, &none, &e), e, ERR_INVALID,
                      "b.json: line 2: unexpected end");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_accepts),
            cmocka_unit_test(test_refuses),
            cmocka_unit_test(test_refuses_nul_and_depth),
            cmocka_unit_test(test_getters),
            cmocka_unit_test(test_errors_name_the_path),
            cmocka_unit_test(test_arrays),
            cmocka_unit_test(test_nul_in_string),
            cmocka_unit_test(test_building),
            unit_test_dir(test_read_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
