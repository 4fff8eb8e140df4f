/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle's config.json: what becomes of each property, and what is refused with the path of the value. */
#include "unit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "spec/spec.h"

#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>

static int read_text(const char *text, struct spec **ret, struct strv *warnings, struct err **e)
{
        AUTO_JSON *obj = NULL;

        assert_ok(json_parse(text, strlen(text), "config.json", &obj, e), *e);
        return spec_from_bundle(obj, "config.json", "/bundle", ret, warnings, e);
}

/* The members of a whole config; "" leaves one out. */
static char *config(const char *process, const char *linux_text, const char *more)
{
        return xasprintf("{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"rootfs\"}%s%s%s%s%s%s}",
                         *process ? ",\"process\":" : "", process, *linux_text ? ",\"linux\":" : "",
                         linux_text, *more ? "," : "", more);
}

/* Everything at once: the corpus of the fuzz target begins with it. */
static char *read_full(void)
{
        AUTO_STRBUF path = {0};
        int fd;
        char *text;

        strbuf_addf(&path, "%s/tests/fuzz/corpus/oci_config/full", getenv("KELP_SOURCE_DIR"));
        fd = open(path.data, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        text = xcalloc(1, 65536);
        assert_true(read(fd, text, 65535) > 0);
        (void)close(fd);
        return text;
}

static void check_process(const struct spec_process *p)
{
        assert_true(p->terminal && !p->absent && p->no_new_privileges);
        assert_int_equal(p->rows, 25);
        assert_int_equal(p->cols, 80);
        assert_string_equal(p->user, "1000:100");
        assert_int_equal(p->umask, 63);
        assert_int_equal(p->groups.n, 2);
        assert_string_equal(p->groups.v[1], "6");
        assert_int_equal(p->args.n, 3);
        assert_string_equal(p->env.v[1], "A=b=c");
        assert_string_equal(p->cwd, "/work");
        assert_int_equal(p->cap_bounding, UINT64_C(1) << CAP_KILL);
        assert_int_equal(p->cap_ambient, UINT64_C(1) << CAP_KILL);
        assert_int_equal(p->cap_inheritable, 0);
        assert_int_equal(p->n_rlimits, 1);
        assert_int_equal(p->rlimits[0].resource, RLIMIT_NOFILE);
        assert_true(p->rlimits[0].hard == UINT64_MAX);
        assert_int_equal(p->oom_score_adj, -10);
        assert_string_equal(p->apparmor_profile, "profile");
        assert_string_equal(p->selinux_label, "a:b:c:d");
        assert_true(p->scheduler.set && p->io_priority.set);
        assert_int_equal(p->scheduler.policy, SCHED_DEADLINE);
        assert_int_equal(p->scheduler.flags, SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_RECLAIM);
        assert_int_equal(p->scheduler.period, 3000);
        assert_int_equal(p->io_priority.class, IOPRIO_CLASS_BE);
        assert_int_equal(p->io_priority.priority, 4);
        assert_string_equal(p->cpu_affinity_initial, "0-1");
        assert_string_equal(p->cpu_affinity_final, "0,1");
        assert_int_equal(p->personality, PER_LINUX32);
}

static void check_mounts(const struct spec *s)
{
        assert_int_equal(s->n_mounts, 5);
        assert_string_equal(s->mounts[0].type, "proc");
        assert_string_equal(s->mounts[1].destination, "/data");
        assert_string_equal(s->mounts[1].type, "none");
        assert_string_equal(s->mounts[1].source, "/bundle/sub/data");
        assert_int_equal(s->mounts[1].uid_map.v[0].outside, 7);
        assert_int_equal(s->mounts[1].gid_map.v[0].outside, 8);
        assert_string_equal(s->mounts[2].type, "bind");
        assert_string_equal(s->mounts[2].source, "/abs");
        assert_string_equal(s->mounts[3].type, "none");
        assert_int_equal(s->mounts[4].options.n, 2);
}

static void check_linux(const struct spec *s)
{
        for (int i = 0; i < SPEC_NS_COUNT; i++) {
                assert_true(s->ns[i].enabled);
                assert_int_equal(s->ns[i].path != NULL, i == SPEC_NS_NET);
        }
        assert_int_equal(s->uid_map.n, 2);
        assert_true(s->boottime.set && s->boottime.secs == -5 && s->boottime.nanosecs == 7);
        assert_true(s->monotonic.set && s->monotonic.secs == 100);
        assert_int_equal(s->n_devices, 3);
        assert_int_equal(s->devices[0].type, 'c');
        assert_int_equal(s->devices[0].minor, 229);
        assert_true(s->devices[0].has_mode && s->devices[0].mode == 0666);
        assert_int_equal(s->devices[0].uid, 3);
        assert_int_equal(s->devices[1].type, 'p');
        assert_false(s->devices[2].has_mode);
        assert_string_equal(s->cgroups_path, "user.slice:kelp:id");
        assert_string_equal(s->sysctl.v[0], "net.ipv4.ip_forward=1");
        assert_string_equal(s->masked_paths.v[0], "/proc/kcore");
        assert_string_equal(s->readonly_paths.v[0], "/proc/sys");
        assert_true(s->rootfs_propagation == (MS_SLAVE | MS_REC));
        assert_string_equal(s->mount_label, "l:a:b:e");
        assert_true(s->rdt.set && s->rdt.monitoring);
        assert_string_equal(s->rdt.mem_bw, "MB:0=20");
        assert_string_equal(s->rdt.schemata.v[0], "L2:0=f");
        assert_int_equal(s->seccomp, SPEC_SECCOMP_INLINE);
        assert_string_equal(s->seccomp_listener, "/run/agent");
        assert_string_equal(s->seccomp_metadata, "meta");
        assert_true(json_object_object_get_ex(s->seccomp_profile, "syscalls", NULL));
}

static void check_hooks(const struct spec *s)
{
        static const size_t counts[SPEC_HOOK_COUNT] = {1, 1, 1, 1, 2, 0};
        const struct spec_hook_entry *h = &s->hooks[SPEC_HOOK_CREATE_RUNTIME].v[0];

        for (int i = 0; i < SPEC_HOOK_COUNT; i++)
                assert_int_equal(s->hooks[i].n, counts[i]);
        assert_string_equal(h->path, "/bin/b");
        assert_string_equal(h->args.v[1], "x");
        assert_string_equal(h->env.v[0], "K=V");
        assert_int_equal(h->timeout, 3);
        assert_int_equal(s->hooks[SPEC_HOOK_PRESTART].v[0].timeout, 0);
}

static void test_full(void **state)
{
        AUTO(spec_freep) struct spec *s = NULL;
        AUTO_FREE char *text = read_full();
        AUTO_STRV warnings = {0};
        struct err *e = NULL;

        assert_ok(read_text(text, &s, &warnings, &e), e);
        assert_true(s->oci && s->root_readonly);
        assert_string_equal(s->bundle, "/bundle");
        assert_string_equal(s->root_path, "/bundle/rootfs");
        assert_string_equal(s->hostname, "host");
        assert_string_equal(s->domainname, "dom");
        check_process(&s->process);
        check_mounts(s);
        check_linux(s);
        check_hooks(s);
        assert_true(strv_contains(&s->annotations, "com.example.key=value"));
        /* The unknown capability, which the specification wants named and passed over; no other property is worth a line. */
        assert_int_equal(warnings.n, 1);
        assert_non_null(strstr(warnings.v[0], "process.capabilities.bounding"));
        assert_non_null(strstr(warnings.v[0], "CAP_NEW_ONE"));
}

static void test_defaults(void **state)
{
        AUTO(spec_freep) struct spec *s = NULL;
        AUTO_STRV warnings = {0};
        struct err *e = NULL;

        assert_ok(read_text("{\"ociVersion\":\"1.0.2-dev\",\"root\":{\"path\":\"/r\"}}", &s,
                            &warnings, &e),
                  e);
        assert_true(s->process.absent);
        assert_string_equal(s->root_path, "/r");
        assert_int_equal(s->seccomp, SPEC_SECCOMP_UNCONFINED);
        assert_null(s->seccomp_profile);
        assert_int_equal(s->process.personality, -1);
        assert_true(s->process.oom_score_adj == INT64_MIN);
        assert_false(s->rdt.set || s->boottime.set || s->ns[SPEC_NS_MOUNT].enabled);
        assert_int_equal(warnings.n, 0);
        s = spec_free(s);
        assert_ok(read_text("{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"/r\"},\"process\":"
                            "{\"args\":[\"a\"],\"cwd\":\"/\",\"consoleSize\":{\"height\":3,"
                            "\"width\":4}},\"annotations\":{\"run.oci.keep_original_groups\":"
                            "\"1\",\"run.oci.seccomp.receiver\":\"/run/s\"}}",
                            &s, &warnings, &e),
                  e);
        assert_string_equal(s->process.user, "0:0");
        assert_int_equal(s->process.umask, -1);
        assert_int_equal(s->process.rows, 0); /* without a terminal it must be ignored */
        assert_string_equal(s->process.groups.v[0], "keep-groups");
        assert_string_equal(s->seccomp_listener, "/run/s");
}

/* process, linux, more; then what the error must say. */
#define OK_PROCESS "{\"args\":[\"a\"],\"cwd\":\"/\"}"
#define PROCESS(x) "{\"args\":[\"a\"],\"cwd\":\"/\"," x "}"
#define HOOK(x)    "\"hooks\":{\"poststart\":[" x "]}"
#define USER_NS    "\"namespaces\":[{\"type\":\"user\"}],"
static const struct {
        const char *process, *linux_text, *more, *words;
} refused[] = {
    {"[]", "", "", "config.json: process: expected an object"},
    {"{\"cwd\":\"/\"}", "", "", "process.args: "},
    {"{\"args\":[],\"cwd\":\"/\"}", "", "", "process.args: "},
    {"{\"args\":[\"a\"]}", "", "", "process.cwd: missing"},
    {"{\"args\":[\"a\"],\"cwd\":\"etc\"}", "", "", "process.cwd: 'etc' is not an absolute path"},
    {PROCESS("\"user\":{\"uid\":4294967295}"), "", "", "process.user.uid: "},
    {PROCESS("\"user\":{\"uid\":-1}"), "", "", "process.user.uid: "},
    {PROCESS("\"user\":{\"umask\":512}"), "", "", "process.user: umask"},
    {PROCESS("\"user\":{\"additionalGids\":[-5]}"), "", "", "process.user.additionalGids[0]"},
    {PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]"), "", "", "RLIMIT_X"},
    {PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},"
             "{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]"),
     "", "", "process.rlimits[1]: RLIMIT_CPU is given twice"},
    {PROCESS("\"oomScoreAdj\":1001"), "", "", "process.oomScoreAdj: "},
    {PROCESS("\"scheduler\":{}"), "", "", "process.scheduler.policy: "},
    {PROCESS("\"scheduler\":{\"policy\":\"SCHED_ISO\"}"), "", "", "SCHED_ISO"},
    {PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":20}"), "", "", "scheduler.nice: "},
    {PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"priority\":1}"), "", "", "priority is"},
    {PROCESS("\"scheduler\":{\"policy\":\"SCHED_RR\"}"), "", "", "priority is"},
    {PROCESS("\"scheduler\":{\"policy\":\"SCHED_RR\",\"priority\":1,\"nice\":1}"), "", "",
     "nice is"},
    {PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"period\":1}"), "", "", "SCHED_DEADLINE"},
    {PROCESS("\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"runtime\":2,\"deadline\":1}"), "", "",
     "runtime <= deadline"},
    {PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"flags\":[\"X\"]}"), "", "",
     "scheduler.flags: unknown flag 'X'"},
    {PROCESS("\"ioPriority\":{\"priority\":1}"), "", "", "process.ioPriority.class: "},
    {PROCESS("\"ioPriority\":{\"class\":\"X\"}"), "", "", "unknown class 'X'"},
    {PROCESS("\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}"), "", "",
     "ioPriority.priority: "},
    {PROCESS("\"execCPUAffinity\":{\"final\":\"a\"}"), "", "", "execCPUAffinity.final: "},
    {"", "", "\"hostname\":\"h\"", "config.json: hostname: 'h' would be the host's"},
    {"", "", "\"domainname\":\"d\"", "config.json: domainname: "},
    {"", "", "\"annotations\":{\"\":\"x\"}", "annotations: a key is empty"},
    {"", "", "\"annotations\":{\"a\":1}", "annotations.a: "},
    {"", "", "\"mounts\":[{\"type\":\"tmpfs\"}]", "mounts[0].destination: "},
    {"", "", "\"mounts\":[{\"destination\":\"\",\"type\":\"tmpfs\"}]", "destination: empty"},
    {"", "", "\"mounts\":[{\"destination\":\"/a\",\"options\":[\"ro\"]}]", "mounts[0].type: "},
    {"", "", "\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\"}]", "mounts[0].source: "},
    {"", "",
     "\"mounts\":[{\"destination\":\"/a\",\"source\":\"/b\",\"options\":[\"bind\",\"idmap\"]}]",
     "mounts[0]: an idmapped mount"},
    {"", "",
     "\"mounts\":[{\"destination\":\"/a\",\"source\":\"/b\",\"options\":[\"bind\",\"idmap\"],"
     "\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]}]",
     "mounts[0]: uidMappings and gidMappings"},
    {"", "", HOOK("{}"), "hooks.poststart[0].path: "},
    {"", "", HOOK("{\"path\":\"bin/x\"}"), "hooks.poststart[0].path: 'bin/x' is not"},
    {"", "", HOOK("{\"path\":\"/x\",\"timeout\":0}"), "hooks.poststart[0].timeout: "},
    {"", "", HOOK("{\"path\":\"/x\",\"timeout\":-1}"), "hooks.poststart[0].timeout: "},
    {"", "", HOOK("{\"path\":\"/x\",\"args\":[1]}"), "hooks.poststart[0].args[0]: "},
    {"", "{\"namespaces\":[{\"type\":\"net\"}]}", "", "linux.namespaces[0].type: unknown"},
    {"", "{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\",\"path\":\"/x\"}]}", "",
     "linux.namespaces[1].type: given twice"},
    {"", "{\"namespaces\":[{\"type\":\"pid\",\"path\":\"x\"}]}", "",
     "linux.namespaces[0].path: 'x' is not an absolute path"},
    {"", "{\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]}", "",
     "linux.uidMappings: "},
    {"", "{" USER_NS "\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":0}]}", "",
     "linux.uidMappings[0]: "},
    {"", "{\"timeOffsets\":{\"monotonic\":{\"secs\":1}}}", "", "linux.timeOffsets: "},
    {"",
     "{\"namespaces\":[{\"type\":\"time\",\"path\":\"/x\"}],\"timeOffsets\":{\"monotonic\":"
     "{\"secs\":1}}}",
     "", "linux.timeOffsets: "},
    {"",
     "{\"namespaces\":[{\"type\":\"time\"}],\"timeOffsets\":{\"realtime\":"
     "{\"secs\":1}}}",
     "", "linux.timeOffsets.realtime: "},
    {"",
     "{\"namespaces\":[{\"type\":\"time\"}],\"timeOffsets\":{\"boottime\":"
     "{\"nanosecs\":1000000000}}}",
     "", "linux.timeOffsets.boottime.nanosecs: "},
    {"", "{\"devices\":[{\"path\":\"dev/x\",\"type\":\"p\"}]}", "", "linux.devices[0].path: "},
    {"", "{\"devices\":[{\"path\":\"/x\",\"type\":\"x\"}]}", "", "linux.devices[0].type: "},
    {"", "{\"devices\":[{\"path\":\"/x\",\"type\":\"c\",\"major\":1}]}", "",
     "linux.devices[0].minor: "},
    {"", "{\"netDevices\":{\"eth0\":{}}}", "", "linux.netDevices: not supported"},
    {"", "{\"memoryPolicy\":{\"mode\":\"MPOL_BIND\"}}", "", "linux.memoryPolicy: not supported"},
    {"", "{\"maskedPaths\":[\"/a\",\"b\"]}", "", "linux.maskedPaths[1]: "},
    {"", "{\"readonlyPaths\":[\"b\"]}", "", "linux.readonlyPaths[0]: "},
    {"", "{\"rootfsPropagation\":\"x\"}", "", "linux.rootfsPropagation: 'x'"},
    {"", "{\"personality\":{}}", "", "linux.personality.domain: "},
    {"", "{\"personality\":{\"domain\":\"BSD\"}}", "", "'BSD'"},
    {"", "{\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"X\"]}}", "", "personality.flags: "},
    {"", "{\"intelRdt\":{\"closID\":\"../x\"}}", "", "linux.intelRdt.closID: "},
    {"", "{\"intelRdt\":{\"memBwSchema\":\"L3:0=f\"}}", "", "linux.intelRdt.memBwSchema: "},
    {"", "{\"seccomp\":{}}", "", "linux.seccomp.defaultAction: "},
    {"", "{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerMetadata\":\"x\"}}", "",
     "linux.seccomp.listenerMetadata: "},
    {OK_PROCESS, "7", "", "config.json: linux: expected an object"},
};

static void test_refused(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                AUTO_FREE char *text =
                    config(refused[i].process, refused[i].linux_text, refused[i].more);
                struct spec *s = NULL;
                AUTO_STRV warnings = {0};
                struct err *e = NULL;

                assert_failed(read_text(text, &s, &warnings, &e), e, ERR_INVALID, refused[i].words);
                assert_null(s);
        }
}

static void test_versions_and_root(void **state)
{
        static const struct {
                const char *text, *words;
        } bad[] = {
            {"[]", "config.json: expected an object"},
            {"{\"root\":{\"path\":\"r\"}}", "ociVersion: missing"},
            {"{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}", "ociVersion: version 2.0.0"},
            {"{\"ociVersion\":\"0.9.0\",\"root\":{\"path\":\"r\"}}", "ociVersion: version 0.9.0"},
            {"{\"ociVersion\":\"1.0\",\"root\":{\"path\":\"r\"}}", "'1.0' is not a version"},
            {"{\"ociVersion\":\"1.02.0\",\"root\":{\"path\":\"r\"}}", "'1.02.0'"},
            {"{\"ociVersion\":\"1.0.0-\",\"root\":{\"path\":\"r\"}}", "'1.0.0-'"},
            {"{\"ociVersion\":\"1.0.0x\",\"root\":{\"path\":\"r\"}}", "'1.0.0x'"},
            {"{\"ociVersion\":\"1.0.0\"}", "root: missing"},
            {"{\"ociVersion\":\"1.0.0\",\"root\":{}}", "root.path: missing"},
            {"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"\"}}", "root.path: empty"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                AUTO_STRV warnings = {0};
                struct spec *s = NULL;
                struct err *e = NULL;

                assert_failed(read_text(bad[i].text, &s, &warnings, &e), e, ERR_INVALID,
                              bad[i].words);
        }
}

/* exec's file is a process without a config around it. */
static void test_process_alone(void **state)
{
        static const char good[] = "{\"args\":[\"id\"],\"cwd\":\"/\",\"user\":{\"uid\":5}}";
        static const char bad[] = "{\"args\":[\"id\"],\"cwd\":\"x\"}";
        AUTO_JSON *obj = NULL;
        AUTO_JSON *other = NULL;
        AUTO_STRV warnings = {0};
        struct spec_process p;
        struct err *e = NULL;

        assert_ok(json_parse(good, strlen(good), "p", &obj, &e), e);
        spec_process_init(&p);
        assert_ok(spec_process_from_oci(obj, "p.json", &p, &warnings, &e), e);
        assert_string_equal(p.user, "5:0");
        spec_process_release(&p);
        assert_ok(json_parse(bad, strlen(bad), "p", &other, &e), e);
        spec_process_init(&p);
        assert_failed(spec_process_from_oci(other, "p.json", &p, &warnings, &e), e, ERR_INVALID,
                      "p.json: cwd: 'x'");
        spec_process_release(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_full),          cmocka_unit_test(test_defaults),
            cmocka_unit_test(test_refused),       cmocka_unit_test(test_versions_and_root),
            cmocka_unit_test(test_process_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
