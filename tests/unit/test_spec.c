/* SPDX-License-Identifier: Apache-2.0 */
/* The pure way from options and an image's config to a spec, and its JSON both ways. */
#include "unit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "security/caps.h"
#include "spec/options.h"

#include <linux/capability.h>
#include <sys/resource.h>

struct build {
        struct run_options *o;
        struct image_config image;
        struct spec *s;
};

static void begin(struct build *b)
{
        *b = (struct build){.o = run_options_new()};
        b->o->stop_timeout = -1;
        strv_add(&b->image.cmd, "/image/cmd");
}

static void end(struct build *b)
{
        (void)run_options_free(b->o);
        image_config_release(&b->image);
        b->s = spec_free(b->s);
}

static int build(struct build *b, struct err **e)
{
        b->s = spec_free(b->s);
        return spec_build(b->o, &b->image, "0123456789abcdef", &b->s, e);
}

static char *joined(const struct strv *v)
{
        AUTO_STRBUF text = {0};

        for (size_t i = 0; i < v->n; i++)
                strbuf_addf(&text, "%s%s", i > 0 ? " " : "", v->v[i]);
        return strbuf_take(&text);
}

static void assert_args(struct build *b, const char *want)
{
        struct err *e = NULL;
        AUTO_FREE char *got = NULL;

        assert_ok(build(b, &e), e);
        got = joined(&b->s->process.args);
        assert_string_equal(got, want);
}

/* Docker's table of entry point and command. */
static void test_args(void **state)
{
        struct err *e = NULL;
        struct build b;

        begin(&b);
        assert_args(&b, "/image/cmd");
        strv_add(&b.image.entrypoint, "/entry");
        assert_args(&b, "/entry /image/cmd");
        strv_add(&b.o->command, "user");
        assert_args(&b, "/entry user");
        b.o->entrypoint = xstrdup("/mine");
        assert_args(&b, "/mine user");
        strv_release(&b.o->command);
        assert_args(&b, "/mine");
        free(b.o->entrypoint);
        b.o->entrypoint = xstrdup("[\"/a\",\"b c\"]");
        assert_args(&b, "/a b c");
        free(b.o->entrypoint);
        b.o->entrypoint = xstrdup("");
        assert_failed(build(&b, &e), e, ERR_USAGE, "no command");
        strv_add(&b.o->command, "only");
        assert_args(&b, "only");
        end(&b);
}

static void test_env(void **state)
{
        struct err *e = NULL;
        struct build b;

        begin(&b);
        strv_add(&b.image.env, "PATH=/image");
        strv_add(&b.image.env, "A=image");
        strv_add(&b.o->env, "A=mine");
        strv_add(&b.o->env, "EMPTY=");
        assert_ok(build(&b, &e), e);
        assert_string_equal(strv_env_get(&b.s->process.env, "PATH"), "/image");
        assert_string_equal(strv_env_get(&b.s->process.env, "A"), "mine");
        assert_string_equal(strv_env_get(&b.s->process.env, "EMPTY"), "");
        assert_string_equal(strv_env_get(&b.s->process.env, "HOSTNAME"), "0123456789ab");
        assert_null(strv_env_get(&b.s->process.env, "TERM"));
        assert_true(b.s->process.set_home);
        b.o->tty = true;
        strv_add(&b.o->env, "HOME=/h");
        assert_ok(build(&b, &e), e);
        assert_non_null(strv_env_get(&b.s->process.env, "TERM"));
        assert_false(b.s->process.set_home);
        end(&b);
}

static const struct spec_mount *find_mount(const struct spec *s, const char *destination,
                                           size_t *ret_at)
{
        for (size_t i = 0; i < s->n_mounts; i++) {
                if (strcmp(s->mounts[i].destination, destination) == 0) {
                        if (ret_at)
                                *ret_at = i;
                        return &s->mounts[i];
                }
        }
        return NULL;
}

static void add_mount(struct build *b,
                      int (*parse)(const char *, struct run_mount *, struct err **),
                      const char *value)
{
        struct err *e = NULL;

        b->o->mounts = xrealloc(b->o->mounts, b->o->n_mounts + 1, sizeof(*b->o->mounts));
        assert_ok(parse(value, &b->o->mounts[b->o->n_mounts++], &e), e);
}

static void test_mounts(void **state)
{
        const struct spec_mount *m;
        struct err *e = NULL;
        struct build b;
        size_t outer, inner, dev, pts;

        begin(&b);
        add_mount(&b, run_mount_parse_volume, "/s1:/x/deep:ro");
        add_mount(&b, run_mount_parse_volume, "/s2:/x");
        add_mount(&b, run_mount_parse_volume, "/dev:/dev");
        add_mount(&b, run_mount_parse_tmpfs, "/dev/shm:size=1m");
        assert_ok(build(&b, &e), e);
        m = find_mount(b.s, "/x/deep", &inner);
        assert_non_null(m);
        /* Read-only down to the last mount below it. */
        assert_true(strv_contains(&m->options, "rro") && strv_contains(&m->options, "rbind"));
        assert_true(strv_contains(&m->options, "rprivate") && m->create_missing);
        assert_non_null(find_mount(b.s, "/x", &outer));
        assert_true(outer < inner);
        /* The user's /dev is the only one, and comes before what lies in it. */
        m = find_mount(b.s, "/dev", &dev);
        assert_string_equal(m->type, "bind");
        assert_non_null(find_mount(b.s, "/dev/pts", &pts));
        assert_true(dev < pts);
        m = find_mount(b.s, "/dev/shm", NULL);
        assert_true(strv_contains(&m->options, "size=1048576"));
        for (size_t i = 0, n = 0; i < b.s->n_mounts; i++) {
                n += strcmp(b.s->mounts[i].destination, "/dev") == 0;
                assert_true(n <= 1);
        }
        add_mount(&b, run_mount_parse_tmpfs, "/x/");
        assert_failed(build(&b, &e), e, ERR_USAGE, "'/x'");
        end(&b);
}

static void test_read_only_below(void **state)
{
        static const struct {
                const char *recursive;
                bool below; /* read-only further down as well */
        } all[] = {{"enabled", true}, {"readonly", true}, {"writable", false}, {"disabled", false}};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                AUTO_FREE char *value = xasprintf(
                    "type=bind,source=/s,target=/t,readonly,bind-recursive=%s", all[i].recursive);
                struct err *e = NULL;
                const struct spec_mount *m;
                struct build b;

                begin(&b);
                add_mount(&b, run_mount_parse_mount, value);
                assert_ok(build(&b, &e), e);
                m = find_mount(b.s, "/t", NULL);
                assert_true(strv_contains(&m->options, "ro"));
                assert_int_equal(strv_contains(&m->options, "rro"), all[i].below);
                end(&b);
        }
}

/* A volume is a directory below the data root; who has none gets its name from container/. */
static void test_volumes(void **state)
{
        struct err *e = NULL;
        const struct spec_mount *m;
        struct build b;

        begin(&b);
        add_mount(&b, run_mount_parse_volume, "name:/v:ro,nocopy");
        assert_true(b.o->mounts[0].no_copy);
        assert_ok(build(&b, &e), e);
        m = find_mount(b.s, "/v", NULL);
        assert_string_equal(m->type, "bind");
        assert_string_equal(m->source, "volumes/name/_data");
        assert_true(m->file);
        assert_true(strv_contains(&m->options, "rro"));
        end(&b);
        begin(&b);
        add_mount(&b, run_mount_parse_volume, "/v");
        assert_failed(build(&b, &e), e, ERR_USAGE, "'/v'");
        end(&b);
}

/* Everything of --mount, and what does not go together. */
static void test_mount_keys(void **state)
{
        static const struct {
                const char *value, *why; /* NULL: it is fine */
        } all[] = {
            {"type=volume,src=n,dst=/v,volume-nocopy,volume-label=a=b,volume-opt=type=tmpfs", NULL},
            {"src=n,dst=/v,\"volume-opt=o=size=1m,uid=3\",volume-opt=type=tmpfs", NULL},
            {"type=image,src=i,dst=/v,subpath=a/b,rw", NULL},
            {"type=bind,src=/a,dst=/"
             "v,bind-recursive=disabled,bind-propagation=rslave,consistency=cached",
             NULL},
            {"type=tmpfs,dst=/v,tmpfs-size=1m,tmpfs-mode=700,noexec", NULL},
            {"type=bind,src=/a,dst=/v,volume-nocopy", "does not go with the type bind"},
            {"tmpfs-size=1,src=n,dst=/v", "does not go with the type volume"},
            {"type=image,dst=/v", "source is missing"},
            {"type=volume,dst=/v,volume-subpath=../x", "not a path below"},
            {"type=volume,dst=/v,volume-subpath=/x", "not a path below"},
            {"type=volume,dst=/v,volume-driver=nfs", "no such driver"},
            {"type=bind,src=/a,dst=/v,upperdir=/u,workdir=/w", "go with the option O"},
            {"type=bind,src=/a,dst=/v,O,upperdir=/u", "go together"},
            {"type=bind,src=/a,dst=/v,idmap", "administrator"},
            {"type=volume,dst=/v,\"volume-label=a", "quote"},
            {"type=nfs,dst=/v", "unknown type"},
            {"type=ramfs,dst=/v,tmpfs-mode=700", NULL},
            {"type=devpts,dst=/v,uid=1,gid=5,mode=620,max=9", NULL},
            {"type=devpts,dst=/v,mode=9", "mode: '9' is no number"},
            {"type=glob,src=/a*", NULL},
            {"type=glob,src=/a*,dst=b", "is not absolute"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                struct run_mount m = {0};
                struct err *e = NULL;
                int r = run_mount_parse_mount(all[i].value, &m, &e);

                if (!all[i].why)
                        assert_ok(r, e);
                else
                        assert_true(r < 0 && strstr(err_message(e), all[i].why));
                run_mount_release(&m);
                (void)err_free(e);
        }
}

static void test_security(void **state)
{
        struct err *e = NULL;
        struct build b;

        begin(&b);
        assert_ok(build(&b, &e), e);
        assert_true(b.s->process.cap_bounding == caps_default());
        assert_true(b.s->process.no_new_privileges);
        assert_int_equal(b.s->seccomp, SPEC_SECCOMP_DEFAULT);
        assert_true(strv_contains(&b.s->masked_paths, "/proc/kcore"));
        assert_true(strv_contains(&b.s->readonly_paths, "/proc/sys"));
        /* An image with setuid programs keeps them working, unless the user says otherwise. */
        b.image.setuid = true;
        assert_ok(build(&b, &e), e);
        assert_false(b.s->process.no_new_privileges);
        strv_add(&b.o->security_opt, "no-new-privileges");
        strv_add(&b.o->security_opt, "unmask=/proc/kcore");
        strv_add(&b.o->security_opt, "mask=/secret:/other");
        strv_add(&b.o->security_opt, "seccomp=/p.json");
        assert_ok(build(&b, &e), e);
        assert_true(b.s->process.no_new_privileges);
        assert_false(strv_contains(&b.s->masked_paths, "/proc/kcore"));
        assert_true(strv_contains(&b.s->masked_paths, "/secret"));
        assert_string_equal(b.s->seccomp_file, "/p.json");
        strv_add(&b.o->security_opt, "unmask=ALL");
        assert_ok(build(&b, &e), e);
        assert_int_equal(b.s->masked_paths.n + b.s->readonly_paths.n, 0);
        strv_add(&b.o->security_opt, "apparmor=mine");
        assert_failed(build(&b, &e), e, ERR_UNSUPPORTED, "apparmor");
        end(&b);

        begin(&b);
        b.o->privileged = true;
        assert_ok(build(&b, &e), e);
        assert_true(b.s->process.cap_bounding == CAPS_ALL);
        assert_int_equal(b.s->seccomp, SPEC_SECCOMP_UNCONFINED);
        assert_int_equal(b.s->masked_paths.n + b.s->readonly_paths.n, 0);
        end(&b);
}

static void test_refusals(void **state)
{
        static const struct {
                size_t list; /* offset of a strv in struct run_options */
                const char *value, *words;
                enum err_kind kind;
        } bad[] = {
            {offsetof(struct run_options, ulimits), "nofile", "value", ERR_USAGE},
            {offsetof(struct run_options, ulimits), "nofile=5:3", "above", ERR_USAGE},
            {offsetof(struct run_options, ulimits), "files=5", "files", ERR_USAGE},
            {offsetof(struct run_options, ulimits), "nofile=1:2:3", "SOFT:HARD", ERR_USAGE},
            {offsetof(struct run_options, sysctls), "novalue", "novalue", ERR_USAGE},
            {offsetof(struct run_options, security_opt), "dance", "dance", ERR_USAGE},
            {offsetof(struct run_options, security_opt), "mask=rel", "rel", ERR_USAGE},
            {offsetof(struct run_options, security_opt), "no-new-privileges=maybe", "maybe",
             ERR_USAGE},
            {offsetof(struct run_options, cap_add), "FLY", "FLY", ERR_USAGE},
            {offsetof(struct run_options, devices), "dev", "dev", ERR_USAGE},
            {offsetof(struct run_options, devices), "/dev/x:/dev/y:rz", "rz", ERR_USAGE},
            {offsetof(struct run_options, devices), "/dev/x:/dev/y:r", "restrict", ERR_UNSUPPORTED},
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct err *e = NULL;
                struct build b;

                begin(&b);
                strv_add((struct strv *)((char *)b.o + bad[i].list), bad[i].value);
                assert_failed(build(&b, &e), e, bad[i].kind, bad[i].words);
                end(&b);
        }
}

static void test_json(void **state)
{
        AUTO_JSON *first = NULL;
        AUTO_JSON *second = NULL;
        struct err *e = NULL;
        struct build b;
        struct spec *again = NULL;

        begin(&b);
        strv_add(&b.o->ulimits, "nofile=10:20");
        strv_add(&b.o->ulimits, "core=unlimited");
        strv_add(&b.o->sysctls, "net.ipv4.ip_forward=1");
        strv_add(&b.o->devices, "/dev/fuse");
        strv_add(&b.o->cap_add, "SYS_ADMIN");
        strv_add(&b.o->groups, "staff");
        add_mount(&b, run_mount_parse_volume, "/s:/t:ro");
        b.o->pid = xstrdup("host");
        b.o->init = b.o->tty = b.o->read_only = true;
        assert_ok(build(&b, &e), e);
        id_map_add(&b.s->uid_map, 0, 1, 65536);
        id_map_add(&b.s->gid_map, 0, 1, 65536);
        strv_add(&b.s->layers, "layers/a/fs");
        b.s->upper = xstrdup("up");
        b.s->work = xstrdup("wk");
        first = spec_to_json(b.s);
        assert_ok(spec_from_json(first, "spec", &again, &e), e);
        second = spec_to_json(again);
        assert_true(json_object_equal(first, second));
        assert_int_equal(again->process.n_rlimits, 2);
        assert_int_equal(again->process.rlimits[0].resource, RLIMIT_NOFILE);
        assert_true(again->process.rlimits[1].hard == UINT64_MAX);
        assert_true(again->process.cap_bounding & UINT64_C(1) << CAP_SYS_ADMIN);
        assert_false(again->ns[SPEC_NS_PID].enabled);
        assert_true(again->ns[SPEC_NS_NET].enabled && again->init && again->root_readonly);
        assert_int_equal(again->uid_map.v[0].count, 65536);
        (void)spec_free(again);
        end(&b);
}

/* Damaged or hostile: the place is named. */
#define V "\"ociVersion\":\"1.0.0\","
#define P "\"root\":{\"path\":\"/r\"},\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"},"
static void test_json_errors(void **state)
{
        static const struct {
                const char *text, *words;
        } bad[] = {
            {"[]", "object"},
            {"{}", "ociVersion"},
            {"{" V "\"process\":5}", "process"},
            {"{" V "\"process\":{\"args\":[1]}}", "process.args[0]"},
            {"{" V "\"process\":{\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]}}",
             "process.rlimits[0]"},
            {"{" V P "\"mounts\":[{}]}", "mounts[0]"},
            {"{" V P "\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":-1,\"size\":1}]}}",
             "uidMappings[0]"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                AUTO_JSON *obj = NULL;
                struct err *e = NULL;
                struct spec *s = NULL;

                assert_ok(json_parse(bad[i].text, strlen(bad[i].text), "spec", &obj, &e), e);
                assert_failed(spec_from_json(obj, "spec", &s, &e), e, ERR_INVALID, bad[i].words);
                assert_null(s);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_args),     cmocka_unit_test(test_env),
            cmocka_unit_test(test_mounts),   cmocka_unit_test(test_read_only_below),
            cmocka_unit_test(test_volumes),  cmocka_unit_test(test_mount_keys),
            cmocka_unit_test(test_security), cmocka_unit_test(test_refusals),
            cmocka_unit_test(test_json),     cmocka_unit_test(test_json_errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
