/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/opt.h"
#include "base/str.h"

#include <errno.h>

struct inner {
        char *name;
        struct strv list;
};
struct args {
        struct inner *inner;
        bool all, tty, interactive;
        int tri;
        char *workdir;
        struct strv volumes, caps;
        uint32_t count;
        int64_t time, duration;
        uint64_t size;
        char *called;
};

static int take(void *field, const char *value, struct err **reterr)
{
        if (strcmp(value, "bad") == 0)
                return err_new(reterr, ERR_USAGE, "value '%s' is bad", value);
        free(*(char **)field);
        *(char **)field = xstrdup(value);
        return 0;
}

#define F(f) offsetof(struct args, f)
static const struct opt opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL, "All"},
    {"tty", 't', OPT_BOOL, F(tty), NULL, "Terminal"},
    {"interactive", 'i', OPT_BOOL, F(interactive), NULL, "Input"},
    {"tri", 0, OPT_TRI, F(tri), NULL, "Three states"},
    {"workdir", 'w', OPT_STRING, F(workdir), "DIR", "Directory"},
    {"volume", 'v', OPT_STRV, F(volumes), NULL,
     "Volume with a rather long description that has to be wrapped somewhere, as it does not fit"},
    {"cap-add", 0, OPT_CSV, F(caps), NULL, "Capabilities"},
    {"count", 'n', OPT_U32, F(count), NULL, "Number"},
    {"time", 0, OPT_I64, F(time), NULL, "Number with a sign"},
    {"duration", 0, OPT_DURATION, F(duration), NULL, "Duration"},
    {"size", 0, OPT_SIZE, F(size), NULL, "Size"},
    {"call", 0, OPT_CALL, F(called), NULL, "Function", take},
    {"an-option-with-a-very-long-name", 0, OPT_STRING, F(workdir), "METAVARIABLE",
     "On a line of its own"},
    {"alias", 0, OPT_STRING, F(workdir), NULL, NULL},
    {0},
};
static const struct opt inner_opts[] = {
    {"name", 0, OPT_STRING, offsetof(struct inner, name), NULL, "Name"},
    {"list", 0, OPT_STRV, offsetof(struct inner, list), NULL, "List"},
    {0},
};
static const struct opt_section sections[] = {
    {opts, NULL, 0, false},
    {inner_opts, "Inner", F(inner), true},
    {0},
};

struct parsed {
        struct args a;
        struct inner inner;
        struct strv rest;
        bool help;
        int r;
        struct err *e;
};

static struct parsed parse_flags(bool options_first, const char *const *argv)
{
        static struct parsed p;

        p = (struct parsed){0};
        p.a.inner = &p.inner;
        p.r = opt_parse(&(struct opt_parse_opts){sections, options_first, &p.help}, &p.a,
                        (char *const *)argv, &p.rest, &p.e);
        return p;
}
#define PARSE(...)       parse_flags(false, (const char *const[]){__VA_ARGS__, NULL})
#define PARSE_FIRST(...) parse_flags(true, (const char *const[]){__VA_ARGS__, NULL})

static void release(struct parsed *p)
{
        opt_release(sections, &p->a);
        free(p->inner.name);
        strv_release(&p->inner.list);
        free(p->a.called);
        strv_release(&p->rest);
        p->e = err_free(p->e);
}

static void test_spellings(void **state)
{
        struct parsed p = PARSE("--workdir=/a", "-it", "x", "-v/b:/c", "-v", "d", "-v=e",
                                "--volume", "f", "y", "-n7");

        assert_ok(p.r, p.e);
        assert_string_equal(p.a.workdir, "/a");
        assert_true(p.a.interactive && p.a.tty && !p.a.all);
        assert_int_equal(p.a.volumes.n, 4);
        assert_string_equal(p.a.volumes.v[0], "/b:/c");
        assert_string_equal(p.a.volumes.v[1], "d");
        assert_string_equal(p.a.volumes.v[2], "e");
        assert_string_equal(p.a.volumes.v[3], "f");
        assert_int_equal(p.a.count, 7);
        assert_int_equal(p.rest.n, 2);
        assert_string_equal(p.rest.v[1], "y");
        release(&p);
}

/* A cluster's last member may take a value: from the rest of the word, or the next one. */
static void test_clusters(void **state)
{
        struct parsed p = PARSE("-itw/x", "-aw", "/y", "-t=false");

        assert_ok(p.r, p.e);
        assert_string_equal(p.a.workdir, "/y");
        assert_true(p.a.interactive && !p.a.tty && p.a.all);
        release(&p);
}

static void test_bools(void **state)
{
        struct parsed p = PARSE("--all", "--tty=false", "--interactive=1", "--tri=false");

        assert_ok(p.r, p.e);
        assert_true(p.a.all && !p.a.tty && p.a.interactive);
        assert_int_equal(p.a.tri, OPT_FALSE);
        release(&p);
        p = PARSE("--all", "false"); /* not its value: an operand */
        assert_ok(p.r, p.e);
        assert_true(p.a.all);
        assert_string_equal(p.rest.v[0], "false");
        release(&p);
        p = PARSE("--all=maybe");
        assert_failed(p.r, p.e, ERR_USAGE, "option '--all': invalid value 'maybe'");
        release(&p);
}

static void test_end_of_options(void **state)
{
        struct parsed p = PARSE("-a", "--", "-t", "--nope", "-");

        assert_ok(p.r, p.e);
        assert_false(p.a.tty);
        assert_int_equal(p.rest.n, 3);
        assert_string_equal(p.rest.v[0], "-t");
        release(&p);
        p = PARSE_FIRST("-a", "image", "-t", "--", "--nope");
        assert_ok(p.r, p.e);
        assert_true(p.a.all && !p.a.tty);
        assert_int_equal(p.rest.n, 4); /* "--" behind the image is the command's */
        assert_string_equal(p.rest.v[2], "--");
        release(&p);
        p = PARSE("-", "-a"); /* "-" is an operand: standard input */
        assert_ok(p.r, p.e);
        assert_string_equal(p.rest.v[0], "-");
        assert_true(p.a.all);
        release(&p);
}

static void test_values(void **state)
{
        struct parsed p = PARSE("--size", "64m", "--duration=1m30s", "--time", "-1", "--cap-add",
                                "A,B,,C", "--cap-add=D", "--workdir=", "--call", "x", "--name=n",
                                "--list=1", "--list", "2");

        assert_ok(p.r, p.e);
        assert_int_equal(p.a.size, 64 << 20);
        assert_true(p.a.duration == 90000000000);
        assert_int_equal(p.a.time, -1);
        assert_int_equal(p.a.caps.n, 4);
        assert_string_equal(p.a.caps.v[2], "C");
        assert_string_equal(p.a.workdir, "");
        assert_string_equal(p.a.called, "x");
        assert_string_equal(p.inner.name, "n");
        assert_int_equal(p.inner.list.n, 2);
        release(&p);
        p = PARSE("--workdir", "/a", "--alias", "/b"); /* the last one wins, whatever its name */
        assert_ok(p.r, p.e);
        assert_string_equal(p.a.workdir, "/b");
        release(&p);
}

/* Another engine's option: the hint says what helps, however near a name of ours is. */
static void test_absent(void **state)
{
        static const struct opt_absent absent[] = {
            {"volum", 'Q', "no volum: use a path"}, {"lonely", 0, "never alone"}, {0}};
        static const struct {
                const char *argv[2];
                const char *message, *hint;
        } cases[] = {
            {{"--volum=x"}, "unknown option '--volum'", "no volum: use a path"},
            {{"-Q"}, "unknown option '-Q'", "no volum: use a path"},
            {{"-Z"}, "unknown option '-Z'", "--help lists the options"},
            {{"--volumm"}, "unknown option '--volumm'", "did you mean '--volume'?"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct opt_parse_opts o = {.sections = sections, .absent = absent};
                AUTO_STRV rest = {0};
                AUTO_ERR struct err *e = NULL;
                struct args a = {0};

                assert_int_equal(opt_parse(&o, &a, (char *const *)cases[i].argv, &rest, &e),
                                 -EINVAL);
                assert_string_equal(err_message(e), cases[i].message);
                assert_string_equal(err_hint_text(e), cases[i].hint);
        }
}

static void test_errors(void **state)
{
        static const struct {
                const char *argv[3];
                const char *message, *hint;
        } cases[] = {
            {{"--workdri", "/"}, "unknown option '--workdri'", "did you mean '--workdir'?"},
            {{"--volumes=x"}, "unknown option '--volumes'", "did you mean '--volume'?"},
            {{"--interact"}, "unknown option '--interact'", "did you mean '--interactive'?"},
            {{"--zzzzzz"}, "unknown option '--zzzzzz'", "--help lists the options"},
            {{"-Q"}, "unknown option '-Q'", "--help lists the options"},
            {{"-itQ"}, "unknown option '-Q' in '-itQ'", "--help lists the options"},
            {{"--workdir"}, "option '--workdir' needs a value", NULL},
            {{"-w"}, "option '-w' (--workdir) needs a value", NULL},
            {{"-n", "x"}, "option '--count': invalid value 'x': expected a number", NULL},
            {{"-n", "4294967296"}, "option '--count': invalid value '4294967296'", NULL},
            {{"--size=-1"}, "option '--size': invalid value '-1'", NULL},
            {{"--call", "bad"}, "option '--call': value 'bad' is bad", NULL},
            {{"--=x"}, "unknown option '--'", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct parsed p = parse_flags(false, cases[i].argv);

                assert_int_equal(p.r, -EINVAL);
                if (!strstr(err_message(p.e), cases[i].message))
                        fail_msg("'%s' is not in '%s'", cases[i].message, err_message(p.e));
                assert_int_equal(err_exit_code(p.e), 125);
                if (cases[i].hint)
                        assert_string_equal(err_hint_text(p.e), cases[i].hint);
                release(&p);
        }
}

static void test_help_flag(void **state)
{
        struct parsed p = PARSE("-a", "--help", "--nope");

        assert_ok(p.r, p.e);
        assert_true(p.help && p.a.all);
        release(&p);
        p = PARSE("-ah");
        assert_ok(p.r, p.e);
        assert_true(p.help);
        release(&p);
        p = PARSE_FIRST("image", "--help"); /* the command's */
        assert_ok(p.r, p.e);
        assert_false(p.help);
        assert_int_equal(p.rest.n, 2);
        release(&p);
}

/* Every option is there, none is hidden by a long line, and no line is longer than a terminal. */
static void test_help_text(void **state)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        opt_print_help(sections, f);
        fclose(f);
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
                assert_true(strcspn(line, "\n") <= 80);
        assert_non_null(strstr(text, "  -w, --workdir DIR           Directory\n"));
        assert_non_null(strstr(text, "      --count N") ? text : strstr(text, "  -n, --count N"));
        assert_non_null(strstr(text, "--an-option-with-a-very-long-name METAVARIABLE\n             "
                                     "                 On a line"));
        assert_null(strstr(text, "alias"));
        assert_non_null(strstr(text, "\nInner:\n"));
        free(text);
}

static void test_closest(void **state)
{
        static const char *const words[] = {"run",    "rm",      "rmi",
                                            "images", "inspect", "container ls"};
        const size_t n = ARRAY_SIZE(words);

        assert_string_equal(opt_closest("rnu", words, n), "run");
        assert_string_equal(opt_closest("imgaes", words, n), "images");
        assert_string_equal(opt_closest("inspcet", words, n), "inspect");
        assert_string_equal(opt_closest("insp", words, n), "inspect");
        assert_string_equal(opt_closest("container lss", words, n), "container ls");
        assert_null(opt_closest("frobnicate", words, n));
        assert_null(opt_closest("", words, n));
        assert_null(opt_closest(
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            words, n));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_spellings), cmocka_unit_test(test_clusters),
            cmocka_unit_test(test_bools),     cmocka_unit_test(test_end_of_options),
            cmocka_unit_test(test_values),    cmocka_unit_test(test_absent),
            cmocka_unit_test(test_errors),    cmocka_unit_test(test_help_flag),
            cmocka_unit_test(test_help_text), cmocka_unit_test(test_closest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
