/* SPDX-License-Identifier: Apache-2.0 */
/* What layers are named and described by (pure), and recipes written and read again. Unpacking and packing: test_layers.py. */
#include "unit.h"

#include "base/alloc.h"
#include "base/io.h"
#include "idmap/idmap.h"
#include "image/decompress.h"
#include "image/layer_internal.h"

#include <errno.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_names(void **state)
{
        char *ab[] = {(char *)"a", (char *)"b"}, *ba[] = {(char *)"b", (char *)"a"},
             *joined[] = {(char *)"ab"};
        char one[LAYER_NAME_MAX], two[LAYER_NAME_MAX], none[LAYER_NAME_MAX];

        layer_chain_name(HEX, ab, 2, one);
        layer_chain_name(HEX, ba, 2, two);
        assert_string_not_equal(one, two);
        layer_chain_name(HEX, joined, 1, two);
        assert_string_not_equal(one, two);
        layer_chain_name(HEX, NULL, 0, none);
        assert_true(layer_name_is_valid(HEX) && layer_name_is_valid(one) &&
                    layer_name_is_valid(none));
        assert_false(layer_name_is_valid(HEX "-"));
        assert_false(layer_name_is_valid(HEX "-0123456789abcdef"));
        assert_false(layer_name_is_valid(HEX "-0123456789abcdef0123456789abcdeF"));
        assert_false(layer_name_is_valid(HEX "-0123456789abcdef0123456789abcdef0"));
        /* Not one that two chains can be made to share: the start of a SHA-256, over names that each end with a NUL. */
        assert_string_equal(none, HEX "-e3b0c44298fc1c149afbf4c8996fb924");
        assert_string_equal(one, HEX "-8fb20ef63ced4145fc2e983ffe597d1d");
        assert_false(layer_name_is_valid("../" HEX));
        assert_false(layer_name_is_valid(""));
}

static uint32_t shifted(const void *arg, uint32_t id)
{
        return id == 0 ? 1000 : 100000 + id - 1;
}

static void test_owner_sets(void **state)
{
        struct owner_set s = {0};
        struct layer_owners o;

        for (uint32_t i = 0; i < 5; i++)
                assert_int_equal(owner_set_add(&s, 4 - i), 0);
        assert_int_equal(owner_set_add(&s, 4000000000u), 0);
        assert_int_equal(owner_set_add(&s, 3), 0);
        assert_int_equal(s.n, 6);
        o = owner_set_finish(&s, shifted, NULL);
        assert_int_equal(o.n, 3); /* 0; 1–4; the large one */
        assert_int_equal(layer_owners_host(&o, 0), 1000);
        assert_int_equal(layer_owners_host(&o, 4), 100003);
        assert_true(layer_owners_host(&o, 5) == ID_NONE);
        assert_true(layer_owners_host(&o, 3999999999u) == ID_NONE);
        free(o.v);
        for (uint32_t i = 0; i < LAYER_MAX_OWNERS; i++)
                assert_int_equal(owner_set_add(&s, i * 3), 0);
        assert_int_equal(owner_set_add(&s, 1), -E2BIG);
        assert_int_equal(owner_set_add(&s, 3), 0);
        free(s.v);
}

static struct id_map map_of(const char *text)
{
        struct id_map m = {0};

        assert_int_equal(id_map_parse(text, &m, NULL), 0);
        return m;
}

static void dir_for(const struct layer_info *i, const char *map, char ret[LAYER_DIR_MAX])
{
        struct id_map m = map_of(map);

        layer_info_dir(i, &m, &m, ret);
        id_map_release(&m);
}

static void test_directory_for_maps(void **state)
{
        struct layer_owner owners[] = {{0, 1000, 1}, {1, 100000, 1}, {33, 100032, 1}};
        struct layer_info i = {.uids = {owners, 3}, .gids = {owners, 1}};
        char a[LAYER_DIR_MAX], b[LAYER_DIR_MAX];

        dir_for(&i, "0 1000 1\n1 100000 65536\n", a);
        assert_string_equal(a, "fs");
        /* What differs at ids that the layer does not use is no difference. */
        dir_for(&i, "0 1000 1\n1 100000 33\n", a);
        assert_string_equal(a, "fs");
        dir_for(&i, "0 1000 1\n1 100001 65536\n", a);
        assert_memory_equal(a, "fs.", 3);
        dir_for(&i, "0 1000 1\n", b);
        assert_memory_equal(b, "fs.", 3);
        assert_string_not_equal(a, b);
        dir_for(&i, "0 1000 1\n", a);
        assert_string_equal(a, b);
}

static void test_info(void **state)
{
        struct layer_owner owners[] = {{0, 1000, 1}, {1, 100000, 65535}};
        struct layer_info i = {.diff_id = "sha256:" HEX,
                               .blob_digest = "sha256:" HEX,
                               .format = "gzip",
                               .blob_size = 1ull << 40,
                               .tar_size = 3,
                               .bytes = 2,
                               .disk_bytes = 5,
                               .inodes = 6,
                               .entries = 7,
                               .setuid = true,
                               .needs_lower = true,
                               .skipped = 8,
                               .uids = {owners, 2},
                               .gids = {owners, 1}};
        AUTO(layer_info_release) struct layer_info back = {0};
        AUTO_ERR struct err *e = NULL;

        assert_ok(layer_info_write(unit_dir(state), &i, &e), e);
        assert_ok(layer_info_read(unit_dir(state), &back, &e), e);
        assert_string_equal(back.diff_id, i.diff_id);
        assert_string_equal(back.format, "gzip");
        assert_true(back.blob_size == i.blob_size && back.setuid && back.needs_lower &&
                    !back.folded && back.skipped == 8);
        assert_int_equal(back.uids.n, 2);
        assert_int_equal(back.gids.n, 1);
        assert_memory_equal(back.uids.v, owners, sizeof(owners));
}

static void test_info_damaged(void **state)
{
        static const char *const bad[] = {
            "{}",
            "{\"diffId\":5}",
            "{\"diffId\":\"x\",\"blob\":\"\",\"format\":\"much too long\"}",
            "{\"diffId\":\"x\",\"blob\":\"\",\"format\":\"gzip\",\"blobSize\":-1}",
        };
        static const char *const bad_owners[] = {
            "[[0,0]]",       "[[0,0,-1]]",         "[[1,1,1],[0,0,1]]",
            "[[0,0,65537]]", "[[0,4294967295,1]]", "5"};

        for (size_t i = 0; i < ARRAY_SIZE(bad) + ARRAY_SIZE(bad_owners); i++) {
                AUTO_FREE char *text =
                    i < ARRAY_SIZE(bad)
                        ? xstrdup(bad[i])
                        : xasprintf(
                              "{\"diffId\":\"x\",\"blob\":\"\",\"format\":\"gzip\",\"blobSize\":0,"
                              "\"tarSize\":0,\"bytes\":0,"
                              "\"diskBytes\":0,\"inodes\":0,\"entries\":0,\"uids\":%s,\"gids\":[]}",
                              bad_owners[i - ARRAY_SIZE(bad)]);
                struct layer_info info = {0};
                struct err *e = NULL;

                unit_write(unit_dir(state), "info.json", text);
                assert_failed(layer_info_read(unit_dir(state), &info, &e), e, ERR_INVALID,
                              "info.json");
        }
}

/* ---- recipes ---- */

static void expect_raw(struct recipe_reader *r, const char *text)
{
        size_t n = strlen(text), done = 0;

        while (done < n) {
                struct recipe_record rec;

                assert_int_equal(recipe_next(r, &rec, NULL), 0);
                assert_int_equal(rec.type, RECIPE_RAW);
                assert_true(rec.n <= n - done);
                assert_memory_equal(rec.data, text + done, rec.n);
                done += rec.n;
        }
}

static void test_recipe(void **state)
{
        int dir = unit_dir(state);
        AUTO(recipe_writer_freep) struct recipe_writer *w = NULL;
        AUTO(recipe_reader_freep) struct recipe_reader *r = NULL;
        AUTO_ERR struct err *e = NULL;
        struct recipe_node node = {"d/f", 1000, UINT32_MAX - 1, 04755};
        struct recipe_record rec;
        uint64_t disk;

        assert_ok(recipe_create(dir, &w, &e), e);
        assert_ok(recipe_put_raw(w, "head", 4, &e), e);
        assert_ok(recipe_put_raw(w, "er", 2, &e), e);
        assert_ok(recipe_put_node(w, &node, &e), e);
        assert_ok(recipe_put_content(w, 0, 10, &e), e);
        assert_ok(recipe_put_content(w, 10, 5, &e), e); /* joins the one before */
        assert_ok(recipe_put_content(w, 1ull << 40, 1, &e), e);
        assert_ok(recipe_put_kept(w, "d", 3, &e), e);
        assert_ok(recipe_put_raw(w, "end", 3, &e), e);
        assert_ok(recipe_finish(w, &disk, &e), e);

        assert_ok(recipe_open(dir, &r, &e), e);
        expect_raw(r, "header");
        assert_ok(recipe_next(r, &rec, &e), e);
        assert_int_equal(rec.type, RECIPE_NODE);
        assert_string_equal(rec.node.path, "d/f");
        assert_true(rec.node.uid == 1000 && rec.node.gid == UINT32_MAX - 1 &&
                    rec.node.mode == 04755);
        assert_ok(recipe_next(r, &rec, &e), e);
        assert_true(rec.type == RECIPE_CONTENT && rec.offset == 0 && rec.n == 15);
        assert_ok(recipe_next(r, &rec, &e), e);
        assert_true(rec.type == RECIPE_CONTENT && rec.offset == 1ull << 40 && rec.n == 1);
        assert_ok(recipe_next(r, &rec, &e), e);
        assert_true(rec.type == RECIPE_KEPT && rec.k == 3);
        assert_string_equal(rec.node.path, "d");
        expect_raw(r, "end");
        assert_ok(recipe_next(r, &rec, &e), e);
        assert_true(rec.type == RECIPE_END && rec.n == 6 + 16 + 3);
}

static void write_kept(int dir)
{
        AUTO(recipe_writer_freep) struct recipe_writer *w = NULL;
        struct recipe_node a = {"a/b/c", 0, 0, 0}, b = {"a/bc", 0, 0, 0};
        uint64_t disk;

        assert_int_equal(recipe_create(dir, &w, NULL), 0);
        assert_int_equal(recipe_put_node(w, &a, NULL), 0); /* 0 */
        assert_int_equal(recipe_put_node(w, &b, NULL), 0); /* 1 */
        assert_int_equal(recipe_put_kept(w, "a/b", 0, NULL), 0);
        assert_int_equal(recipe_put_node(w, &a, NULL), 0); /* 2 */
        assert_int_equal(recipe_put_kept(w, "a/b/c", 1, NULL), 0);
        assert_int_equal(recipe_put_node(w, &a, NULL), 0); /* 3 */
        assert_int_equal(recipe_put_kept(w, "a", 2, NULL), 0);
        assert_int_equal(recipe_put_node(w, &a, NULL), 0); /* 4 */
        assert_int_equal(recipe_finish(w, &disk, NULL), 0);
        assert_int_equal(mkdirat(dir, RECIPE_KEPT_DIR, 0755), 0);
}

static void test_kept(void **state)
{
        AUTO(recipe_kept_freep) struct recipe_kept *k = NULL;
        AUTO_ERR struct err *e = NULL;
        char buf[128];

        write_kept(unit_dir(state));
        assert_ok(recipe_kept_load(unit_dir(state), &k, &e), e);
        assert_string_equal(recipe_kept_find(k, 0, "a/b/c", buf, sizeof(buf)), "kept/0/c");
        assert_string_equal(recipe_kept_find(k, 1, "a/bc", buf, sizeof(buf)), "kept/2/bc");
        assert_string_equal(recipe_kept_find(k, 2, "a/b/c", buf, sizeof(buf)), "kept/1");
        assert_string_equal(recipe_kept_find(k, 3, "a/b/c", buf, sizeof(buf)), "kept/2/b/c");
        assert_null(recipe_kept_find(k, 4, "a/b/c", buf, sizeof(buf)));
        assert_null(recipe_kept_find(k, 0, "", buf, sizeof(buf)));
}

/* ---- streams ---- */

struct source {
        const char *data;
        size_t n, step;
        int fail_after; /* reads */
};

static ssize_t source_read(void *userdata, void *buf, size_t n)
{
        struct source *s = userdata;

        if (s->fail_after-- == 0)
                return -EIO;
        n = n < s->step ? n : s->step;
        n = n < s->n ? n : s->n;
        memcpy(buf, s->data, n);
        s->data += n;
        s->n -= n;
        return (ssize_t)n;
}

static int sums_of(struct source src, struct stream_opts o, struct stream_sums *ret,
                   struct err **reterr)
{
        AUTO(stream_freep) struct stream *s = NULL;
        int r;

        o.read = source_read;
        o.userdata = &src;
        o.what = "blob";
        r = stream_open(&o, &s, reterr);
        return r < 0 ? r : stream_finish(s, ret, reterr);
}

#define SHA_ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_stream_limits(void **state)
{
        struct source abc = {"abc", 3, 1, -1};
        struct stream_opts o = STREAM_OPTS_INIT;
        struct stream_sums sums;
        struct err *e = NULL;

        for (int threaded = 0; threaded < 2; threaded++) {
                o = STREAM_OPTS_INIT;
                o.threaded = threaded;
                o.size = o.max_size = o.max_content = 3;
                assert_ok(sums_of(abc, o, &sums, &e), e);
                assert_string_equal(sums.source, SHA_ABC);
                assert_string_equal(sums.content, SHA_ABC);
                assert_true(sums.source_bytes == 3 && sums.content_bytes == 3);
                o.size = 2;
                assert_failed(sums_of(abc, o, &sums, &e), e, ERR_INVALID,
                              "blob: larger than the 2 bytes");
                o.size = 4;
                assert_failed(sums_of(abc, o, &sums, &e), e, ERR_INVALID,
                              "blob: ends before the 4 bytes");
                o.size = 0;
                o.max_size = 2;
                assert_failed(sums_of(abc, o, &sums, &e), e, ERR_INVALID, "limit of 2 bytes");
                o.max_size = 0;
                o.max_content = 2;
                assert_failed(sums_of(abc, o, &sums, &e), e, ERR_INVALID, "limit of 2 bytes");
                abc.fail_after = 2;
                o.max_content = 0;
                assert_failed(sums_of(abc, o, &sums, &e), e, ERR_SYS, "blob: read");
                abc.fail_after = -1;
        }
}

/* A reader that stops early leaves neither thread nor descriptor. */
static void test_stream_abandoned(void **state)
{
        size_t n = 8u << 20;
        AUTO_FREE char *zeros = xcalloc(1, n);
        int before = unit_count_fds();

        for (int i = 0; i < 20; i++) {
                struct source src = {zeros, n, SIZE_MAX, -1};
                AUTO(stream_freep) struct stream *s = NULL;
                struct stream_opts o = STREAM_OPTS_INIT;
                const void *p;
                size_t len;

                o.read = source_read;
                o.userdata = &src;
                o.threaded = true;
                assert_int_equal(stream_open(&o, &s, NULL), 0);
                if (i % 2)
                        assert_int_equal(stream_peek(s, &p, &len, NULL), 0);
        }
        assert_int_equal(unit_count_fds(), before);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_owner_sets),
            cmocka_unit_test(test_directory_for_maps),
            unit_test_dir(test_info),
            unit_test_dir(test_info_damaged),
            unit_test_dir(test_recipe),
            unit_test_dir(test_kept),
            cmocka_unit_test(test_stream_limits),
            cmocka_unit_test(test_stream_abandoned),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
