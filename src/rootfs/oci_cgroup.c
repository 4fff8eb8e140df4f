/* SPDX-License-Identifier: Apache-2.0 */
/* A host's hierarchies of cgroup v1, for a mount of type "cgroup": read off mountinfo, one directory for each. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "rootfs/plan_internal.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MOUNTINFO_MAX (4U * 1024 * 1024)

/* "\040" and its like, in place. */
static void unescape(char *s)
{
        char *to = s;

        while (*s) {
                if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
                    s[3] >= '0' && s[3] <= '7') {
                        *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
                        s += 4;
                } else {
                        *to++ = *s++;
                }
        }
        *to = '\0';
}

/* What makes a hierarchy of those options, and not what it is mounted with. */
static bool is_controller(const char *option)
{
        static const char *const others[] = {
            "rw",
            "ro",
            "none",
            "xattr",
            "noprefix",
            "clone_children",
            "cpuset_v2_mode",
            "favordynmods",
            "nofavordynmods",
        };

        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                if (strcmp(option, others[i]) == 0)
                        return false;
        }
        return !str_starts(option, "release_agent=") && strncmp(option, "seclabel", 8) != 0;
}

static void add_param(struct rootfs_cgroup *c, const char *key, const char *value)
{
        struct rootfs_param *params = xrealloc((void *)c->params, c->n_params + 1, sizeof(*params));

        c->params = params;
        params[c->n_params] = (struct rootfs_param){.key = key, .value = value};
        c->n_params++;
}

/* @options: of the file system: "rw,cpu,cpuacct", "rw,xattr,name=systemd". */
static void add_hierarchy(struct rootfs *r, const char *root, const char *mountpoint,
                          const char *options)
{
        struct rootfs_cgroup *c;
        AUTO_STRV all = {0};
        AUTO_STRBUF name = {0};
        const char **links;

        r->cgroups = xrealloc(r->cgroups, r->n_cgroups + 1, sizeof(*r->cgroups));
        c = &r->cgroups[r->n_cgroups++];
        *c = (struct rootfs_cgroup){.root = rootfs_keep(r, xstrdup(root)),
                                    .mountpoint = rootfs_keep(r, xstrdup(mountpoint))};
        strv_split(&all, options, ',');
        links = xcalloc(all.n + 1, sizeof(*links));
        c->links = links;
        for (size_t i = 0; i < all.n; i++) {
                const char *option = all.v[i];

                if (!is_controller(option))
                        continue;
                strbuf_add(&name, name.len > 0 ? "," : "");
                strbuf_add(&name, option);
                if (str_starts(option, "name=")) {
                        add_param(c, "none", NULL);
                        add_param(c, "name", rootfs_keep(r, xstrdup(option + 5)));
                        continue;
                }
                links[c->n_links++] = rootfs_keep(r, xstrdup(option));
                add_param(c, links[c->n_links - 1], NULL);
        }
        if (c->n_links < 2)
                c->n_links = 0;
        c->controllers = rootfs_keep(r, strbuf_take(&name));
        c->dir = str_starts(c->controllers, "name=") ? c->controllers + 5 : c->controllers;
        if (!*c->controllers)
                r->n_cgroups--;
}

/* "31 23 0:28 /ROOT /MOUNTPOINT rw,relatime shared:1 - cgroup cgroup rw,cpu" */
static void read_line(struct rootfs *r, const char *line)
{
        AUTO_STRV fields = {0};
        size_t dash = 6;

        strv_split(&fields, line, ' ');
        while (dash < fields.n && strcmp(fields.v[dash], "-") != 0)
                dash++;
        if (dash + 3 >= fields.n || strcmp(fields.v[dash + 1], "cgroup") != 0)
                return;
        unescape(fields.v[3]);
        unescape(fields.v[4]);
        /* A hierarchy may be mounted in more places: the customary one. */
        if (str_starts(fields.v[4], "/sys/fs/cgroup/"))
                add_hierarchy(r, fields.v[3], fields.v[4], fields.v[dash + 3]);
}

static int read_hierarchies(struct rootfs *r, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        AUTO_STRV lines = {0};
        int ret =
            io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, reterr);

        if (ret < 0)
                return ret;
        strv_split(&lines, text, '\n');
        for (size_t i = 0; i < lines.n; i++)
                read_line(r, lines.v[i]);
        return 0;
}

int rootfs_oci_cgroup(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        int ret = r->cgroups ? 0 : read_hierarchies(r, reterr);

        if (ret < 0)
                return ret;
        if (r->n_cgroups == 0) {
                (void)err_new(reterr, ERR_UNSUPPORTED, "mount '%s': this host has no cgroups",
                              op->target);
                return err_hint(reterr, -EOPNOTSUPP, "mount them below /sys/fs/cgroup first");
        }
        op->kind = ROOTFS_OP_CGROUP1;
        op->cgroups = r->cgroups;
        op->n_cgroups = r->n_cgroups;
        op->cgroup_ns = rootfs_ns_is_owned(r->spec, SPEC_NS_CGROUP);
        return 0;
}

void rootfs_oci_cgroup_free(struct rootfs *r)
{
        for (size_t i = 0; i < r->n_cgroups; i++) {
                free((void *)r->cgroups[i].params);
                free((void *)r->cgroups[i].links);
        }
        free(r->cgroups);
}
