/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of archives, platforms, and telling files apart by their first bytes. */
#include "unit.h"

#include "base/alloc.h"
#include "base/macros.h"
#include "image/archive.h"
#include "image/manifest.h"
#include "image/platform.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define D     "\"digest\":\"sha256:" HEX64 "\",\"size\":5"

static void test_index(void **state)
{
        static const char text[] =
            "{\"schemaVersion\":2,\"manifests\":["
            "{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"," D
            ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"},"
            "\"annotations\":{\"org.opencontainers.image.ref.name\":\"x\"}},"
            "{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"," D
            ",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
            "{\"mediaType\":\"application/weird\"," D "}]}";
        AUTO(descriptor_list_release) struct descriptor_list l = {0};
        AUTO_ERR struct err *e = NULL;

        assert_ok(index_parse(text, strlen(text), "index.json", &l, &e), e);
        assert_int_equal(l.n, 3);
        assert_string_equal(l.v[0].ref_name, "x");
        assert_string_equal(l.v[0].platform.arch, "arm64");
        assert_string_equal(l.v[0].platform.variant, "");
        assert_true(l.v[1].attestation);
        assert_int_equal(descriptor_kind(&l.v[2]), DESCRIPTOR_OTHER);
}

static void test_bad_documents(void **state)
{
        static const struct {
                const char *text, *part;
        } bad[] = {
            {"", "index.json"},
            {"[]", "expected an object"},
            {"{\"schemaVersion\":1,\"manifests\":[]}", "schemaVersion 1"},
            {"{\"manifests\":{}}", "expected an array"},
            {"{\"manifests\":[1]}", "manifests[0]"},
            {"{\"manifests\":[{\"size\":1}]}", "digest"},
            {"{\"manifests\":[{\"digest\":\"sha256:../../x\",\"size\":1}]}", "bad digest"},
            {"{\"manifests\":[{\"digest\":\"sha512:" HEX64 HEX64 "\",\"size\":1}]}", "only sha256"},
            {"{\"manifests\":[{\"digest\":\"sha256:" HEX64 "\",\"size\":-1}]}", "size"},
            {"{\"manifests\":[{\"digest\":\"sha256:" HEX64 "\"}]}", "size"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct descriptor_list l = {0};
                struct err *e = NULL;

                assert_failed(index_parse(bad[i].text, strlen(bad[i].text), "index.json", &l, &e),
                              e, ERR_INVALID, bad[i].part);
                assert_null(l.v);
        }
}

static void test_size_limit(void **state)
{
        size_t n = MANIFEST_JSON_MAX + 1;
        AUTO_FREE char *text = xmalloc(n);
        struct manifest m = {0};
        struct err *e = NULL;

        memset(text, ' ', n);
        assert_failed(manifest_parse(text, n, "manifest", &m, &e), e, ERR_INVALID, "larger than");
}

static void test_manifest(void **state)
{
        static const char text[] = "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\"," D
                                   "},\"layers\":[{" D ",\"urls\":[\"http://x\"]}]}";
        AUTO(manifest_release) struct manifest m = {0};
        AUTO_ERR struct err *e = NULL;

        assert_ok(manifest_parse(text, strlen(text), "manifest", &m, &e), e);
        assert_true(m.artifact);
        assert_int_equal(m.layers.n, 1);
        assert_true(m.layers.v[0].foreign);
        assert_int_equal(m.layers.v[0].size, 5);
}

static void test_made_manifest_is_read(void **state)
{
        struct manifest_layer layers[] = {{MEDIA_OCI_LAYER, "sha256:" HEX64, 1ULL << 40}};
        AUTO_FREE char *text = manifest_build("sha256:" HEX64, 7, layers, 1);
        AUTO(manifest_release) struct manifest m = {0};
        AUTO_ERR struct err *e = NULL;

        assert_ok(manifest_parse(text, strlen(text), "manifest", &m, &e), e);
        assert_false(m.artifact);
        assert_int_equal(m.config.size, 7);
        assert_true(m.layers.v[0].size == 1ULL << 40);
}

static void test_repositories(void **state)
{
        static const char text[] = "{\"a/b\":{\"1\":\"" HEX64 "\",\"2\":\"" HEX64 "\"}}";
        static const char bad[] = "{\"a\":{\"1\":\"../../x\"}}";
        AUTO_STRV names = {0}, ids = {0}, none = {0};
        struct err *e = NULL;

        assert_ok(repositories_parse(text, strlen(text), &names, &ids, &e), e);
        assert_int_equal(names.n, 2);
        assert_string_equal(names.v[1], "a/b:2");
        assert_failed(repositories_parse(bad, strlen(bad), &none, &none, &e), e, ERR_INVALID,
                      "no image id");
}

static int score(const char *wanted, const char *os, const char *arch, const char *variant)
{
        struct platform w, c;

        assert_int_equal(platform_parse(wanted, &w, NULL), 0);
        platform_set(&c, os, arch, variant);
        return platform_score(&w, &c);
}

static void test_platforms(void **state)
{
        assert_true(score("linux/amd64/v3", "linux", "amd64", "v3") >
                    score("linux/amd64/v3", "linux", "amd64", "v2"));
        assert_true(score("linux/amd64/v3", "linux", "amd64", "v2") >
                    score("linux/amd64/v3", "linux", "amd64", NULL));
        assert_true(score("linux/amd64/v3", "linux", "amd64", NULL) >
                    score("linux/amd64/v3", "linux", "386", NULL));
        assert_true(score("linux/amd64", "linux", "386", NULL) > 0);
        assert_int_equal(score("linux/amd64/v2", "linux", "amd64", "v3"), 0);
        assert_int_equal(score("linux/amd64", "windows", "amd64", NULL), 0);
        assert_int_equal(score("linux/amd64", "linux", "arm64", NULL), 0);
        assert_true(score("arm64", "linux", "arm64", "v8") ==
                    score("arm64", "linux", "aarch64", ""));
        assert_true(score("arm64", "linux", "arm", "v7") > score("arm64", "linux", "arm", "v6"));
        assert_int_equal(score("linux/arm/v6", "linux", "armhf", NULL), 0);
        assert_true(score("linux/arm/v7", "linux", "armel", NULL) > 0);
        assert_true(score("x86_64", "linux", "amd64", NULL) > 0);
        assert_int_equal(score("linux/amd64/vx", "linux", "amd64", "vy"), 0);
}

static void test_bad_platforms(void **state)
{
        static const char *const bad[] = {"", "/", "a//b", "a/b/c/d",
                                          "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct platform p;
                struct err *e = NULL;

                assert_failed(platform_parse(bad[i], &p, &e), e, ERR_USAGE, "invalid platform");
        }
}

static void test_sniff(void **state)
{
        char block[512] = {0};

        assert_int_equal(archive_sniff("{}", 2), SNIFF_JSON);
        assert_int_equal(archive_sniff(" \n[1]", 5), SNIFF_JSON);
        assert_int_equal(archive_sniff("\x1f\x8b\x08", 3), SNIFF_COMPRESSED);
        assert_int_equal(archive_sniff("\x28\xb5\x2f\xfd", 4), SNIFF_COMPRESSED);
        assert_int_equal(archive_sniff("\x50\x2a\x4d\x18", 4), SNIFF_COMPRESSED);
        assert_int_equal(archive_sniff("1.0", 3), SNIFF_OTHER);
        assert_int_equal(archive_sniff("", 0), SNIFF_OTHER);
        assert_int_equal(archive_sniff(block, sizeof(block)), SNIFF_TAR);
        /* A layer whose first file is called "{". */
        block[0] = '{';
        memcpy(block + 257, "ustar", 5);
        assert_int_equal(archive_sniff(block, sizeof(block)), SNIFF_TAR);
        /* v7: no magic, but a checksum: 8 spaces and '{'. */
        memset(block + 257, 0, 5);
        memcpy(block + 148, "000573 ", 7);
        assert_int_equal(archive_sniff(block, sizeof(block)), SNIFF_TAR);
        memcpy(block + 148, "000574 ", 7);
        assert_int_equal(archive_sniff(block, sizeof(block)), SNIFF_JSON);
}

static void test_clean_names(void **state)
{
        static const struct {
                const char *name, *clean;
        } cases[] = {{"./a", "a"},
                     {"/a/b", "a/b"},
                     {"a/../../../b", "b"},
                     {"..", ""},
                     {"blobs/sha256/../../x", "x"},
                     {"a//b/.", "a/b"}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *clean = archive_clean_name(cases[i].name);

                assert_string_equal(clean, cases[i].clean);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_index),        cmocka_unit_test(test_bad_documents),
            cmocka_unit_test(test_size_limit),   cmocka_unit_test(test_manifest),
            cmocka_unit_test(test_repositories), cmocka_unit_test(test_made_manifest_is_read),
            cmocka_unit_test(test_platforms),    cmocka_unit_test(test_bad_platforms),
            cmocka_unit_test(test_sniff),        cmocka_unit_test(test_clean_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
