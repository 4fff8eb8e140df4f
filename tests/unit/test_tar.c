/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of the tar reader: numbers, times, headers, PAX records, sparse maps; whiteout names. Archives as a whole: test_layers.py. */
#include "unit.h"

#include <errno.h>

#include "image/tar_internal.h"
#include "image/whiteout.h"

static int64_t number(const char *field, size_t n, int *ret_r)
{
        int64_t v = -99;

        *ret_r = tar_number((const unsigned char *)field, n, &v);
        return v;
}

static void test_numbers(void **state)
{
        static const struct {
                const char *field;
                size_t n;
                int r;
                int64_t v;
        } cases[] = {
            {"0000644\0", 8, 0, 0644},
            {"    644 ", 8, 0, 0644},
            {"\0\0\0\0\0\0\0\0", 8, 0, 0},
            {"77777777", 8, 0, 077777777}, /* no terminator: old programs */
            {"0000648\0", 8, -EINVAL, 0},
            {"12 34567", 8, -EINVAL, 0},
            {"-000001\0", 8, -EINVAL, 0},
            {"\x80\0\0\0\0\0\1\2", 8, 0, 258},
            {"\xff\xff\xff\xff\xff\xff\xff\xfb", 8, 0, -5},
            {"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, 0, INT64_MAX},
            {"\x80\0\0\1\0\0\0\0\0\0\0\0", 12, -EINVAL, 0}, /* 2^64 */
            {"\xff\xff\xff\xfe\0\0\0\0\0\0\0\0", 12, -EINVAL, 0},
            {"777777777777", 12, 0, 0777777777777},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int r;
                int64_t v = number(cases[i].field, cases[i].n, &r);

                assert_int_equal(r, cases[i].r);
                if (r == 0)
                        assert_true(v == cases[i].v);
        }
}

static void test_times(void **state)
{
        static const struct {
                const char *text;
                int r;
                int64_t s;
                uint32_t ns;
        } cases[] = {
            {"0", 0, 0, 0},
            {"1.5", 0, 1, 500000000},
            {"1.0000000019", 0, 1, 1},
            {"-1.25", 0, -2, 750000000},
            {"-0.25", 0, -1, 750000000},
            {"-3", 0, -3, 0},
            {".5", 0, 0, 500000000},
            {"1e5", -EINVAL, 0, 0},
            {"1.5x", -EINVAL, 0, 0},
            {"99999999999999999999999999", -EINVAL, 0, 0},
            {"1.2.3", -EINVAL, 0, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int64_t s = 0;
                uint32_t ns = 0;
                int r = tar_time(cases[i].text, &s, &ns);

                if (cases[i].r < 0)
                        assert_true(r < 0);
                else
                        assert_true(r == 0 && s == cases[i].s && ns == cases[i].ns);
        }
}

static void sum_up(unsigned char *b)
{
        unsigned sum = 0;

        memset(b + 148, ' ', 8);
        for (unsigned i = 0; i < TAR_BLOCK_SIZE; i++)
                sum += b[i];
        (void)snprintf((char *)b + 148, 8, "%06o", sum);
}

static void test_header(void **state)
{
        unsigned char b[TAR_BLOCK_SIZE] = {0};
        struct tar_header h;

        assert_true(tar_block_is_zero(b));
        memset(b, 'n', 100); /* a name that fills its field has no NUL */
        memcpy(b + 100, "0000755", 7);
        b[156] = '0';
        memcpy(b + 257, "ustar\00000", 8);
        memcpy(b + 345, "prefix", 6);
        sum_up(b);
        assert_false(tar_block_is_zero(b));
        assert_int_equal(tar_header_parse(b, &h), 0);
        assert_int_equal(strlen(h.path), 107);
        assert_memory_equal(h.path, "prefix/nnn", 10);
        assert_int_equal(h.mode, 0755);

        memcpy(b + 257, "ustar  ", 8); /* GNU keeps other things where the prefix is */
        sum_up(b);
        assert_int_equal(tar_header_parse(b, &h), 0);
        assert_true(h.gnu && strlen(h.path) == 100);

        b[0] = 0xfc; /* some programs sum signed characters */
        sum_up(b);
        assert_int_equal(tar_header_parse(b, &h), 0);
        b[1]++;
        assert_int_equal(tar_header_parse(b, &h), -EINVAL);
}

static int parse(struct tar_meta *m, const char *text, size_t n)
{
        char *copy = malloc(n + 1);
        const char *what = NULL;
        int r;

        memcpy(copy, text, n);
        copy[n] = '\0';
        r = tar_pax_parse(copy, n, m, &what);
        free(copy);
        assert_true((r < 0) == (what != NULL));
        return r;
}
#define PARSE(m, text) parse(m, text, sizeof(text) - 1)

static void test_pax(void **state)
{
        struct tar_meta m = {0};

        assert_int_equal(PARSE(&m, "12 path=a/b\n"
                                   "14 size=12345\n"
                                   "11 uid=007\n"
                                   "17 mtime=-1.25\n\n"),
                         -EINVAL);
        tar_meta_release(&m);
        assert_int_equal(PARSE(&m, "12 path=a/b\n"
                                   "14 size=12345\n"
                                   "16 unknown=abcd\n"
                                   "12 path=c=\n\n"),
                         0);
        assert_string_equal(m.path, "c=\n"); /* a newline in a name is legal */
        assert_true(m.has_size && m.size == 12345);
        assert_int_equal(PARSE(&m, "8 path=\n"), 0); /* takes it back */
        assert_null(m.path);
        tar_meta_release(&m);

        assert_int_equal(PARSE(&m, "25 SCHILY.xattr.user.a=\0\n"), 0);
        assert_int_equal(m.n_xattrs, 1);
        assert_string_equal(m.xattrs[0].name, "user.a");
        assert_int_equal(m.xattrs[0].size, 0 + 1);
        tar_meta_release(&m);
        assert_int_equal(PARSE(&m, "34 LIBARCHIVE.xattr.user.%41=AQID\n"), 0);
        assert_string_equal(m.xattrs[0].name, "user.A");
        assert_int_equal(m.xattrs[0].size, 3);
        assert_memory_equal(m.xattrs[0].value, "\1\2\3", 3);
        tar_meta_release(&m);
}

static void test_pax_damaged(void **state)
{
        static const char *const bad[] = {
            "0 a=b\n",
            "5 a=b",
            "99 a=b\n",
            "6 a=bc\n",
            "x a=b\n",
            "7  =abc\n",
            "6 abc\n",
            "6 =abc\n",
            "11 uid=abc\n",
            "11 size=-1\n",
            "3 \n",
            "26 GNU.sparse.map=1,2,3\n\n",
            "24 GNU.sparse.map=5,1,0\n",
            "24 GNU.sparse.numbytes=1\n",
            "18446744073709551617 a=b\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct tar_meta m = {0};

                if (parse(&m, bad[i], strlen(bad[i])) >= 0)
                        fail_msg("taken: %s", bad[i]);
                tar_meta_release(&m);
        }
}

static void test_sparse(void **state)
{
        struct tar_sparse s = {0};

        assert_int_equal(tar_sparse_add(&s, 0, 0), 0); /* no piece */
        assert_int_equal(s.n, 0);
        assert_int_equal(tar_sparse_add(&s, 10, 5), 0);
        assert_int_equal(tar_sparse_add(&s, 14, 1), -EINVAL);
        assert_int_equal(tar_sparse_add(&s, 15, 1), 0);
        assert_int_equal(tar_sparse_add(&s, 3, 1), -EINVAL);
        assert_int_equal(tar_sparse_add(&s, 20, UINT64_MAX), -EINVAL);
        assert_int_equal(tar_sparse_add(&s, UINT64_MAX, 1), -EINVAL);
        assert_int_equal(s.n, 2);
        for (uint64_t i = 0; i < TAR_MAX_SPARSE - 2; i++)
                assert_int_equal(tar_sparse_add(&s, 100 + 2 * i, 1), 0);
        assert_int_equal(tar_sparse_add(&s, 1 << 30, 1), -EINVAL);
        free(s.v);
}

static void test_whiteout_names(void **state)
{
        static const struct {
                const char *base;
                enum whiteout w;
                const char *hidden;
        } cases[] = {
            {"a", WHITEOUT_NONE, NULL},
            {".wh", WHITEOUT_NONE, NULL},
            {"a.wh.b", WHITEOUT_NONE, NULL},
            {".wh.a", WHITEOUT_NAME, "a"},
            {".wh..a", WHITEOUT_NAME, ".a"},
            {".wh..wh..opq", WHITEOUT_OPAQUE, NULL},
            {".wh..wh.plnk", WHITEOUT_IGNORED, NULL},
            {".wh.", WHITEOUT_INVALID, NULL},
            {".wh..", WHITEOUT_INVALID, NULL},
            {".wh...", WHITEOUT_INVALID, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *hidden = NULL;

                assert_int_equal(whiteout_parse(cases[i].base, &hidden), cases[i].w);
                if (cases[i].hidden)
                        assert_string_equal(hidden, cases[i].hidden);
        }
        assert_true(whiteout_is_own_xattr("user.overlay.opaque"));
        assert_false(whiteout_is_own_xattr("user.overlays"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_numbers),        cmocka_unit_test(test_times),
            cmocka_unit_test(test_header),         cmocka_unit_test(test_pax),
            cmocka_unit_test(test_pax_damaged),    cmocka_unit_test(test_sparse),
            cmocka_unit_test(test_whiteout_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
