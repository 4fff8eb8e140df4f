/* SPDX-License-Identifier: Apache-2.0 */
/* Planning of id maps: pure, so every case is a line of text against a line of text. */
#include "unit.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "idmap/idmap_internal.h"

#include <errno.h>

#define WHOLE       "0 0 4294967295\n"
#define U_OF_DEBIAN "0 1000 1\n1 100000 65536\n"

static struct id_map map_of(const char *text)
{
        struct id_map m = {0};

        assert_int_equal(id_map_parse(text, &m, NULL), 0);
        return m;
}

static void assert_map_take(struct id_map m, const char *text)
{
        AUTO_FREE char *got = id_map_format(&m);

        id_map_release(&m);
        assert_string_equal(got, text);
}

/* ---- primitives ---- */

static void test_lookup(void **state)
{
        struct id_map m = map_of(U_OF_DEBIAN);

        assert_int_equal(id_map_to_outside(&m, 0), 1000);
        assert_int_equal(id_map_to_outside(&m, 1), 100000);
        assert_int_equal(id_map_to_outside(&m, 65536), 165535);
        assert_true(id_map_to_outside(&m, 65537) == ID_NONE);
        assert_int_equal(id_map_to_inside(&m, 165535), 65536);
        assert_true(id_map_to_inside(&m, 165536) == ID_NONE);
        assert_true(id_map_to_inside(&m, 999) == ID_NONE);
        assert_true(id_map_total(&m) == 65537);
        id_map_release(&m);

        m = map_of(WHOLE);
        assert_true(id_map_to_outside(&m, ID_NONE - 1) == ID_NONE - 1);
        assert_true(id_map_to_outside(&m, ID_NONE) == ID_NONE);
        assert_true(id_map_total(&m) == ID_NONE);
        id_map_release(&m);
}

static void test_parse_good(void **state)
{
        assert_map_take(map_of(""), "");
        assert_map_take(
            map_of("         0       1000          1\n         1     100000      65536\n"),
            U_OF_DEBIAN);
        assert_map_take(map_of("0 1000 1"), "0 1000 1\n");
        assert_map_take(map_of(WHOLE), WHOLE);
}

static void test_parse_bad(void **state)
{
        static const char *const cases[] = {
            "\n",
            "0",
            "0 1\n",
            "0 1 1 1\n",
            "0 1 0\n", /* nothing */
            "0 1 -1\n",
            "a 1 1\n",
            "0 1 1x\n",
            "4294967295 0 1\n", /* (uid_t)-1 */
            "0 4294967295 1\n",
            "0 1 4294967295\n",
            "4294967296 0 1\n",
            "99999999999999999999 0 1\n",
            "0 0 10\n9 100 1\n", /* overlap inside */
            "0 0 10\n10 9 1\n",  /* overlap outside */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct id_map m = {0};
                struct err *err = NULL;

                assert_int_equal(id_map_parse(cases[i], &m, &err), -EINVAL);
                assert_int_equal(err_kind(err), ERR_INVALID);
                assert_null(m.v);
                err_free(err);
        }
}

static void test_parse_too_many_lines(void **state)
{
        AUTO_STRBUF b = {0};
        struct id_map m = {0};

        for (unsigned i = 0; i < ID_MAP_MAX_EXTENTS; i++)
                strbuf_addf(&b, "%u %u 1\n", i, 2 * i);
        assert_int_equal(id_map_parse(b.data, &m, NULL), 0);
        id_map_release(&m);
        strbuf_add(&b, "1000 1000 1\n");
        assert_int_equal(id_map_parse(b.data, &m, NULL), -EINVAL);
}

static void test_equal(void **state)
{
        static const struct {
                const char *a, *b;
                bool equal;
        } cases[] = {
            {"", "", true},
            {"0 10 4\n", "0 10 2\n2 12 2\n", true},
            {"0 10 4\n", "2 12 2\n0 10 2\n", true},
            {"0 10 4\n", "0 10 2\n2 13 2\n", false},
            {"0 10 4\n", "0 10 3\n", false},
            {"0 10 4\n", "", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(id_map_release) struct id_map a = map_of(cases[i].a);
                AUTO(id_map_release) struct id_map b = map_of(cases[i].b);

                assert_int_equal(id_map_equal(&a, &b), cases[i].equal);
        }
}

static void test_compose(void **state)
{
        static const struct {
                const char *inner, *outer, *result;
        } cases[] = {
            {"0 0 1\n1 1 65536\n", U_OF_DEBIAN, U_OF_DEBIAN},
            {"1000 0 1\n0 1 1000\n1001 1001 64536\n", U_OF_DEBIAN,
             "1000 1000 1\n0 100000 1000\n1001 101000 64536\n"},
            /* one line over several of the outer map, with a hole and an end that nothing maps */
            {"0 0 100\n", "0 500 10\n10 700 10\n50 900 10\n", "0 500 10\n10 700 10\n50 900 10\n"},
            {"0 0 4294967295\n", "7 9 1\n", "7 9 1\n"},
            {"5 4294967294 1\n", WHOLE, "5 4294967294 1\n"},
            {"0 3 1\n", "", ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(id_map_release) struct id_map inner = map_of(cases[i].inner);
                AUTO(id_map_release) struct id_map outer = map_of(cases[i].outer);

                assert_map_take(id_map_compose(&inner, &outer), cases[i].result);
        }
}

static void test_split(void **state)
{
        AUTO(id_map_release) struct id_map parent = map_of("0 1000 1\n1 100000 10\n11 300000 10\n");
        AUTO(id_map_release) struct id_map want = map_of("0 0 21\n");
        struct id_map got = {0};

        assert_int_equal(id_map_split(&want, &parent, &got, NULL), 0);
        assert_map_take(got, "0 0 1\n1 1 10\n11 11 10\n");
}

static void test_split_outside(void **state)
{
        static const struct {
                const char *want, *words;
        } cases[] = {
            {"0 0 22\n", "id 21 is"},
            {"0 30 5\n", "ids 30 to 34 are"},
            {"0 4294967294 1\n", "id 4294967294 is"},
        };
        AUTO(id_map_release) struct id_map parent = map_of("0 1000 1\n1 100000 20\n");

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(id_map_release) struct id_map want = map_of(cases[i].want);
                struct id_map got = {0};
                struct err *err = NULL;

                assert_true(id_map_split(&want, &parent, &got, &err) < 0);
                assert_non_null(strstr(err_message(err), cases[i].words));
                assert_null(got.v);
                err_free(err);
        }
}

static void test_split_limits(void **state)
{
        AUTO(id_map_release) struct id_map parent = {0};
        AUTO(id_map_release) struct id_map want = {0};
        struct id_map got = {0};
        struct err *err = NULL;

        for (uint32_t i = 0; i <= ID_MAP_MAX_EXTENTS; i++)
                id_map_add(&parent, i, i, 1);
        id_map_add(&want, 0, 0, ID_MAP_MAX_EXTENTS);
        assert_int_equal(id_map_split(&want, &parent, &got, NULL), 0);
        assert_int_equal(got.n, ID_MAP_MAX_EXTENTS);
        id_map_release(&got);
        want.v[0].count++;
        assert_true(id_map_split(&want, &parent, &got, &err) < 0);
        assert_int_equal(err_kind(err), ERR_UNSUPPORTED);
        assert_non_null(err_hint_text(err));
        err_free(err);
}

/* Fewer lines than 340 can still be more bytes than the kernel's page. */
static void test_text_limit(void **state)
{
        AUTO(id_map_release) struct id_map m = {0};

        for (uint32_t i = 0; i < 120; i++)
                id_map_add(&m, 1000000000 + i * 1000000, 2000000000 + i * 1000000, 1000000);
        assert_int_equal(id_map_check_limits(&m, NULL), 0);
        for (uint32_t i = 120; i < 140; i++)
                id_map_add(&m, 1000000000 + i * 1000000, 2000000000 + i * 1000000, 1000000);
        assert_true(id_map_check_limits(&m, NULL) < 0);
}

static void test_json(void **state)
{
        AUTO(id_map_release) struct id_map m = map_of(U_OF_DEBIAN);
        AUTO_JSON *o = id_map_to_json(&m);

        assert_string_equal(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
                            "[{\"containerID\":0,\"hostID\":1000,\"size\":1},"
                            "{\"containerID\":1,\"hostID\":100000,\"size\":65536}]");
}

/* ---- the map of U ---- */

static void test_subid_plan(void **state)
{
        static const struct {
                const char *ranges, *parent, *result;
        } cases[] = {
            {"", WHOLE, "0 1000 1\n"},
            {"u:100000:65536\n", WHOLE, U_OF_DEBIAN},
            /* several, all used, in the file's order */
            {"u:300000:10\nu:100000:65536\nu:900000:1\n", WHOLE,
             "0 1000 1\n1 300000 10\n11 100000 65536\n65547 900000 1\n"},
            /* duplicates and overlaps once */
            {"u:100000:10\nu:100000:10\n", WHOLE, "0 1000 1\n1 100000 10\n"},
            {"u:100000:10\nu:100005:10\n", WHOLE, "0 1000 1\n1 100000 10\n11 100010 5\n"},
            {"u:100005:10\nu:100000:20\n", WHOLE,
             "0 1000 1\n1 100005 10\n11 100000 5\n16 100015 5\n"},
            /* the caller's own id among them */
            {"u:990:20\n", WHOLE, "0 1000 1\n1 990 10\n11 1001 9\n"},
            {"u:1000:1\n", WHOLE, "0 1000 1\n"},
            /* near the end of all ids: the last is none */
            {"u:4294967290:100\n", WHOLE, "0 1000 1\n1 4294967290 5\n"},
            {"u:4294967295:1\n", WHOLE, "0 1000 1\n"},
            {"u:4294967296:1\n", WHOLE, "0 1000 1\n"},
            {"u:0:4294967295\n", WHOLE, "0 1000 1\n1 0 1000\n1001 1001 4294966294\n"},
            /* inside a namespace that holds a part, or nothing, of it; cut where its lines are */
            {"u:100000:65536\n", "0 5 65536\n", "0 1000 1\n"},
            {"u:60000:65536\n", "0 5 65536\n", "0 1000 1\n1 60000 5536\n"},
            {"u:10:10\n", "0 500 15\n15 700 100\n", "0 1000 1\n1 10 5\n6 15 5\n"},
            {"u:10:10\n", "0 500 12\n14 700 2\n18 900 100\n", "0 1000 1\n1 10 2\n3 14 2\n5 18 2\n"},
            /* contiguous on both sides, but two lines of the parent: the kernel takes no line across */
            {"u:10:10\n", "0 500 15\n15 515 100\n", "0 1000 1\n1 10 5\n6 15 5\n"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(id_map_release) struct id_map parent = map_of(cases[i].parent);
                AUTO(subid_ranges_release) struct subid_ranges ranges = {0};

                subid_parse(cases[i].ranges, "u", 1000, &ranges);
                assert_map_take(subid_plan(1000, &ranges, &parent), cases[i].result);
        }
}

static void test_subid_plan_all(void **state)
{
        static const struct {
                uint32_t caller;
                const char *parent, *result;
        } cases[] = {
            {0, "0 1000 1\n", "0 0 1\n"},
            {0, "0 1000 1\n1 100000 65536\n", "0 0 1\n1 1 65536\n"},
            {5, "0 100 10\n", "0 5 1\n1 0 5\n6 6 4\n"},
            {0, "10 100 5\n0 7 1\n", "0 0 1\n1 10 5\n"},
            {0, WHOLE, "0 0 1\n1 1 4294967294\n"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(id_map_release) struct id_map parent = map_of(cases[i].parent);

                assert_map_take(subid_plan_all(cases[i].caller, &parent), cases[i].result);
        }
}

/* A user with more ranges than a map holds gets the first of them, and containers can still be planned. */
static void test_subid_plan_many(void **state)
{
        AUTO(id_map_release) struct id_map parent = map_of(WHOLE);

        for (int long_numbers = 0; long_numbers < 2; long_numbers++) {
                AUTO(subid_ranges_release) struct subid_ranges ranges = {0};
                struct idmap_userns u = {.fd = -EBADF};
                struct idmap_request req = {
                    .mode = IDMAP_MODE_KEEP_ID, .keep_uid = ID_NONE, .keep_gid = ID_NONE};
                struct id_map uid = {0}, gid = {0};

                for (uint32_t i = 0; i < 400; i++)
                        subid_ranges_add(&ranges, long_numbers ? 4000000000U + i * 20000 : i * 3,
                                         long_numbers ? 10000 : 2);
                u.uid = subid_plan(0, &ranges, &parent);
                u.gid = subid_plan(1000, &ranges, &parent);
                assert_int_equal(id_map_check_limits(&u.uid, NULL), 0);
                assert_in_range(u.uid.n, 100, ID_MAP_MAX_EXTENTS);
                for (int keep = 0; keep < 2; keep++) {
                        req.mode = keep ? IDMAP_MODE_KEEP_ID : IDMAP_MODE_PRIVATE;
                        req.keep_uid = 150;
                        assert_int_equal(idmap_plan(&req, &u, 1000, 1000, &uid, &gid, NULL), 0);
                        assert_true(id_map_total(&uid) == id_map_total(&u.uid));
                        id_map_release(&uid);
                        id_map_release(&gid);
                }
                id_map_release(&u.uid);
                id_map_release(&u.gid);
        }
}

static void test_subid_parse(void **state)
{
        static const struct {
                const char *text;
                size_t n;
        } cases[] = {
            {"", 0},
            {"u:1:2", 1},
            {"1000:1:2\n", 1}, /* by number */
            {"other:1:2\nu:3:4\n", 1},
            {"#u:1:2\n", 0},
            {"u:1\nu\n:1:2\nu::\n", 0},
            {"u:1:2:3\n", 0},
            {"u:-1:2\nu:1:x\nu: 1:2\n", 0},
            {"uu:1:2\n", 0},
            {"u:1:0\n", 0},
            {"u:99999999999999999999:1\n", 0},
            {"\n\n\nu:1:2\n\n", 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(subid_ranges_release) struct subid_ranges r = {0};

                subid_parse(cases[i].text, "u", 1000, &r);
                assert_int_equal(r.n, cases[i].n);
        }
}

static void test_first_free(void **state)
{
        assert_int_equal(subid_first_free(""), 100000);
        assert_int_equal(subid_first_free("a:100000:65536\nb:165536:65536\n"), 231072);
        assert_int_equal(subid_first_free("a:4294900000:60000\n"), 0);
        assert_int_equal(subid_first_free("a:18446744073709551615:18446744073709551615\n"), 100000);
}

static void test_tier(void **state)
{
        static const struct {
                const char *uid, *gid;
                enum idmap_tier tier;
        } cases[] = {
            {U_OF_DEBIAN, U_OF_DEBIAN, IDMAP_TIER_FULL},
            {"0 1 65536\n", "0 1 65536\n", IDMAP_TIER_FULL},
            {"0 1 65535\n", "0 1 65536\n", IDMAP_TIER_SHORT},
            {U_OF_DEBIAN, "0 1000 1\n1 5 1\n", IDMAP_TIER_SHORT},
            {U_OF_DEBIAN, "0 1000 1\n", IDMAP_TIER_ONE},
            {"0 1000 1\n", "0 1000 1\n", IDMAP_TIER_ONE},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(id_map_release) struct id_map uid = map_of(cases[i].uid);
                AUTO(id_map_release) struct id_map gid = map_of(cases[i].gid);

                assert_int_equal(idmap_tier_of(&uid, &gid), cases[i].tier);
        }
        assert_string_equal(idmap_tier_name(IDMAP_TIER_FULL), "full");
        assert_string_equal(idmap_tier_name(IDMAP_TIER_SHORT), "short");
        assert_string_equal(idmap_tier_name(IDMAP_TIER_ONE), "one");
}

/* ---- requests ---- */

static void test_request_modes(void **state)
{
        static const struct {
                const char *userns;
                enum idmap_mode mode;
                uint32_t uid, gid;
        } cases[] = {
            {NULL, IDMAP_MODE_PRIVATE, ID_NONE, ID_NONE},
            {"", IDMAP_MODE_PRIVATE, ID_NONE, ID_NONE},
            {"private", IDMAP_MODE_PRIVATE, ID_NONE, ID_NONE},
            {"host", IDMAP_MODE_HOST, ID_NONE, ID_NONE},
            {"keep-id", IDMAP_MODE_KEEP_ID, ID_NONE, ID_NONE},
            {"keep-id:uid=70", IDMAP_MODE_KEEP_ID, 70, ID_NONE},
            {"keep-id:gid=0", IDMAP_MODE_KEEP_ID, ID_NONE, 0},
            {"keep-id:gid=71,uid=70", IDMAP_MODE_KEEP_ID, 70, 71},
            {"nomap", IDMAP_MODE_NOMAP, ID_NONE, ID_NONE},
            {"auto", IDMAP_MODE_AUTO, ID_NONE, ID_NONE},
            {"auto:size=70,uidmapping=0:1:1", IDMAP_MODE_AUTO, ID_NONE, ID_NONE},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(idmap_request_release) struct idmap_request r = {0};

                assert_int_equal(idmap_request_parse(cases[i].userns, NULL, NULL, &r, NULL), 0);
                assert_int_equal(r.mode, cases[i].mode);
                assert_true(r.keep_uid == cases[i].uid && r.keep_gid == cases[i].gid);
        }
}

static void assert_refused(const char *userns, const char *map, const char *word)
{
        char *maps[] = {(char[]){"5:6:1"}, xstrdup(map), NULL};
        struct idmap_request r = {0};
        struct err *err = NULL;

        assert_int_equal(idmap_request_parse(userns, map ? maps : NULL, NULL, &r, &err), -EINVAL);
        assert_int_equal(err_kind(err), ERR_USAGE);
        if (!strstr(err_message(err), word))
                fail_msg("'%s' lacks '%s'", err_message(err), word);
        err_free(err);
        free(maps[1]);
}

/* The range of five from 100 on, with a hole of one's own in the middle, and U cut at 102. */
static void test_auto_plan(void **state)
{
        AUTO(idmap_request_release) struct idmap_request r = {0};
        struct idmap_userns u = {.fd = -EBADF,
                                 .uid = map_of("0 1000 1\n1 2000 101\n102 9000 100\n"),
                                 .gid = map_of("0 1000 1\n1 2000 300\n")};
        AUTO(id_map_release) struct id_map uid = {0};
        AUTO(id_map_release) struct id_map gid = {0};
        AUTO_FREE char *uid_text = NULL, *gid_text = NULL;

        assert_int_equal(idmap_request_parse("auto:size=5,uidmapping=1:0:1", NULL, NULL, &r, NULL),
                         0);
        assert_int_equal(r.auto_size, 5);
        r.auto_start = 100;
        assert_int_equal(idmap_plan(&r, &u, 1000, 1000, &uid, &gid, NULL), 0);
        uid_text = id_map_format(&uid);
        gid_text = id_map_format(&gid);
        assert_string_equal(uid_text, "0 100 1\n1 0 1\n2 102 3\n");
        assert_string_equal(gid_text, "0 100 5\n");
        id_map_release(&u.uid);
        id_map_release(&u.gid);
}

static void test_request_refused(void **state)
{
        static const char *const userns[] = {
            "auto:",
            "auto:size=0",
            "auto:size=x",
            "auto:uid=5",
            "auto:uidmapping=1",
            "autox",
            "nomap:x",
            "HOST",
            "keep-id:",
            "keep-id:uid=",
            "keep-id:uid=x",
            "keep-id:uid=1,",
            "keep-id:size=3",
            "keep-id:uid=4294967295",
            "keep-id:uid=4294967296",
            "keep-id:uid=-1",
            "container:x",
            "private:x",
        };
        static const char *const maps[] = {
            "",      "0",      "0:1:2:3", "0:1:",           ":1:1",           "a:1:1",
            "0:1:0", "-1:0:1", "0:-1:1",  "4294967295:0:1", "0:4294967295:1", "0:1:4294967295",
            "5:0:1", "0:6:1",  "0:0:7",
        };

        for (size_t i = 0; i < ARRAY_SIZE(userns); i++)
                assert_refused(userns[i], NULL, "--userns");
        for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
                assert_refused(NULL, maps[i], maps[i]);
        assert_refused("host", "0:1:1", "host");
        assert_refused("keep-id", "0:1:1", "--uidmap");
}

/* ---- plans ---- */

static void assert_plan(const char *userns, const char *u_text, const char *want)
{
        AUTO(idmap_request_release) struct idmap_request r = {0};
        struct idmap_userns u = {.fd = -EBADF, .uid = map_of(u_text), .gid = map_of(u_text)};
        struct id_map uid = {0}, gid = {0};
        struct err *err = NULL;

        assert_int_equal(idmap_request_parse(userns, NULL, NULL, &r, NULL), 0);
        assert_int_equal(idmap_plan(&r, &u, 1000, 1000, &uid, &gid, &err), 0);
        assert_null(err);
        assert_map_take(uid, want);
        id_map_release(&gid);
        id_map_release(&u.uid);
        id_map_release(&u.gid);
}

static void test_plan_modes(void **state)
{
        static const char several[] = "0 1000 1\n1 100000 100\n101 300000 100\n";
        static const struct {
                const char *userns, *u, *want;
        } cases[] = {
            {"host", U_OF_DEBIAN, ""},
            {"private", U_OF_DEBIAN, "0 0 1\n1 1 65536\n"},
            {"private", several, "0 0 1\n1 1 100\n101 101 100\n"},
            {"private", "0 1000 1\n", "0 0 1\n"},
            /* keep-id: at 0, in the middle, on a border, at the end, beyond, far beyond */
            {"keep-id:uid=0", U_OF_DEBIAN, "0 0 1\n1 1 65536\n"},
            {"keep-id", U_OF_DEBIAN, "0 1 1000\n1000 0 1\n1001 1001 64536\n"},
            {"keep-id:uid=1", U_OF_DEBIAN, "0 1 1\n1 0 1\n2 2 65535\n"},
            {"keep-id:uid=65535", U_OF_DEBIAN, "0 1 65535\n65535 0 1\n65536 65536 1\n"},
            {"keep-id:uid=65536", U_OF_DEBIAN, "0 1 65536\n65536 0 1\n"},
            {"keep-id:uid=65537", U_OF_DEBIAN, "0 1 65536\n65537 0 1\n"},
            {"keep-id:uid=4294967294", U_OF_DEBIAN, "0 1 65536\n4294967294 0 1\n"},
            /* cut at the lines of U as well */
            {"keep-id:uid=50", several, "0 1 50\n50 0 1\n51 51 50\n101 101 100\n"},
            {"keep-id:uid=100", several, "0 1 100\n100 0 1\n101 101 100\n"},
            {"keep-id:uid=150", several, "0 1 100\n100 101 50\n150 0 1\n151 151 50\n"},
            /* fewer ids than the caller's number; one id */
            {"keep-id", "0 1000 1\n1 100000 9\n", "0 1 9\n1000 0 1\n"},
            {"keep-id", "0 1000 1\n", "1000 0 1\n"},
            {"keep-id:uid=0", "0 1000 1\n", "0 0 1\n"},
            /* U as root of a container may have it: 0 and the rest in one line */
            {"keep-id:uid=3", "0 0 10\n", "0 1 3\n3 0 1\n4 4 6\n"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_plan(cases[i].userns, cases[i].u, cases[i].want);
}

static void test_plan_keep_uid_and_gid(void **state)
{
        AUTO(idmap_request_release) struct idmap_request r = {0};
        struct idmap_userns u = {.fd = -EBADF,
                                 .uid = map_of("0 1000 1\n1 100000 3\n"),
                                 .gid = map_of("0 1001 1\n1 200000 3\n")};
        struct id_map uid = {0}, gid = {0};

        assert_int_equal(idmap_request_parse("keep-id:uid=2", NULL, NULL, &r, NULL), 0);
        assert_int_equal(idmap_plan(&r, &u, 1000, 1, &uid, &gid, NULL), 0);
        assert_map_take(uid, "0 1 2\n2 0 1\n3 3 1\n");
        assert_map_take(gid, "0 1 1\n1 0 1\n2 2 2\n"); /* the caller's own number */
        id_map_release(&u.uid);
        id_map_release(&u.gid);
}

static void test_plan_explicit(void **state)
{
        struct idmap_userns u = {.fd = -EBADF,
                                 .uid = map_of("0 1000 1\n1 100000 10\n11 300000 10\n"),
                                 .gid = map_of("0 1000 1\n1 100000 20\n")};
        char *both[] = {(char[]){"0:1:20"}, (char[]){"1000:0"}, NULL};
        char *beyond[] = {(char[]){"0:1:21"}, NULL};
        struct id_map uid = {0}, gid = {0};

        for (int only = 0; only < 2; only++) {
                AUTO(idmap_request_release) struct idmap_request r = {0};

                /* one list serves both, each cut at its own lines of U */
                assert_int_equal(idmap_request_parse(only ? "private" : NULL, only ? both : NULL,
                                                     only ? NULL : both, &r, NULL),
                                 0);
                assert_int_equal(r.mode, IDMAP_MODE_EXPLICIT);
                assert_int_equal(idmap_plan(&r, &u, 1000, 1000, &uid, &gid, NULL), 0);
                assert_map_take(uid, "0 1 10\n10 11 10\n1000 0 1\n");
                assert_map_take(gid, "0 1 20\n1000 0 1\n");
        }
        for (int only = 0; only < 2; only++) {
                AUTO(idmap_request_release) struct idmap_request r = {0};
                struct id_map untouched_uid = {0}, untouched_gid = {0};
                struct err *err = NULL;

                u.remedy = only ? (char[]){"more ids"} : NULL;
                assert_int_equal(idmap_request_parse(NULL, both, beyond, &r, NULL), 0);
                assert_true(idmap_plan(&r, &u, 1000, 1000, &untouched_uid, &untouched_gid, &err) <
                            0);
                assert_non_null(strstr(err_message(err), "group ids: id 21 is not"));
                assert_non_null(strstr(err_hint_text(err), only ? "more ids" : "kelp info"));
                assert_null(untouched_uid.v);
                err_free(err);
        }
        id_map_release(&u.uid);
        id_map_release(&u.gid);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_lookup),
            cmocka_unit_test(test_parse_good),
            cmocka_unit_test(test_parse_bad),
            cmocka_unit_test(test_parse_too_many_lines),
            cmocka_unit_test(test_equal),
            cmocka_unit_test(test_compose),
            cmocka_unit_test(test_split),
            cmocka_unit_test(test_split_outside),
            cmocka_unit_test(test_split_limits),
            cmocka_unit_test(test_text_limit),
            cmocka_unit_test(test_json),
            cmocka_unit_test(test_subid_plan),
            cmocka_unit_test(test_subid_plan_all),
            cmocka_unit_test(test_subid_plan_many),
            cmocka_unit_test(test_subid_parse),
            cmocka_unit_test(test_first_free),
            cmocka_unit_test(test_tier),
            cmocka_unit_test(test_request_modes),
            cmocka_unit_test(test_request_refused),
            cmocka_unit_test(test_auto_plan),
            cmocka_unit_test(test_plan_modes),
            cmocka_unit_test(test_plan_keep_uid_and_gid),
            cmocka_unit_test(test_plan_explicit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
