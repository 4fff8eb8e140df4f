/* SPDX-License-Identifier: Apache-2.0 */
/* plan_bundle.c — what only the process of a bundle has: ids as numbers, processors, labels of security modules. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/parse.h"
#include "launch/launch_internal.h"
#include "security/caps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- ids ---- */

/* "UID:GID" and numbers, as the reader writes them: no name is looked up, and a group whose name is a number is not meant. */
static int plan_ids(struct launch_plan *p, struct err **reterr)
{
        const struct spec_process *process = p->process;
        const char *user = process->user ? process->user : "0:0", *colon = strchr(user, ':');
        AUTO_FREE char *first = xstrndup(user, colon ? (size_t)(colon - user) : strlen(user));

        p->by_number = true;
        if (parse_u32(first, &p->uid) < 0 || (colon && parse_u32(colon + 1, &p->gid) < 0))
                return err_new(reterr, ERR_INVALID, "process.user: '%s' is not UID:GID", user);
        if (p->keep_groups)
                return 0;
        p->groups = xcalloc(process->groups.n + 1, sizeof(*p->groups));
        for (size_t i = 0; i < process->groups.n; i++) {
                if (parse_u32(process->groups.v[i], &p->groups[p->n_groups++]) < 0)
                        return err_new(reterr, ERR_INVALID,
                                       "process.user.additionalGids: '%s' is not a group id",
                                       process->groups.v[i]);
        }
        return 0;
}

/* ---- processors ---- */

static int parse_range(const char *text, uint32_t *first, uint32_t *last)
{
        const char *dash = strchr(text, '-');
        AUTO_FREE char *start = xstrndup(text, dash ? (size_t)(dash - text) : strlen(text));

        if (parse_u32(start, first) < 0)
                return -EINVAL;
        *last = *first;
        if (dash && parse_u32(dash + 1, last) < 0)
                return -EINVAL;
        return *first <= *last ? 0 : -EINVAL;
}

static int plan_cpus(const char *key, const char *list, struct launch_cpus *ret,
                     struct err **reterr)
{
        AUTO_STRV parts = {0};

        if (str_empty(list))
                return 0;
        strv_split(&parts, list, ',');
        for (size_t i = 0; i < parts.n; i++) {
                char *part = parts.v[i] + strspn(parts.v[i], " ");
                uint32_t first, last;

                part[strcspn(part, " ")] = '\0';
                if (parse_range(part, &first, &last) < 0)
                        return err_new(reterr, ERR_INVALID,
                                       "process.execCPUAffinity.%s: '%s' is not a list of "
                                       "processors",
                                       key, list);
                if (last >= LAUNCH_CPUS_MAX)
                        return err_new(reterr, ERR_INVALID,
                                       "process.execCPUAffinity.%s: processor %u is beyond the "
                                       "last possible one, %d",
                                       key, last, LAUNCH_CPUS_MAX - 1);
                for (uint32_t cpu = first; cpu <= last; cpu++)
                        ret->mask[cpu / 64] |= UINT64_C(1) << cpu % 64;
        }
        ret->set = true;
        return 0;
}

/* ---- labels ---- */

static bool apparmor_is_enabled(void)
{
        AUTO_FREE char *text = NULL;

        return io_read_file(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, &text, NULL,
                            NULL) == 0 &&
               text[0] == 'Y';
}

static void add_label(struct launch_plan *p, const char *attr, char *value_take)
{
        strv_add(&p->strings, value_take);
        free(value_take);
        p->labels[p->n_labels++] =
            (struct launch_label){.attr = attr, .value = p->strings.v[p->strings.n - 1]};
}

/* A profile that nobody would enforce must not be passed over: the container would be less confined than its owner believes. */
static int plan_labels(struct launch_plan *p, struct err **reterr)
{
        const char *profile = p->process->apparmor_profile, *label = p->process->selinux_label;
        bool apparmor = !str_empty(profile) && apparmor_is_enabled();
        int r;

        if (!str_empty(profile) && !apparmor && strcmp(profile, "unconfined") != 0) {
                r = err_new(reterr, ERR_UNSUPPORTED,
                            "AppArmor profile '%s': this host does not enforce AppArmor", profile);
                return err_hint(reterr, r, "leave out process.apparmorProfile");
        }
        if (!str_empty(label) && access("/sys/fs/selinux/enforce", F_OK) < 0) {
                r = err_new(reterr, ERR_UNSUPPORTED,
                            "SELinux label '%s': this host does not enforce SELinux", label);
                return err_hint(reterr, r, "leave out process.selinuxLabel");
        }
        if (apparmor)
                add_label(p,
                          access("/proc/self/attr/apparmor", F_OK) == 0
                              ? "thread-self/attr/apparmor/exec"
                              : "thread-self/attr/exec",
                          xasprintf("exec %s", profile));
        if (!str_empty(label))
                add_label(p, "thread-self/attr/exec", xstrdup(label));
        return 0;
}

/* ---- capabilities ---- */

static void warn_about(struct strbuf *b, const char *what, uint64_t mask)
{
        if (!mask)
                return;
        strbuf_addf(b, "%s%s", b->len > 0 ? "; " : "", what);
        for (const char *comma = ""; mask; mask &= mask - 1, comma = ", ")
                strbuf_addf(b, "%s%s", comma, cap_name(__builtin_ctzll(mask)));
}

/* What cannot be granted is a warning, says the specification, not an error. */
static void warn_of_caps(struct launch_plan *p)
{
        const struct spec_process *process = p->process;
        const struct apply_caps *c = &p->caps;
        uint64_t have = p->caps_known, wanted, ambient;
        AUTO_STRBUF text = {0};

        /* In a user namespace of its own it can have them all. */
        if (!p->spec->ns[SPEC_NS_USER].enabled)
                have = caps_permitted();
        wanted = process->cap_bounding | process->cap_effective | process->cap_permitted |
                 process->cap_inheritable | process->cap_ambient;
        warn_about(&text, "capabilities that cannot be granted here: ", wanted & ~have & CAPS_ALL);
        ambient = c->ambient & ~(c->permitted & c->inheritable);
        warn_about(&text, "ambient capabilities that are not both permitted and inheritable: ",
                   ambient & have);
        if (text.len > 0)
                p->warning = strbuf_take(&text);
}

int launch_plan_bundle(struct launch_plan *p, struct err **reterr)
{
        int r = plan_ids(p, reterr);

        /* For further processes only: the first has those of the control group. */
        if (r == 0 && p->join_process)
                r = plan_cpus("initial", p->process->cpu_affinity_initial, &p->cpus_initial,
                              reterr);
        if (r == 0 && p->join_process)
                r = plan_cpus("final", p->process->cpu_affinity_final, &p->cpus_final, reterr);
        if (r == 0)
                r = plan_labels(p, reterr);
        if (r == 0)
                warn_of_caps(p);
        return r;
}
