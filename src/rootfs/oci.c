/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci — a bundle's mounts as operations. They differ from Kelp's own in what stands behind them: the bundle's author asked for precisely
 * this, so nothing is replaced by something harmless; but where the kernel refuses a fresh /proc, /sys or /dev/mqueue to a user namespace,
 * the host's is bound, as every runtime does. File systems that we know nothing of go to mount(2) as they are.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/path.h"
#include "base/str.h"
#include "rootfs/plan_internal.h"
#include "spec/spec.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

bool rootfs_has_mounts(const struct spec *s)
{
        return s->ns[SPEC_NS_MOUNT].enabled && !s->ns[SPEC_NS_MOUNT].path;
}

/* ---- binds ---- */

static int oci_prepare_idmap(struct rootfs *r, const struct spec_mount *m,
                             const struct mount_options *o, struct rootfs_op *op,
                             struct err **reterr)
{
        size_t i = (size_t)(op - r->ops);

        op->prepared = true;
        return rootfs_oci_idmap(r, m, o, op, &r->prepared[i], reterr);
}

static int oci_bind(struct rootfs *r, const struct spec_mount *m, const struct mount_options *o,
                    struct rootfs_op *op, struct err **reterr)
{
        char link[PATH_MAX];
        ssize_t n;

        if (str_empty(m->source))
                return err_new(reterr, ERR_USAGE, "mount '%s': a bind mount needs a source",
                               m->destination);
        op->kind = ROOTFS_OP_BIND;
        op->source = m->source;
        if (m->source[0] != '/')
                op->source =
                    rootfs_keep(r, path_join(r->spec->bundle ? r->spec->bundle : "/", m->source));
        n = o->copy_symlink ? readlink(op->source, link, sizeof(link)) : -1;
        if (n >= 0 && (size_t)n < sizeof(link)) {
                op->kind = ROOTFS_OP_LINK;
                op->source = rootfs_keep(r, xstrndup(link, (size_t)n));
                return 0;
        }
        /* Of a source that goes on sharing with the host only those mounts do so that ask for it. */
        if (r->plan.share && op->propagation == 0) {
                op->propagation = MS_SLAVE;
                op->propagation_recursive = true;
        }
        return o->idmap || m->uid_map.n > 0 || m->gid_map.n > 0
                   ? oci_prepare_idmap(r, m, o, op, reterr)
                   : 0;
}

/* ---- file systems ---- */

static const struct {
        uint64_t flag;
        const char *name;
} super_names[] = {
    {MS_SYNCHRONOUS, "sync"},
    {MS_DIRSYNC, "dirsync"},
    {MS_LAZYTIME, "lazytime"},
    {MS_MANDLOCK, "mand"},
};

/* The flags of a file system by the names that the new mount interface has for them. The others change nothing in those that we know. */
static void add_super_params(struct rootfs_op *op, uint64_t super)
{
        for (size_t i = 0; i < ARRAY_SIZE(super_names); i++) {
                struct rootfs_param *params;

                if (!(super & super_names[i].flag))
                        continue;
                params = xrealloc((void *)op->params, op->n_params + 1, sizeof(*params));
                params[op->n_params++] = (struct rootfs_param){.key = super_names[i].name};
                op->params = params;
        }
}

static bool has_param(const struct rootfs_op *op, const char *key)
{
        for (size_t i = 0; i < op->n_params; i++) {
                if (strcmp(op->params[i].key, key) == 0)
                        return true;
        }
        return false;
}

static int oci_proc(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)r;
        (void)reterr;
        op->or_bind = "/proc";
        op->is_proc = true;
        return 0;
}

static int oci_sysfs(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)r;
        (void)reterr;
        op->or_bind = "/sys";
        return 0;
}

static int oci_mqueue(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)r;
        (void)reterr;
        op->or_bind = "/dev/mqueue";
        return 0;
}

static int oci_tmpfs(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)reterr;
        op->mode_of_target = !has_param(op, "mode");
        /* Read-only once the devices are there. */
        if (strcmp(op->target, "/dev") == 0 &&
            ((op->attrs | op->attrs_below) & MOUNT_ATTR_RDONLY)) {
                op->attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
                op->attrs_below &= ~(uint64_t)MOUNT_ATTR_RDONLY;
                r->plan.dev_readonly = true;
        }
        return 0;
}

static int oci_cgroup2(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)r;
        (void)reterr;
        op->fs = "cgroup2";
        op->or_bind = access(CGROUP_ROOT "/unified/cgroup.procs", F_OK) == 0 ? CGROUP_ROOT
                          "/unified"
                                                                             : CGROUP_ROOT;
        return 0;
}

static int oci_cgroup(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        struct statfs fs;

        if (statfs(CGROUP_ROOT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                return oci_cgroup2(r, op, reterr);
        return rootfs_oci_cgroup(r, op, reterr);
}

static const struct {
        const char *type;
        int (*prepare)(struct rootfs *, struct rootfs_op *, struct err **);
        bool no_links;
} oci_types[] = {
    {"proc", oci_proc, true},        {"sysfs", oci_sysfs, true},   {"tmpfs", oci_tmpfs, false},
    {"devpts", rootfs_devpts, true}, {"mqueue", oci_mqueue, true}, {"cgroup", oci_cgroup, true},
    {"cgroup2", oci_cgroup2, true},
};

/* Back to the text that mount(2) takes. */
static const char *oci_data(struct rootfs *r, const struct rootfs_op *op)
{
        AUTO_STRBUF b = {0};

        for (size_t i = 0; i < op->n_params; i++) {
                strbuf_add(&b, i > 0 ? "," : "");
                strbuf_add(&b, op->params[i].key);
                if (op->params[i].value) {
                        strbuf_add(&b, "=");
                        strbuf_add(&b, op->params[i].value);
                }
        }
        return op->n_params > 0 ? rootfs_keep(r, strbuf_take(&b)) : NULL;
}

static int oci_fs(struct rootfs *r, const struct spec_mount *m, const struct mount_options *o,
                  struct rootfs_op *op, struct err **reterr)
{
        if (o->idmap || m->uid_map.n > 0 || m->gid_map.n > 0)
                return err_new(reterr, ERR_UNSUPPORTED,
                               "mount '%s': only a bind mount can have ids of its own",
                               m->destination);
        op->fs = m->type;
        op->source = str_empty(m->source) ? m->type : m->source;
        for (size_t i = 0; i < ARRAY_SIZE(oci_types); i++) {
                if (strcmp(oci_types[i].type, m->type) != 0)
                        continue;
                op->kind = ROOTFS_OP_FS;
                op->no_links = oci_types[i].no_links;
                add_super_params(op, o->super);
                return oci_types[i].prepare(r, op, reterr);
        }
        op->kind = ROOTFS_OP_MOUNT;
        op->data = oci_data(r, op);
        op->flags = o->super | (op->attrs & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0);
        return 0;
}

int rootfs_oci_mount(struct rootfs *r, const struct spec_mount *m, const struct mount_options *o,
                     struct rootfs_op *op, struct err **reterr)
{
        bool typed = !str_empty(m->type) && strcmp(m->type, "none") != 0;

        op->keep_locked = true;
        /* Without a file system, a word on propagation alone is about what is mounted there already. */
        if (o->remount || (!typed && !o->bind && op->propagation)) {
                op->kind = ROOTFS_OP_REMOUNT;
                if (!o->bind)
                        add_super_params(op, o->super);
                return 0;
        }
        if (strcmp(op->target, "/") == 0)
                return err_new(reterr, ERR_UNSUPPORTED,
                               "mount '%s': the container's root is what root.path says",
                               m->destination);
        if (o->bind)
                return oci_bind(r, m, o, op, reterr);
        if (!typed) {
                (void)err_new(reterr, ERR_USAGE, "mount '%s': it has no type", m->destination);
                return err_hint(reterr, -EINVAL,
                                "give the type of the file system, or the option bind");
        }
        return oci_fs(r, m, o, op, reterr);
}

/* ---- the root ---- */

static int oci_chroot(struct rootfs *r, struct err **reterr)
{
        const struct spec *s = r->spec;
        const struct {
                bool asked;
                const char *name;
        } needs[] = {
            {s->n_mounts > 0, "mounts"},
            {s->n_devices > 0, "linux.devices"},
            {s->masked_paths.n > 0, "linux.maskedPaths"},
            {s->readonly_paths.n > 0, "linux.readonlyPaths"},
            {s->root_readonly, "root.readonly"},
            {s->rootfs_propagation != 0, "linux.rootfsPropagation"},
            {s->sysctl.n > 0, "linux.sysctl"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
                if (!needs[i].asked)
                        continue;
                (void)err_new(reterr, ERR_UNSUPPORTED, "'%s' without a mount namespace",
                              needs[i].name);
                return err_hint(reterr, -EOPNOTSUPP,
                                "it would change the host's own file systems: list \"mount\" in "
                                "linux.namespaces");
        }
        r->plan.root = ROOTFS_ROOT_CHROOT;
        return 0;
}

int rootfs_oci_root(struct rootfs *r, struct err **reterr)
{
        const struct spec *s = r->spec;
        struct rootfs_plan *p = &r->plan;
        struct stat st;

        /* The new root is mounted over the old: hooks that run before the pivot find it by the path that the bundle gives. */
        p->data_root = s->root_path;
        if (stat(s->root_path, &st) < 0)
                return err_sys(reterr, errno, "root '%s'", s->root_path);
        if (!S_ISDIR(st.st_mode))
                return err_sys(reterr, ENOTDIR, "root '%s'", s->root_path);
        if (!str_empty(s->mount_label) && access("/sys/fs/selinux/enforce", F_OK) < 0) {
                (void)err_new(reterr, ERR_UNSUPPORTED,
                              "linux.mountLabel '%s': SELinux is not enabled on this host",
                              s->mount_label);
                return err_hint(reterr, -EOPNOTSUPP, "remove linux.mountLabel from config.json");
        }
        if (!rootfs_has_mounts(s))
                return oci_chroot(r, reterr);
        p->propagation = s->rootfs_propagation;
        p->share = (s->rootfs_propagation & MS_SHARED) != 0;
        return 0;
}
