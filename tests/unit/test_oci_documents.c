/* SPDX-License-Identifier: Apache-2.0 */
/* What kelp-oci prints without a container is what its own readers take. */
#include "unit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "oci/documents.h"
#include "security/profile.h"
#include "spec/spec.h"

static void test_default_config(void **state)
{
        for (int rootless = 0; rootless < 2; rootless++) {
                AUTO_JSON *doc = oci_default_config(rootless, 1234, 567);
                AUTO(spec_freep) struct spec *s = NULL;
                AUTO_STRV warnings = {0};
                struct err *e = NULL;

                assert_ok(spec_from_bundle(doc, "config.json", "/b", &s, &warnings, &e), e);
                assert_int_equal(warnings.n, 0);
                assert_string_equal(s->root_path, "/b/rootfs");
                assert_int_equal(s->ns[SPEC_NS_USER].enabled, rootless);
                assert_int_equal(s->uid_map.n, rootless);
                if (rootless) {
                        assert_int_equal(s->uid_map.v[0].outside, 1234);
                        assert_int_equal(s->gid_map.v[0].outside, 567);
                }
        }
}

static void test_default_config_is_written_once(void **state)
{
        AUTO_FREE char *path = unit_dir_path(unit_dir(state));
        AUTO_FREE char *text = NULL;
        AUTO_JSON *doc = NULL;
        struct err *e = NULL;

        assert_ok(oci_write_default_config(path, true, &e), e);
        assert_ok(json_read_file(unit_dir(state), "config.json", 65536, &doc, &e), e);
        unit_write(unit_dir(state), "config.json", "mine");
        assert_failed(oci_write_default_config(path, true, &e), e, ERR_EXISTS, "already exists");
        text = unit_read(unit_dir(state), "config.json");
        assert_string_equal(text, "mine");
        assert_failed(oci_write_default_config("/nosuch/dir", true, &e), e, ERR_SYS, "/nosuch/dir");
}

static struct json_object *member(struct json_object *o, const char *key)
{
        struct json_object *v = json_object_object_get(o, key);

        assert_non_null(v);
        return v;
}

/* One profile that says everything that is announced. */
static void test_features_seccomp(void **state)
{
        AUTO_JSON *doc = oci_features();
        struct json_object *f = member(member(doc, "linux"), "seccomp"), *actions, *archs;
        AUTO_JSON *profile = json_object_new_object();
        struct json_object *rules = json_array(profile, "syscalls");
        struct profile_host host;
        struct profile p = {0};
        struct err *e = NULL;

        actions = member(f, "actions");
        archs = member(f, "archs");
        assert_int_equal(json_object_array_length(actions), 9);
        json_add_string(profile, "defaultAction", "SCMP_ACT_ALLOW");
        json_object_object_add(profile, "flags", json_object_get(member(f, "supportedFlags")));
        for (size_t i = 0; i < json_object_array_length(actions); i++) {
                struct json_object *rule = json_object_new_object();

                json_object_array_add(json_array(rule, "names"), json_object_new_string("mknod"));
                json_object_object_add(rule, "action",
                                       json_object_get(json_object_array_get_idx(actions, i)));
                json_object_array_add(rules, rule);
        }
        (void)profile_host_get(0, &host);
        host.bundle = true;
        assert_ok(profile_parse(profile, "profile", &host, &p, &e), e);
        assert_int_equal(p.n_rules, 9);
        profile_release(&p);
        for (size_t i = 0; i < json_object_array_length(archs); i++) {
                const char *name = json_object_get_string(json_object_array_get_idx(archs, i));

                if (profile_arch(name) == 0)
                        fail_msg("%s is announced and not known", name);
        }
}

/* A config that names everything that is announced is taken without a warning. */
static void test_features_are_read(void **state)
{
        AUTO_JSON *doc = oci_features();
        AUTO_JSON *config = oci_default_config(false, 0, 0);
        struct json_object *names = member(member(doc, "linux"), "namespaces"), *list;
        AUTO(spec_freep) struct spec *s = NULL;
        AUTO_STRV warnings = {0};
        struct err *e = NULL;

        json_object_object_add(config, "ociVersion", json_object_get(member(doc, "ociVersionMin")));
        list = json_array(member(config, "linux"), "namespaces");
        for (size_t i = 0; i < json_object_array_length(names); i++) {
                struct json_object *ns = json_object_new_object();

                json_object_object_add(ns, "type",
                                       json_object_get(json_object_array_get_idx(names, i)));
                json_object_array_add(list, ns);
        }
        json_object_object_add(member(member(config, "process"), "capabilities"), "bounding",
                               json_object_get(member(member(doc, "linux"), "capabilities")));
        assert_ok(spec_from_bundle(config, "config.json", "/b", &s, &warnings, &e), e);
        assert_int_equal(warnings.n, 0);
        assert_int_equal(json_object_array_length(names), SPEC_NS_COUNT);
        assert_int_equal(json_object_array_length(member(doc, "hooks")), SPEC_HOOK_COUNT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_default_config),
            unit_test_dir(test_default_config_is_written_once),
            cmocka_unit_test(test_features_seccomp),
            cmocka_unit_test(test_features_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
