/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images: grammar, familiar forms, twins, file names; digests. */
#include "unit.h"

#include "base/alloc.h"
#include "base/macros.h"
#include "image/digest.h"
#include "image/reference.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_forms(void **state)
{
        static const struct {
                const char *typed, *full, *familiar, *twin;
        } cases[] = {
            {"debian", "docker.io/library/debian:latest", "debian:latest",
             "localhost/debian:latest"},
            {"debian:12", "docker.io/library/debian:12", "debian:12", "localhost/debian:12"},
            {"a/b", "docker.io/a/b:latest", "a/b:latest", "localhost/a/b:latest"},
            {"library/debian", "docker.io/library/debian:latest", "debian:latest",
             "localhost/debian:latest"},
            {"docker.io/debian", "docker.io/library/debian:latest", "debian:latest",
             "localhost/debian:latest"},
            {"index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest", "localhost/a/b:latest"},
            {"localhost/web", "localhost/web:latest", "web:latest", "docker.io/library/web:latest"},
            {"localhost/a/web:1", "localhost/a/web:1", "a/web:1", "docker.io/a/web:1"},
            {"localhost:5000/web", "localhost:5000/web:latest", "localhost:5000/web:latest", NULL},
            {"quay.io/x/y:1.0_b-c", "quay.io/x/y:1.0_b-c", "quay.io/x/y:1.0_b-c", NULL},
            {"[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest", NULL},
            {"Host/x", "Host/x:latest", "Host/x:latest", NULL},
            {"x@sha256:" HEX64, "docker.io/library/x@sha256:" HEX64, "x@sha256:" HEX64,
             "localhost/x@sha256:" HEX64},
            {"x:1@sha256:" HEX64, "docker.io/library/x:1@sha256:" HEX64, "x:1@sha256:" HEX64,
             "localhost/x:1@sha256:" HEX64},
            /* Without its host this one would be read as host and path. */
            {"localhost/a.b/c", "localhost/a.b/c:latest", "localhost/a.b/c:latest", NULL},
            /* Without it, this one would be an id. */
            {"library/" HEX64, "docker.io/library/" HEX64 ":latest",
             "docker.io/library/" HEX64 ":latest", NULL},
            {"docker.io/library/x/y", "docker.io/library/x/y:latest", "library/x/y:latest",
             "localhost/library/x/y:latest"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(reference_release) struct reference r = {0}, again = {0};
                AUTO_FREE char *full = NULL, *familiar = NULL, *twin = NULL, *back = NULL;
                AUTO_ERR struct err *e = NULL;

                assert_ok(reference_parse(cases[i].typed, &r, &e), e);
                full = reference_format(&r);
                familiar = reference_familiar(&r);
                twin = reference_twin(&r);
                assert_string_equal(full, cases[i].full);
                assert_string_equal(familiar, cases[i].familiar);
                if (cases[i].twin)
                        assert_string_equal(twin, cases[i].twin);
                else
                        assert_null(twin);
                /* The full form is read as itself. */
                assert_ok(reference_parse(full, &again, &e), e);
                back = reference_format(&again);
                assert_string_equal(back, full);
        }
}

static void test_twins_share_the_familiar_form(void **state)
{
        static const char *const names[] = {"localhost/web:1", "docker.io/library/web:1",
                                            "localhost/a/b", "docker.io/a/b"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                AUTO(reference_release) struct reference r = {0}, t = {0};
                AUTO_FREE char *twin = NULL, *x = NULL, *y = NULL, *back = NULL, *full = NULL;

                assert_int_equal(reference_parse(names[i], &r, NULL), 0);
                twin = reference_twin(&r);
                assert_int_equal(reference_parse(twin, &t, NULL), 0);
                x = reference_familiar(&r);
                y = reference_familiar(&t);
                assert_string_equal(x, y);
                back = reference_twin(&t);
                full = reference_format(&r);
                assert_string_equal(back, full);
        }
}

static void test_refused(void **state)
{
        static const char *const bad[] = {
            "",
            " ",
            "a b",
            "A",
            "Debian",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a..b",
            "a___b",
            ".a",
            "a:",
            "a:-x",
            "a:.x",
            "a:b c",
            "a:b/c:d e",
            "a@",
            "a@sha256:12",
            "a@md5:" HEX64,
            "a@sha256:" HEX64 "0",
            "a\nb",
            "a\x1b[2J",
            "../a",
            "a/../b",
            "a.b:port/x",
            "-h.x/a",
            "h..x/a",
            HEX64,
            "\xc3\xa4",
            "a:\xc3\xa4",
            "[::1/x",
            "a@sha256:" HEX64 "@sha256:" HEX64,
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                AUTO(reference_release) struct reference r = {0};
                struct err *e = NULL;

                assert_failed(reference_parse(bad[i], &r, &e), e, ERR_USAGE, "invalid image name");
                assert_null(r.path);
        }
}

static void test_too_long(void **state)
{
        char name[400];
        struct reference r = {0};
        struct err *e = NULL;

        memset(name, 'a', sizeof(name));
        name[sizeof(name) - 1] = '\0';
        assert_failed(reference_parse(name, &r, &e), e, ERR_USAGE, "longer than");
        memset(name, 'a', sizeof(name));
        name[100] = ':';
        name[300] = '\0';
        assert_failed(reference_parse(name, &r, &e), e, ERR_USAGE, "bad tag");
}

static void test_escape(void **state)
{
        static const struct {
                const char *name, *file;
        } cases[] = {
            {"docker.io/library/a:1", "docker.io%2Flibrary%2Fa%3A1"},
            {"..", "%2E."},
            {".", "%2E"},
            {"a%b", "a%25b"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *file = reference_escape(cases[i].name);
                AUTO_FREE char *back = reference_unescape(file);

                assert_string_equal(file, cases[i].file);
                assert_string_equal(back, cases[i].name);
        }
        assert_null(reference_escape(""));
        assert_null(reference_unescape("a%"));
        assert_null(reference_unescape("a%2"));
        assert_null(reference_unescape("a%00"));
        assert_null(reference_unescape("a%2g"));
        assert_null(reference_unescape("a/b"));
        assert_null(reference_unescape(".tmp-1"));
        assert_null(reference_unescape(""));
}

static void test_digest(void **state)
{
        assert_true(digest_is_valid("sha256:" HEX64));
        assert_true(digest_is_valid("sha512:" HEX64 HEX64));
        assert_string_equal(digest_hex("sha256:" HEX64), HEX64);
        assert_false(digest_is_valid("sha256:" HEX64 "0"));
        assert_false(digest_is_valid("sha256:0123"));
        assert_false(digest_is_valid("sha256:ABCDEF"));
        assert_false(digest_is_valid(HEX64));
        assert_false(digest_is_valid(
            "sha256:../../../../../../../../etc/passwd/............................"));
        assert_false(digest_is_valid(NULL));
        assert_true(digest_is_hex_prefix("0a"));
        assert_true(digest_is_hex_prefix("sha256:0a"));
        assert_true(digest_is_hex_prefix(HEX64));
        assert_false(digest_is_hex_prefix(HEX64 "0"));
        assert_false(digest_is_hex_prefix(""));
        assert_false(digest_is_hex_prefix("0g"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_forms),   cmocka_unit_test(test_twins_share_the_familiar_form),
            cmocka_unit_test(test_refused), cmocka_unit_test(test_too_long),
            cmocka_unit_test(test_escape),  cmocka_unit_test(test_digest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
