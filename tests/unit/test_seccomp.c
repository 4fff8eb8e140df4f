/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "security/apply.h"
#include "security/caps.h"
#include "security/profile.h"
#include "security/seccomp_cache.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

static const struct profile_host host = {.arch = "amd64", .kernel_major = 6, .kernel_minor = 1};

static int parse(const char *text, const struct profile_host *h, struct profile *ret,
                 struct err **e)
{
        AUTO_JSON *obj = NULL;
        int r = json_parse(text, strlen(text), "p", &obj, e);

        return r < 0 ? r : profile_parse(obj, "p", h, ret, e);
}

static int compile(const char *text, uint64_t caps, struct seccomp_filter *f, struct err **e)
{
        struct profile p = {0};
        struct profile_host h;
        int r;

        (void)profile_host_get(caps, &h);
        r = parse(text, &h, &p, e);
        if (r == 0)
                r = profile_compile(&p, f, e);
        profile_release(&p);
        return r;
}

static void test_conditions(void **state)
{
        static const char text[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":["
                                   "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"},"
                                   "{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_ALLOW\","
                                   "\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
                                   "{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\","
                                   "\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
                                   "{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\","
                                   "\"includes\":{\"minKernel\":\"4.8\"}},"
                                   "{\"names\":[\"bpf\"],\"action\":\"SCMP_ACT_ALLOW\","
                                   "\"includes\":{\"minKernel\":\"7.0\"}},"
                                   "{\"names\":[\"sync\"],\"action\":\"SCMP_ACT_ALLOW\","
                                   "\"includes\":{\"arches\":[\"arm\"]}}]}";
        struct profile_host admin = host;
        struct err *e = NULL;
        struct profile p;

        assert_ok(parse(text, &host, &p, &e), e);
        assert_int_equal(p.n_rules, 3);
        assert_string_equal(p.rules[1].names.v[0], "clone");
        assert_string_equal(p.rules[2].names.v[0], "ptrace");
        profile_release(&p);
        admin.caps = UINT64_C(1) << CAP_SYS_ADMIN;
        assert_ok(parse(text, &admin, &p, &e), e);
        assert_string_equal(p.rules[1].names.v[0], "mount");
        profile_release(&p);
}

/* Every error says where. */
static void test_bad_profiles(void **state)
{
        static const struct {
                const char *text, *words;
        } bad[] = {
            {"[]", "object"},
            {"{}", "defaultAction"},
            {"{\"defaultAction\":\"SCMP_ACT_DANCE\"}", "SCMP_ACT_DANCE"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", "syscalls"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{}]}", "syscalls[0]"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[1],\"action\":\"SCMP_"
             "ACT_KILL\"}]}",
             "names[0]"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
             "\"SCMP_ACT_NOTIFY\"}]}",
             "listener"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
             "\"SCMP_ACT_KILL\","
             "\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
             "args[0].index"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
             "\"SCMP_ACT_KILL\","
             "\"args\":[{\"index\":0,\"value\":1,\"op\":\"EQ\"}]}]}",
             "args[0].op"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]}", "flags"},
            {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":70000}", "defaultErrnoRet"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct err *e = NULL;
                struct profile p;

                assert_failed(parse(bad[i].text, &host, &p, &e), e, ERR_INVALID, bad[i].words);
        }
}

/* ---- profiles of bundles ---- */

#define RULE(name, action)      "{\"names\":[\"" name "\"],\"action\":\"" action "\"}"
#define FLAG_NEW_LISTENER       8U
#define FLAG_WAIT_KILLABLE_RECV 32U

/* A listener may ask for all but the calls by which it is handed over. */
static void test_listener(void **state)
{
        static const struct {
                const char *text, *words;
        } bad[] = {
            {"{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "p: defaultAction: SCMP_ACT_NOTIFY"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" RULE("write",
                                                                         "SCMP_ACT_NOTIFY") "]}",
             "p: syscalls[0].action: SCMP_ACT_NOTIFY cannot be the action of 'write'"},
            {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" RULE(
                 "mkdir", "SCMP_ACT_NOTIFY") "," RULE("sendmsg", "SCMP_ACT_NOTIFY") "]}",
             "p: syscalls[1].action: SCMP_ACT_NOTIFY cannot be the action of 'sendmsg'"},
        };
        static const char good[] =
            "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_ARM\"],"
            "\"flags\":[\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],\"syscalls\":[" RULE(
                "mkdir", "SCMP_ACT_NOTIFY") "," RULE("no_such_call", "SCMP_ACT_NOTIFY") "]}";
        struct profile_host bundle = host;
        struct seccomp_filter f = {0};
        struct err *e = NULL;
        struct profile p;

        (void)state;
        bundle.bundle = true;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct err *why = NULL;

                assert_failed(parse(bad[i].text, &bundle, &p, &why), why, ERR_INVALID,
                              bad[i].words);
        }
        assert_ok(parse(good, &bundle, &p, &e), e);
        assert_int_equal(p.flags, FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV);
        /* The host's own architecture need not be named. */
        assert_ok(profile_compile(&p, &f, &e), e);
        assert_int_equal(f.flags, FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV);
        seccomp_filter_release(&f);
        profile_release(&p);
        /* Nobody listens: the kernel would refuse the flag. */
        assert_ok(parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":["
                        "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"]}",
                        &bundle, &p, &e),
                  e);
        assert_int_equal(p.flags, 0);
        profile_release(&p);
}

/* ---- what compiled filters do, tried on the kernel ---- */

struct attempt {
        struct seccomp_filter f;
        int (*call)(void);
};

static int in_child(void *arg)
{
        const struct attempt *a = arg;

        /* cmocka catches it, and would end the child with an exit code. */
        (void)signal(SIGSYS, SIG_DFL);
        if (apply_no_new_privs() < 0 || apply_seccomp(a->f.insns, a->f.n, a->f.flags) < 0)
                return 255;
        return a->call();
}

static int try_calls(const char *text, uint64_t caps, int (*call)(void))
{
        struct attempt a = {.call = call};
        struct err *e = NULL;
        int r;

        assert_ok(compile(text, caps, &a.f, &e), e);
        r = unit_fork(in_child, &a, 0);
        seccomp_filter_release(&a.f);
        return r;
}

static int errno_of(long r)
{
        return r < 0 ? errno : 0;
}

static int call_getpgid(void)
{
        return errno_of(syscall(SYS_getpgid, 0));
}

static int call_getpgid_one(void)
{
        return errno_of(syscall(SYS_getpgid, 1));
}

#define ONE_RULE(action, more)                                                                     \
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpgid\",\"no_such_"   \
        "call\"],"                                                                                 \
        "\"action\":\"" action "\"" more "}]}"

static void test_actions(void **state)
{
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_ERRNO", ""), 0, call_getpgid), EPERM);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_ERRNO", ",\"errnoRet\":38"), 0, call_getpgid),
                         ENOSYS);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_KILL_PROCESS", ""), 0, call_getpgid),
                         128 + SIGSYS);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_KILL", ""), 0, call_getpgid), 128 + SIGSYS);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_TRAP", ""), 0, call_getpgid), 128 + SIGSYS);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_LOG", ""), 0, call_getpgid), 0);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_TRACE", ""), 0, call_getpgid), ENOSYS);
}

static void test_arguments(void **state)
{
#define ARG(op, value) ",\"args\":[{\"index\":0,\"value\":" value ",\"op\":\"SCMP_CMP_" op "\"}]"
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_ERRNO", ARG("EQ", "1")), 0, call_getpgid), 0);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_ERRNO", ARG("EQ", "1")), 0, call_getpgid_one),
                         EPERM);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_ERRNO", ARG("NE", "1")), 0, call_getpgid),
                         EPERM);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_ERRNO", ARG("GE", "1")), 0, call_getpgid), 0);
        assert_int_equal(try_calls(ONE_RULE("SCMP_ACT_ERRNO", ARG("LT", "1")), 0, call_getpgid),
                         EPERM);
        /* Two conditions on one argument are alternatives. */
        assert_int_equal(
            try_calls(ONE_RULE("SCMP_ACT_ERRNO",
                               ",\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
                               "{\"index\":0,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]"),
                      0, call_getpgid_one),
            EPERM);
}

/* ---- the default profile ---- */

static char *default_profile(void)
{
        const char *source = getenv("KELP_SOURCE_DIR");
        char *path, *text = NULL;
        struct err *e = NULL;

        if (!source)
                skip();
        path = xasprintf("%s/src/security/seccomp.json", source);
        assert_ok(io_read_file(AT_FDCWD, path, PROFILE_FILE_MAX, &text, NULL, &e), e);
        free(path);
        return text;
}

static int call_unshare(void)
{
        return errno_of(unshare(CLONE_NEWUSER));
}

static int call_clone_newuser(void)
{
        return errno_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
}

static int call_clone3(void)
{
        return errno_of(syscall(SYS_clone3, NULL, 0));
}

static int call_unknown(void)
{
        return errno_of(syscall(9999));
}

static int call_keyctl(void)
{
        return errno_of(syscall(SYS_keyctl, 0, -3, 0));
}

static int call_tiocsti(void)
{
        return errno_of(ioctl(0, TIOCSTI, ""));
}

/* The kernel takes the lower half of the register; a filter that compares the whole of it could be got round. */
static int call_tiocsti_high(void)
{
        return errno_of(syscall(SYS_ioctl, 0, UINT64_C(0x7700000000) | TIOCSTI, ""));
}

static int call_tioclinux_high(void)
{
        return errno_of(syscall(SYS_ioctl, 0, UINT64_C(0x100000000) | TIOCLINUX, ""));
}

/* Every other request goes through: what comes back is the descriptor's answer. */
static int call_other_ioctls(void)
{
        for (unsigned long request = 0x5400; request < 0x5430; request++) {
                if (request == TIOCSTI || request == TIOCLINUX)
                        continue;
                if (ioctl(-1, request, NULL) == 0 || errno != EBADF)
                        return (int)(request - 0x5400 + 1);
        }
        return ioctl(-1, 0x80000000U, NULL) < 0 && errno == EBADF ? 0 : 100;
}

static int call_vsock(void)
{
        return errno_of(syscall(SYS_socket, UINT64_C(0x500000000) | 40, 1, 0));
}

static int call_fork(void)
{
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        return errno_of(pid);
}

static void test_default_profile(void **state)
{
        char *text = default_profile();
        uint64_t plain = caps_default(), admin = plain | UINT64_C(1) << CAP_SYS_ADMIN;

        assert_int_equal(try_calls(text, plain, call_unshare), EPERM);
        assert_int_equal(try_calls(text, plain, call_clone_newuser), EPERM);
        assert_int_equal(try_calls(text, plain, call_clone3), ENOSYS);
        assert_int_equal(try_calls(text, plain, call_unknown), ENOSYS);
        assert_int_equal(try_calls(text, plain, call_keyctl), EPERM);
        assert_int_equal(try_calls(text, plain, call_tiocsti), EPERM);
        assert_int_equal(try_calls(text, plain, call_tiocsti_high), EPERM);
        assert_int_equal(try_calls(text, plain, call_tioclinux_high), EPERM);
        assert_int_equal(try_calls(text, plain, call_other_ioctls), 0);
        assert_int_equal(try_calls(text, plain, call_vsock), EPERM);
        assert_int_equal(try_calls(text, plain, call_fork), 0);
        assert_int_equal(try_calls(text, plain, call_getpgid), 0);
        /* Whoever has CAP_SYS_ADMIN in the container may make namespaces; with clone3 too (no structure: EINVAL). */
        assert_int_equal(try_calls(text, admin, call_clone3), EINVAL);
        free(text);
}

/* ---- cache ---- */

static void test_cache(void **state)
{
        struct sock_filter insns[3] = {{6, 0, 0, 1}, {6, 0, 0, 2}, {6, 0, 0, 3}};
        struct seccomp_filter in = {.insns = insns, .n = 3, .flags = 4}, out = {0};
        char name[SECCOMP_CACHE_NAME_MAX];
        struct err *e = NULL;
        int dir = unit_dir(state), fd;
        char byte;

        assert_int_equal(seccomp_cache_read(dir, "key", &out), -ENOENT);
        assert_ok(seccomp_cache_write(dir, "key", &in, &e), e);
        assert_int_equal(seccomp_cache_read(dir, "key", &out), 0);
        assert_int_equal(out.n, 3);
        assert_int_equal(out.flags, 4);
        assert_memory_equal(out.insns, insns, sizeof(insns));
        seccomp_filter_release(&out);
        assert_int_equal(seccomp_cache_read(dir, "other", &out), -ENOENT);

        /* Each byte counts. */
        seccomp_cache_name("key", name);
        fd = openat(dir, name, O_RDWR | O_CLOEXEC);
        for (off_t at = 0; pread(fd, &byte, 1, at) == 1; at++) {
                char other = (char)(byte ^ 0x20);

                if (at >= 20 && at < 24)
                        continue; /* reserved */
                assert_int_equal(pwrite(fd, &other, 1, at), 1);
                assert_int_equal(seccomp_cache_read(dir, "key", &out), -ENOENT);
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
        assert_int_equal(seccomp_cache_read(dir, "key", &out), 0);
        seccomp_filter_release(&out);

        /* Cut short, made longer, or open to others: a miss. */
        assert_int_equal(fchmod(fd, 0666), 0);
        assert_int_equal(seccomp_cache_read(dir, "key", &out), -ENOENT);
        assert_int_equal(fchmod(fd, 0600), 0);
        assert_int_equal(ftruncate(fd, 40), 0);
        assert_int_equal(seccomp_cache_read(dir, "key", &out), -ENOENT);
        close(fd);
        assert_ok(seccomp_cache_write(dir, "key", &in, &e), e);
        assert_int_equal(renameat(dir, name, dir, "real"), 0);
        assert_int_equal(symlinkat("real", dir, name), 0);
        assert_int_equal(seccomp_cache_read(dir, "key", &out), -ENOENT);
}

static void test_key(void **state)
{
        AUTO_FREE char *dir = unit_dir_path(unit_dir(state)), *path = NULL, *a = NULL, *b = NULL,
                       *c = NULL;
        struct err *e = NULL;
        char *none;

        path = xasprintf("%s/profile", dir);
        assert_failed(seccomp_cache_key(path, 1, &none, &e), e, ERR_SYS, path);
        unit_write(unit_dir(state), "profile", "{}");
        assert_ok(seccomp_cache_key(path, 1, &a, &e), e);
        assert_ok(seccomp_cache_key(path, 2, &b, &e), e);
        assert_string_not_equal(a, b);
        unit_write(unit_dir(state), "profile", "{ }");
        assert_ok(seccomp_cache_key(path, 1, &c, &e), e);
        assert_string_not_equal(a, c);
}

static void test_text(void **state)
{
        static const char text[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[" RULE(
            "getpid", "SCMP_ACT_NOTIFY") "]}";
        static const char wrong[] = "{\"defaultAction\":\"SCMP_ACT_DANCE\"}";
        struct seccomp_filter first = {0}, again = {0};
        char *a = NULL, *b = NULL;
        struct err *e = NULL;
        int dir = unit_dir(state);

        assert_ok(seccomp_filter_get_text(text, strlen(text), dir, &first, &e), e);
        assert_int_equal(first.flags, FLAG_NEW_LISTENER);
        assert_ok(seccomp_cache_key_text(text, strlen(text), &a, &e), e);
        assert_int_equal(seccomp_cache_read(dir, a, &again), 0);
        assert_int_equal(first.n, again.n);
        assert_ok(seccomp_cache_key_text(text, strlen(text) - 1, &b, &e), e);
        assert_string_not_equal(a, b);
        seccomp_filter_release(&first);
        seccomp_filter_release(&again);
        free(a);
        free(b);
        assert_failed(seccomp_filter_get_text(wrong, strlen(wrong), dir, &first, &e), e,
                      ERR_INVALID, "linux.seccomp: defaultAction: unknown action 'SCMP_ACT_DANCE'");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_conditions), cmocka_unit_test(test_bad_profiles),
            cmocka_unit_test(test_listener),   cmocka_unit_test(test_actions),
            cmocka_unit_test(test_arguments),  cmocka_unit_test(test_default_profile),
            unit_test_dir(test_cache),         unit_test_dir(test_key),
            unit_test_dir(test_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
