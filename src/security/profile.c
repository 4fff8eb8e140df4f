/* SPDX-License-Identifier: Apache-2.0 */
#include "security/profile.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "security/caps.h"
#include "security/profile_names.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/utsname.h>

/* linux/seccomp.h clashes with libseccomp's header. */
#define FILTER_FLAG_LOG                2U
#define FILTER_FLAG_SPEC_ALLOW         4U
#define FILTER_FLAG_NEW_LISTENER       8U
#define FILTER_FLAG_WAIT_KILLABLE_RECV 32U

/* "6.1.0-13-amd64" → 6, 1. Whether the text ends with the second number. */
static bool parse_version(const char *text, uint32_t *major, uint32_t *minor)
{
        size_t a = strspn(text, "0123456789"), b = 0;
        AUTO_FREE char *first = xstrndup(text, a), *second = NULL;

        *major = *minor = 0;
        if (text[a] != '.')
                return false;
        b = strspn(text + a + 1, "0123456789");
        second = xstrndup(text + a + 1, b);
        if (parse_u32(first, major) < 0 || parse_u32(second, minor) < 0) {
                *major = *minor = 0;
                return false;
        }
        return text[a + 1 + b] == '\0';
}

bool profile_host_get(uint64_t caps, struct profile_host *ret)
{
        static const struct {
                const char *machine, *arch;
        } names[] = {
            {"x86_64", "amd64"},
            {"i686", "386"},
            {"i586", "386"},
            {"aarch64", "arm64"},
            {"armv7l", "arm"},
            {"armv6l", "arm"},
            {"ppc64le", "ppc64le"},
            {"s390x", "s390x"},
            {"riscv64", "riscv64"},
            {"mips64", "mips64le"},
            {"loongarch64", "loong64"},
        };
        struct utsname u;

        *ret = (struct profile_host){.caps = caps, .arch = ""};
        if (uname(&u) < 0)
                return false;
        (void)parse_version(u.release, &ret->kernel_major, &ret->kernel_minor);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strcmp(names[i].machine, u.machine) != 0)
                        continue;
                ret->arch = names[i].arch;
                return true;
        }
        return false;
}

void profile_release(struct profile *p)
{
        for (size_t i = 0; i < p->n_rules; i++) {
                strv_release(&p->rules[i].names);
                free(p->rules[i].args);
        }
        free(p->rules);
        strv_release(&p->arches);
        *p = (struct profile){0};
}

/* ---- actions ---- */

enum action_datum { DATUM_NONE, DATUM_ERRNO, DATUM_TRACE };
static const struct {
        const char *name;
        uint32_t action;
        enum action_datum datum;
} actions[] = {
#define ACTION(name, action, datum) {name, action, datum},
    PROFILE_ACTIONS(ACTION)
#undef ACTION
};

/* @errno_key: where the datum stands in the same object. */
static int parse_action(const struct json_at *at, const char *key, const char *errno_key,
                        uint32_t *ret, struct err **reterr)
{
        struct json_at value = json_key(at, key), datum = json_key(at, errno_key);
        uint32_t number = EPERM;
        const char *name;
        int r;

        r = json_get_string(at, key, &name, reterr);
        if (r < 0)
                return r;
        r = json_opt_u32(at, errno_key, &number, reterr);
        if (r < 0)
                return r;
        if (number > UINT16_MAX)
                return json_fail(&datum, reterr, "not an error number");
        for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
                if (strcmp(actions[i].name, name) != 0)
                        continue;
                *ret = actions[i].action;
                if (actions[i].datum == DATUM_ERRNO)
                        *ret = SCMP_ACT_ERRNO(number);
                else if (actions[i].datum == DATUM_TRACE)
                        *ret = SCMP_ACT_TRACE(number);
                return 0;
        }
        return json_fail(&value, reterr, "unknown action '%s'", name);
}

/* ---- a listener ---- */

/*
 * By these the listener's descriptor leaves the process that has loaded the filter, which then waits until it has arrived; who notified for
 * them would wait for somebody who has nothing to listen on yet. (write: other runtimes' way, and they refuse it too.)
 */
static bool moves_the_listener(const struct profile_rule *rule, const char **ret)
{
        static const char *const calls[] = {"sendmsg", "read", "write"};

        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                *ret = calls[i];
                if (strv_contains(&rule->names, calls[i]))
                        return true;
        }
        return false;
}

/* Whether a rule, or the default (@rule NULL), may have @action. */
static int check_listener(const struct json_at *at, const char *key,
                          const struct profile_host *host, const struct profile_rule *rule,
                          uint32_t action, struct profile *p, struct err **reterr)
{
        struct json_at value = json_key(at, key);
        const char *call;

        if (action != SCMP_ACT_NOTIFY)
                return 0;
        if (!host->bundle)
                return json_fail(&value, reterr,
                                 "a listener that answers for system calls is not available");
        if (!rule)
                return json_fail(&value, reterr, "SCMP_ACT_NOTIFY cannot be the default action");
        if (moves_the_listener(rule, &call))
                return json_fail(&value, reterr,
                                 "SCMP_ACT_NOTIFY cannot be the action of '%s', by which the "
                                 "listener is handed over",
                                 call);
        p->flags |= FILTER_FLAG_NEW_LISTENER;
        return 0;
}

/* ---- conditions ---- */

static int parse_kernel(const struct json_at *at, const char *text, unsigned *major,
                        unsigned *minor, struct err **reterr)
{
        struct json_at value = json_key(at, "minKernel");

        if (!parse_version(text, major, minor))
                return json_fail(&value, reterr, "expected a version like 4.8");
        return 0;
}

/* Capabilities that the list names, as a mask; a name that nobody knows is one that nobody has. */
static uint64_t caps_mask(const struct strv *names, bool *unknown)
{
        uint64_t mask = 0;

        *unknown = false;
        for (size_t i = 0; i < names->n; i++) {
                int cap = cap_from_name(names->v[i]);

                if (cap < 0)
                        *unknown = true;
                else
                        mask |= UINT64_C(1) << cap;
        }
        return mask;
}

struct condition {
        struct strv caps, arches;
        uint32_t major, minor;
        bool has_kernel;
};

static int parse_condition(const struct json_at *at, struct condition *ret, struct err **reterr)
{
        const char *kernel = NULL;
        int r;

        if (!at->obj)
                return 0;
        r = json_want_object(at, reterr);
        if (r == 0)
                r = json_opt_strv(at, "caps", &ret->caps, reterr);
        if (r == 0)
                r = json_opt_strv(at, "arches", &ret->arches, reterr);
        if (r == 0)
                r = json_opt_string(at, "minKernel", &kernel, reterr);
        if (r == 0 && kernel && *kernel) {
                ret->has_kernel = true;
                r = parse_kernel(at, kernel, &ret->major, &ret->minor, reterr);
        }
        return r;
}

static bool kernel_is_at_least(const struct profile_host *host, const struct condition *c)
{
        if (host->kernel_major != c->major)
                return host->kernel_major > c->major;
        return host->kernel_minor >= c->minor;
}

/* includes: all of it must hold. */
static bool condition_includes(const struct condition *c, const struct profile_host *host)
{
        bool unknown;
        uint64_t mask = caps_mask(&c->caps, &unknown);

        if (unknown || (host->caps & mask) != mask)
                return false;
        if (c->arches.n > 0 && !strv_contains(&c->arches, host->arch))
                return false;
        return !c->has_kernel || kernel_is_at_least(host, c);
}

/* excludes: any of it is enough. */
static bool condition_excludes(const struct condition *c, const struct profile_host *host)
{
        bool unknown;

        if (host->caps & caps_mask(&c->caps, &unknown))
                return true;
        if (strv_contains(&c->arches, host->arch))
                return true;
        return c->has_kernel && kernel_is_at_least(host, c);
}

static int rule_applies(const struct json_at *at, const struct profile_host *host,
                        struct err **reterr)
{
        struct json_at in_at = json_key(at, "includes"), out_at = json_key(at, "excludes");
        struct condition in = {0}, out = {0};
        int r;

        r = parse_condition(&in_at, &in, reterr);
        if (r == 0)
                r = parse_condition(&out_at, &out, reterr);
        if (r == 0)
                r = condition_includes(&in, host) && !condition_excludes(&out, host);
        strv_release(&in.caps);
        strv_release(&in.arches);
        strv_release(&out.caps);
        strv_release(&out.arches);
        return r;
}

/* ---- rules ---- */

static const struct {
        const char *name;
        uint32_t op;
} compare_ops[] = {
#define COMPARISON(name, op) {name, op},
    PROFILE_COMPARISONS(COMPARISON)
#undef COMPARISON
};

static int parse_arg(const struct json_at *at, struct profile_arg *ret, struct err **reterr)
{
        struct json_at op_at = json_key(at, "op"), index_at = json_key(at, "index");
        const char *op;
        uint64_t index;
        int r;

        r = json_want_object(at, reterr);
        if (r == 0)
                r = json_get_u64(at, "index", &index, reterr);
        if (r == 0)
                r = json_get_u64(at, "value", &ret->value, reterr);
        if (r == 0)
                r = json_opt_u64(at, "valueTwo", &ret->value_two, reterr);
        if (r == 0)
                r = json_get_string(at, "op", &op, reterr);
        if (r < 0)
                return r;
        if (index > 5)
                return json_fail(&index_at, reterr, "a system call has arguments 0 to 5");
        ret->index = (uint32_t)index;
        for (size_t i = 0; i < ARRAY_SIZE(compare_ops); i++) {
                if (strcmp(compare_ops[i].name, op) == 0) {
                        ret->op = compare_ops[i].op;
                        return 0;
                }
        }
        return json_fail(&op_at, reterr, "unknown comparison '%s'", op);
}

static int parse_args(const struct json_at *at, struct profile_rule *rule, struct err **reterr)
{
        size_t n;
        int r;

        if (!at->obj)
                return 0;
        r = json_want_array(at, PROFILE_ARGS_MAX, &n, reterr);
        if (r < 0)
                return r;
        rule->args = xcalloc(n + 1, sizeof(*rule->args));
        for (size_t i = 0; i < n; i++) {
                struct json_at arg = json_elem(at, i);

                r = parse_arg(&arg, &rule->args[i], reterr);
                if (r < 0)
                        return r;
        }
        rule->n_args = n;
        return 0;
}

static int parse_names(const struct json_at *at, struct strv *names, struct err **reterr)
{
        struct json_at names_at = json_key(at, "names");
        const char *name = NULL;
        int r;

        r = json_opt_strv(at, "names", names, reterr);
        if (r < 0)
                return r;
        r = json_opt_string(at, "name", &name, reterr);
        if (r < 0)
                return r;
        if (name && *name)
                strv_add(names, name);
        if (names->n == 0)
                return json_fail(at, reterr, "no system call is named");
        if (names->n > PROFILE_NAMES_MAX)
                return json_fail(&names_at, reterr, "too many names");
        return 0;
}

static int parse_rule(const struct json_at *at, struct profile_rule *rule, struct err **reterr)
{
        struct json_at args = json_key(at, "args");
        int r;

        r = parse_names(at, &rule->names, reterr);
        if (r == 0)
                r = parse_action(at, "action", "errnoRet", &rule->action, reterr);
        if (r == 0)
                r = parse_args(&args, rule, reterr);
        return r;
}

static int parse_rules(const struct json_at *at, const struct profile_host *host, struct profile *p,
                       struct err **reterr)
{
        size_t n;
        int r;

        if (!at->obj)
                return 0;
        r = json_want_array(at, PROFILE_RULES_MAX, &n, reterr);
        if (r < 0)
                return r;
        p->rules = xcalloc(n + 1, sizeof(*p->rules));
        for (size_t i = 0; i < n; i++) {
                struct json_at rule = json_elem(at, i);

                r = json_want_object(&rule, reterr);
                if (r == 0)
                        r = rule_applies(&rule, host, reterr);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                /* Counted first: a half-parsed one is released with the others. */
                r = parse_rule(&rule, &p->rules[p->n_rules++], reterr);
                if (r == 0)
                        r = check_listener(&rule, "action", host, &p->rules[p->n_rules - 1],
                                           p->rules[p->n_rules - 1].action, p, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- architectures and flags ---- */

/* archMap: one entry per native architecture, with the others that its programs may use. */
static int parse_arch_map(const struct json_at *at, struct profile *p, struct err **reterr)
{
        const char *name;
        size_t n = 0;
        int r;

        if (!at->obj)
                return 0;
        r = json_want_array(at, 64, &n, reterr);
        for (size_t i = 0; i < n && r == 0; i++) {
                struct json_at entry = json_elem(at, i);

                r = json_want_object(&entry, reterr);
                if (r == 0)
                        r = json_get_string(&entry, "architecture", &name, reterr);
                if (r < 0)
                        return r;
                if (profile_arch(name) != seccomp_arch_native())
                        continue;
                strv_add(&p->arches, name);
                AUTO_STRV sub = {0};
                r = json_opt_strv(&entry, "subArchitectures", &sub, reterr);
                for (size_t j = 0; j < sub.n && r == 0; j++)
                        strv_add(&p->arches, sub.v[j]);
        }
        return r;
}

static const struct {
        const char *name;
        uint32_t flag;
} filter_flags[] = {
#define FLAG(name, flag) {name, flag},
    PROFILE_FLAGS(FLAG)
#undef FLAG
};

static int parse_flags(const struct json_at *at, struct profile *p, struct err **reterr)
{
        struct json_at flags_at = json_key(at, "flags");
        AUTO_STRV flags = {0};
        int r = json_opt_strv(at, "flags", &flags, reterr);

        for (size_t i = 0; i < flags.n && r == 0; i++) {
                size_t j = 0;

                while (j < ARRAY_SIZE(filter_flags) &&
                       strcmp(filter_flags[j].name, flags.v[i]) != 0)
                        j++;
                if (j == ARRAY_SIZE(filter_flags))
                        return json_fail(&flags_at, reterr, "unknown flag '%s'", flags.v[i]);
                p->flags |= filter_flags[j].flag;
        }
        return r;
}

int profile_parse(struct json_object *obj, const char *what, const struct profile_host *host,
                  struct profile *ret, struct err **reterr)
{
        struct json_at root = json_root(obj, what);
        struct json_at map = json_key(&root, "archMap"), rules = json_key(&root, "syscalls");
        struct profile p = {0};
        int r;

        r = json_want_object(&root, reterr);
        if (r == 0)
                r = parse_action(&root, "defaultAction", "defaultErrnoRet", &p.default_action,
                                 reterr);
        if (r == 0)
                r = json_opt_strv(&root, "architectures", &p.arches, reterr);
        if (r == 0)
                r = parse_arch_map(&map, &p, reterr);
        if (r == 0)
                r = parse_flags(&root, &p, reterr);
        if (r == 0)
                r = check_listener(&root, "defaultAction", host, NULL, p.default_action, &p,
                                   reterr);
        if (r == 0)
                r = parse_rules(&rules, host, &p, reterr);
        if (r < 0) {
                profile_release(&p);
                return r;
        }
        /* It is about a listener, and without one the kernel refuses it. */
        if (!(p.flags & FILTER_FLAG_NEW_LISTENER))
                p.flags &= ~FILTER_FLAG_WAIT_KILLABLE_RECV;
        p.add_native = host->bundle;
        *ret = p;
        return 0;
}
