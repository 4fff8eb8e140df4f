/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"

/* Standard output as the function left it. Caller frees. */
static char *captured(int dir, int (*fn)(void *arg, struct err **reterr), void *arg, int *ret_r,
                      struct err **reterr)
{
        int saved, file = openat(dir, "out", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(file >= 0);
        fflush(stdout);
        saved = fcntl(1, F_DUPFD_CLOEXEC, 3);
        assert_int_equal(dup3(file, 1, 0), 1);
        *ret_r = fn(arg, reterr);
        fflush(stdout);
        assert_int_equal(dup3(saved, 1, 0), 1);
        close(saved);
        close(file);
        return unit_read(dir, "out");
}

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;
        struct err *e = NULL;

        assert_ok(json_parse(text, strlen(text), "test", &o, &e), e);
        return o;
}

static const struct column columns[] = {
    {"ID", "CONTAINER ID"}, {"Name", "NAME"}, {"N", "N"}, {NULL, NULL}};

static int print_list(void *arg, struct err **reterr)
{
        struct output *out = NULL;
        int r = output_new(arg, &out, reterr);

        for (int i = 0; i < 2 && r >= 0; i++) {
                struct json_object *row = parse(
                    i ? "{\"ID\":\"b\",\"Name\":\"m\xc3\xbcller/\",\"N\":\"2\"}"
                      : "{\"ID\":\"aaaaaaaaaaaa\",\"Name\":\"x\\u001b[2J\\u009b\",\"N\":\"1\"}");

                r = output_row(out, row, reterr);
                json_unref(row);
        }
        if (r >= 0)
                r = output_finish(out, reterr);
        output_free(out);
        return r;
}

static void test_listings(void **state)
{
        static const struct {
                const char *format;
                bool quiet;
                const char *expected;
        } cases[] = {
            {NULL, false,
             "CONTAINER ID   NAME               N\n"
             "aaaaaaaaaaaa   x\\x1b[2J\\xc2\\x9b   1\n"
             "b              m\xc3\xbcller/            2\n"},
            {"table {{.N}}\\t{{.ID}}", false,
             "N         CONTAINER ID\n1         aaaaaaaaaaaa\n2         b\n"},
            {"{{.N}}:{{.ID}}", false, "1:aaaaaaaaaaaa\n2:b\n"},
            {"json", false,
             "{\"ID\":\"aaaaaaaaaaaa\",\"Name\":\"x\\u001b[2J\\u009b\",\"N\":\"1\"}\n{\"ID\":\"b\","
             "\"Name\":\"m\xc3\xbcller/\",\"N\":\"2\"}\n"},
            {NULL, true, "aaaaaaaaaaaa\nb\n"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct output_opts o = {.format = cases[i].format,
                                        .quiet = cases[i].quiet,
                                        .quiet_field = "ID",
                                        .table = "{{.ID}}\t{{.Name}}\t{{.N}}",
                                        .columns = columns};
                struct err *e = NULL;
                char *text;
                int r;

                text = captured(unit_dir(state), print_list, &o, &r, &e);
                assert_ok(r, e);
                assert_string_equal(text, cases[i].expected);
                free(text);
        }
}

static void test_unknown_column(void **state)
{
        struct output_opts o = {
            .format = "table {{.Nope}}", .table = "{{.ID}}", .columns = columns};
        struct output *out = NULL;
        struct err *e = NULL;

        assert_failed(output_new(&o, &out, &e), e, ERR_USAGE, "can't evaluate field 'Nope'");
}

static int print_inspect(void *arg, struct err **reterr)
{
        struct json_object *values[2] = {
            parse("{\"Id\":\"a/b\",\"L\":[],\"M\":{},\"N\":[1,{\"x\":null}]}"),
            parse("{\"Id\":\"c\"}")};
        int r = output_inspect(values, *(size_t *)arg, NULL, reterr);

        json_unref(values[0]);
        json_unref(values[1]);
        return r;
}

static void test_inspect(void **state)
{
        static const char *const expected[] = {
            "[]\n",
            "[\n    {\n        \"Id\": \"a/b\",\n        \"L\": [],\n        \"M\": {},\n        "
            "\"N\": [\n            1,\n"
            "            {\n                \"x\": null\n            }\n        ]\n    }\n]\n",
        };

        for (size_t n = 0; n <= 2; n++) {
                struct err *e = NULL;
                char *text;
                int r;

                text = captured(unit_dir(state), print_inspect, &n, &r, &e);
                assert_ok(r, e);
                if (n < 2)
                        assert_string_equal(text, expected[n]);
                else
                        assert_non_null(
                            strstr(text, "    },\n    {\n        \"Id\": \"c\"\n    }\n]\n"));
                free(text);
        }
}

static void test_words(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } sizes[] = {{0, "0B"},           {999, "999B"},           {1000, "1kB"},
                     {1090000, "1.09MB"}, {170123456, "170MB"},    {999999, "1MB"},
                     {999499, "999kB"},   {12345678901, "12.3GB"}, {UINT64_MAX, "18.4EB"}};
        char buf[OUTPUT_SIZE_MAX], *s;

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                assert_string_equal(output_size(sizes[i].bytes, buf), sizes[i].text);
        s = output_id("sha256:0123456789abcdef", false);
        assert_string_equal(s, "0123456789ab");
        free(s);
        s = output_id("sha256:0123456789abcdef", true);
        assert_string_equal(s, "sha256:0123456789abcdef");
        free(s);
        s = output_ellipsis("abcdef", 6);
        assert_string_equal(s, "abcdef");
        free(s);
        s = output_ellipsis("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 3);
        assert_string_equal(s, "\xc3\xa4\xc3\xa4\xe2\x80\xa6");
        free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            unit_test_dir(test_listings),
            cmocka_unit_test(test_unknown_column),
            unit_test_dir(test_inspect),
            cmocka_unit_test(test_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
