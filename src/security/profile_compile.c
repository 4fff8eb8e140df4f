/* SPDX-License-Identifier: Apache-2.0 */
#include "security/profile.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "security/seccomp_cache.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void seccomp_releasep(scmp_filter_ctx *ctx)
{
        if (*ctx)
                seccomp_release(*ctx);
}

uint32_t profile_arch(const char *name)
{
        char lower[32];
        size_t n;

        if (!str_starts(name, "SCMP_ARCH_"))
                return 0;
        name += strlen("SCMP_ARCH_");
        n = strlen(name);
        if (n >= sizeof(lower))
                return 0;
        for (size_t i = 0; i <= n; i++)
                lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
        return seccomp_arch_resolve_name(lower);
}

static int compile_arches(scmp_filter_ctx ctx, const struct profile *p, struct err **reterr)
{
        bool native = p->arches.n == 0 || p->add_native;
        int r;

        for (size_t i = 0; i < p->arches.n; i++) {
                uint32_t arch = profile_arch(p->arches.v[i]);

                if (arch == 0)
                        return err_new(reterr, ERR_INVALID, "unknown architecture '%s'",
                                       p->arches.v[i]);
                native = native || arch == seccomp_arch_native();
                r = seccomp_arch_add(ctx, arch);
                /* Lists name architectures of either byte order; those of the other cannot run here at all. */
                if (r < 0 && r != -EEXIST && r != -EDOM && r != -EINVAL)
                        return err_sys(reterr, -r, "architecture '%s'", p->arches.v[i]);
        }
        if (!native)
                return err_new(reterr, ERR_INVALID,
                               "the profile's architectures do not include this host's");
        return 0;
}

static int add_rule(scmp_filter_ctx ctx, uint32_t action, int nr, const struct scmp_arg_cmp *args,
                    size_t n)
{
        int r = seccomp_rule_add_array(ctx, action, nr, (unsigned)n, args);

        /* The same rule twice, or a call that no architecture of the filter has. */
        return r == -EEXIST || r == -EDOM ? 0 : r;
}

/*
 * Conditions on different arguments must hold together. Conditions on the same argument are alternatives, as with the other
 * engines: then each is a rule of its own.
 */
static int compile_call(scmp_filter_ctx ctx, const struct profile_rule *rule, int nr)
{
        struct scmp_arg_cmp cmp[PROFILE_ARGS_MAX];
        unsigned seen = 0;
        bool alternatives = false;
        int r = 0;

        for (size_t i = 0; i < rule->n_args; i++) {
                const struct profile_arg *a = &rule->args[i];

                alternatives = alternatives || (seen & (1U << a->index));
                seen |= 1U << a->index;
                cmp[i] = (struct scmp_arg_cmp){
                    .arg = a->index,
                    .op = (enum scmp_compare)a->op,
                    .datum_a = a->value,
                    .datum_b = a->value_two,
                };
        }
        if (!alternatives)
                return add_rule(ctx, rule->action, nr, cmp, rule->n_args);
        for (size_t i = 0; i < rule->n_args && r == 0; i++)
                r = add_rule(ctx, rule->action, nr, &cmp[i], 1);
        return r;
}

static int compile_rule(scmp_filter_ctx ctx, const struct profile *p,
                        const struct profile_rule *rule, struct err **reterr)
{
        /* What the default does anyway, libseccomp refuses as a rule. */
        if (rule->action == p->default_action)
                return 0;
        for (size_t i = 0; i < rule->names.n; i++) {
                int nr = seccomp_syscall_resolve_name(rule->names.v[i]), r;

                if (nr == __NR_SCMP_ERROR)
                        continue;
                r = compile_call(ctx, rule, nr);
                if (r < 0)
                        return err_sys(reterr, -r, "rule for '%s'", rule->names.v[i]);
        }
        return 0;
}

static int export_filter(scmp_filter_ctx ctx, struct seccomp_filter *ret, struct err **reterr)
{
        AUTO_CLOSE int fd = memfd_create("seccomp", MFD_CLOEXEC);
        AUTO_FREE char *data = NULL;
        size_t len;
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "make a memory file");
        r = seccomp_export_bpf(ctx, fd);
        if (r < 0)
                return err_sys(reterr, -r, "generate the filter");
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_sys(reterr, errno, "read the filter");
        r = io_read_fd(fd, "filter", (SECCOMP_INSNS_MAX + 1) * sizeof(struct sock_filter), &data,
                       &len, reterr);
        if (r < 0)
                return r;
        ret->n = len / sizeof(struct sock_filter);
        if (ret->n == 0 || ret->n > SECCOMP_INSNS_MAX)
                return err_new(reterr, ERR_INVALID, "the filter is longer than the kernel accepts");
        ret->insns = xcalloc(ret->n, sizeof(*ret->insns));
        memcpy(ret->insns, data, ret->n * sizeof(*ret->insns));
        return 0;
}

int profile_compile(const struct profile *p, struct seccomp_filter *ret, struct err **reterr)
{
        AUTO(seccomp_releasep) scmp_filter_ctx ctx = seccomp_init(p->default_action);
        int r;

        if (!ctx)
                return err_new(reterr, ERR_INVALID,
                               "the profile's default action is not possible here");
        r = compile_arches(ctx, p, reterr);
        if (r < 0)
                return r;
        /* A tree instead of a list: a container start pays for the kernel's walk over every call number, and each call for its own. */
        (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        for (size_t i = 0; i < p->n_rules; i++) {
                r = compile_rule(ctx, p, &p->rules[i], reterr);
                if (r < 0)
                        return r;
        }
        ret->flags = p->flags;
        return export_filter(ctx, ret, reterr);
}
