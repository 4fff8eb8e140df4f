/* SPDX-License-Identifier: Apache-2.0 */
/* holder.json: what is written is what is read, and nothing else is believed. Living holders: tests/integration/test_idmap.py. */
#include "unit.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "idmap/holder.h"

#include <json-c/json_tokener.h>

#include <errno.h>

static const char good[] =
    "{\"nonce\":\"7095f467a86fec62\",\"pid\":21429,\"startTime\":750684,"
    "\"bootId\":\"fbaa00d7-a626-465a-b45d-471c552a0752\",\"uid\":1005,\"gid\":1006,"
    "\"parentNs\":\"4:4026531837\",\"ns\":\"4:4026532176\",\"identity\":\"1:2:3;\","
    "\"made\":7506861677317,\"tier\":\"short\",\"why\":\"newuidmap refused: 'a\\\"b\\\\'\","
    "\"remedy\":null,\"uidMap\":\"0 1005 1\\n1 296608 100\\n\",\"gidMap\":\"0 1006 1\\n\"}";

static int parse(const char *text, struct holder_record *ret, struct err **reterr)
{
        AUTO_JSON *obj = NULL;
        int r = json_parse(text, strlen(text), "holder.json", &obj, reterr);

        return r < 0 ? r : holder_record_from_json(obj, ret, reterr);
}

static void test_round_trip(void **state)
{
        AUTO(holder_record_release) struct holder_record a = {0};
        AUTO(holder_record_release) struct holder_record b = {0};
        AUTO_JSON *obj = NULL;
        struct err *err = NULL;
        const char *text;

        assert_ok(parse(good, &a, &err), err);
        assert_int_equal(a.process.pid, 21429);
        assert_int_equal(a.tier, IDMAP_TIER_SHORT);
        assert_string_equal(a.why, "newuidmap refused: 'a\"b\\'");
        assert_null(a.remedy);
        assert_int_equal(id_map_to_outside(&a.uid_map, 100), 296707);
        obj = holder_record_to_json(&a);
        text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN);
        assert_string_equal(text, good);
        /* The holder finds itself by the first bytes alone. */
        assert_in_range(strstr(text, a.nonce) - text, 0, HOLDER_HEAD - HOLDER_NONCE_LEN);
        assert_ok(parse(text, &b, &err), err);
        assert_true(id_map_equal(&a.uid_map, &b.uid_map) && id_map_equal(&a.gid_map, &b.gid_map));
        assert_string_equal(a.identity, b.identity);
}

/* One member after the other is missing, of the wrong type, or out of bounds. */
static void test_refuses(void **state)
{
        static const struct {
                const char *key, *value; /* NULL: no such member */
        } cases[] = {
            {"nonce", NULL},
            {"nonce", "\"x\""},
            {"nonce", "\"7095F467A86FEC62\""},
            {"pid", NULL},
            {"pid", "0"},
            {"pid", "-1"},
            {"pid", "2147483648"},
            {"pid", "\"1\""},
            {"startTime", NULL},
            {"bootId", NULL},
            {"bootId", "\"fbaa00d7-a626-465a-b45d-471c552a0752x\""},
            {"uid", NULL},
            {"uid", "4294967295"},
            {"gid", "-1"},
            {"parentNs", NULL},
            {"ns", NULL},
            {"ns", "7"},
            {"identity", NULL},
            {"made", NULL},
            {"tier", NULL},
            {"tier", "\"\""},
            {"tier", "\"FULL\""},
            {"why", "[]"},
            {"remedy", "1"},
            {"uidMap", NULL},
            {"uidMap", "\"\""},
            {"uidMap", "\"1 0 1\""},
            {"gidMap", "\"0 0 0\""},
            {"gidMap", "[]"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(holder_record_release) struct holder_record r = {0};
                struct json_object *obj = json_tokener_parse(good);

                json_object_object_del(obj, cases[i].key);
                if (cases[i].value)
                        json_object_object_add(obj, cases[i].key,
                                               json_tokener_parse(cases[i].value));
                if (holder_record_from_json(obj, &r, NULL) >= 0)
                        fail_msg("%s: %s was accepted", cases[i].key,
                                 cases[i].value ? cases[i].value : "absent");
                assert_null(r.uid_map.v);
                json_object_put(obj);
        }
}

static int read_record(int dir)
{
        AUTO(holder_record_release) struct holder_record r = {0};
        AUTO_CLOSE int fd = -EBADF;

        return holder_record_read(dir, &r, &fd, NULL);
}

static void test_file(void **state)
{
        int dir = unit_dir(state);

        assert_int_equal(read_record(dir), -ENOENT);
        unit_write(dir, HOLDER_FILE, good);
        assert_int_equal(fchmodat(dir, HOLDER_FILE, 0600, 0), 0);
        assert_int_equal(read_record(dir), 0);
        assert_int_equal(fchmodat(dir, HOLDER_FILE, 0620, 0), 0);
        assert_true(read_record(dir) < 0);
        assert_int_equal(fchmodat(dir, HOLDER_FILE, 0600, 0), 0);
        assert_int_equal(renameat(dir, HOLDER_FILE, dir, "other"), 0);
        assert_int_equal(symlinkat("other", dir, HOLDER_FILE), 0);
        assert_int_equal(read_record(dir), -ELOOP);
        assert_int_equal(unlinkat(dir, HOLDER_FILE, 0), 0);
        assert_int_equal(mkfifoat(dir, HOLDER_FILE, 0600), 0);
        assert_true(read_record(dir) < 0);
        assert_int_equal(unlinkat(dir, HOLDER_FILE, 0), 0);
        assert_int_equal(mkdirat(dir, HOLDER_FILE, 0700), 0);
        assert_true(read_record(dir) < 0);
}

/* A process that is alive and ours, but holds no namespace of ours. */
static void test_not_a_holder(void **state)
{
        AUTO(holder_record_release) struct holder_record r = {0};
        struct err *err = NULL;

        assert_ok(process_identify(getpid(), &r.process, &err), err);
        r.ns = holder_ns_name(AT_FDCWD, "/proc/self/ns/user");
        if (geteuid() != 0) /* the initial namespace is root's */
                assert_true(holder_open_ns(&r, NULL) < 0);
        free(r.ns);
        r.ns = xstrdup("4:1");
        assert_failed(holder_open_ns(&r, &err), err, ERR_NOT_FOUND, "does not hold our namespace");
        r.process.start_time++;
        assert_failed(holder_open_ns(&r, &err), err, ERR_NOT_FOUND, "is gone");
}

static void test_find_tool(void **state)
{
        int dir = unit_dir(state);
        AUTO_FREE char *path = unit_dir_path(dir);
        AUTO_FREE char *old = xstrdup(getenv("PATH"));
        AUTO_FREE char *list = xasprintf("relative:%s/no-such::%s", path, path);
        AUTO_FREE char *want = xasprintf("%s/tool", path);
        char *found;

        assert_int_equal(setenv("PATH", list, 1), 0);
        assert_null(process_find_program("tool"));
        unit_write(dir, "tool", "#!/bin/sh\n");
        assert_int_equal(fchmodat(dir, "tool", 0644, 0), 0);
        assert_null(process_find_program("tool"));
        assert_int_equal(fchmodat(dir, "tool", 0755, 0), 0);
        found = process_find_program("tool");
        assert_string_equal(found, want);
        free(found);
        assert_int_equal(unsetenv("PATH"), 0);
        found = process_find_program("env"); /* /usr/bin is always looked at */
        assert_string_equal(found, "/usr/bin/env");
        free(found);
        if (old)
                assert_int_equal(setenv("PATH", old, 1), 0);
}

static void test_identity(void **state)
{
        AUTO_FREE char *full = holder_identity(IDMAP_TIER_FULL);
        AUTO_FREE char *again = holder_identity(IDMAP_TIER_SHORT);
        AUTO_FREE char *one = holder_identity(IDMAP_TIER_ONE);

        assert_string_equal(full, again);
        /* With one id the mapping programs count as well. */
        assert_int_equal(strncmp(one, full, strlen(full)), 0);
        assert_true(strlen(one) > strlen(full));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refuses),
            unit_test_dir(test_file),          cmocka_unit_test(test_not_a_holder),
            unit_test_dir(test_find_tool),     cmocka_unit_test(test_identity),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
