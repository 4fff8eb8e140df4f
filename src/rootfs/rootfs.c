/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs/rootfs.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"
#include "config.h"
#include "idmap/idmap.h"
#include "rootfs/fuse.h"
#include "rootfs/mount_options.h"
#include "rootfs/plan_internal.h"
#include "spec/spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOTFS_TTY_GROUP "5"
#define ROOTFS_TTY_GID   5 /* what grantpt and every distribution expect of /dev/pts */
#define ROOTFS_SPARE_FDS                                                                           \
        64 /* standard streams, sockets, file-system contexts … of the launcher itself */

struct rootfs_plan *rootfs_child_plan(struct rootfs *r)
{
        return &r->plan;
}

const char *rootfs_keep(struct rootfs *r, char *s)
{
        strv_add_take(&r->strings, s);
        return s;
}

bool rootfs_ns_is_owned(const struct spec *s, int ns)
{
        const struct spec_namespace *user = &s->ns[SPEC_NS_USER];

        if (!s->ns[ns].enabled)
                return false;
        return !s->ns[ns].path || !user->enabled || user->path;
}

/* ---- operations ---- */

static struct rootfs_op *rootfs_add_op(struct rootfs *r)
{
        r->ops = xrealloc(r->ops, r->plan.n_ops + 1, sizeof(*r->ops));
        r->ops[r->plan.n_ops] = (struct rootfs_op){0};
        return &r->ops[r->plan.n_ops++];
}

/* The host's own directory in place of a file system that is not ours to mount. */
static void op_use_host(struct rootfs_op *op, const char *source, bool readonly)
{
        free((void *)op->params);
        op->kind = ROOTFS_OP_BIND;
        op->source = source;
        op->params = NULL;
        op->n_params = 0;
        op->recursive = true;
        op->propagation = MS_PRIVATE;
        op->propagation_recursive = true;
        /* The host's mounts have their own, locked flags; only read-only is added, and to all of them. */
        op->attrs = op->attrs_below = readonly ? MOUNT_ATTR_RDONLY : 0;
        op->clear = op->clear_below = 0;
}

static int op_proc(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        const struct spec *s = r->spec;

        op->is_proc = true;
        if (!s->ns[SPEC_NS_PID].enabled) {
                op->is_proc = false;
                op_use_host(op, "/proc", !s->privileged);
                return 0;
        }
        if (rootfs_ns_is_owned(s, SPEC_NS_PID))
                return 0;
        (void)err_new(
            reterr, ERR_UNSUPPORTED,
            "mount '%s': the pid namespace that is joined belongs to another user namespace",
            op->target);
        return err_hint(reterr, -EOPNOTSUPP, "join that container's user namespace as well");
}

static int op_sysfs(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)reterr;
        if (!rootfs_ns_is_owned(r->spec, SPEC_NS_NET))
                op_use_host(op, "/sys", true);
        return 0;
}

static int op_cgroup(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)reterr;
        op->fs = "cgroup2";
        op->or_empty = true;
        if (!rootfs_ns_is_owned(r->spec, SPEC_NS_CGROUP)) {
                op_use_host(op, "/sys/fs/cgroup", true);
                op->or_skip = true;
        }
        return 0;
}

static int op_mqueue(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)reterr;
        op->or_empty = true;
        if (!r->spec->ns[SPEC_NS_IPC].enabled) {
                op_use_host(op, "/dev/mqueue", false);
                op->or_skip = true;
        }
        return 0;
}

static int op_tmpfs(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)r;
        (void)reterr;
        op->is_dev = strcmp(op->target, "/dev") == 0;
        op->no_links = op->is_dev;
        return 0;
}

/* Is the group mapped where the container's file systems are mounted? */
static int rootfs_gid_is_mapped(const struct spec *s, uint32_t gid, bool *ret, struct err **reterr)
{
        struct id_map own = {0};
        AUTO_FREE char *text = NULL;
        int r;

        if (s->ns[SPEC_NS_USER].enabled && !s->ns[SPEC_NS_USER].path) {
                *ret = id_map_to_outside(&s->gid_map, gid) != ID_NONE;
                return 0;
        }
        /* A namespace that is shared or joined is not described by the spec; the joined one lies below ours, and may hold less. */
        *ret = false;
        if (s->ns[SPEC_NS_USER].path)
                return 0;
        r = io_read_file(AT_FDCWD, "/proc/self/gid_map", 65536, &text, NULL, reterr);
        if (r < 0)
                return r;
        r = id_map_parse(text, &own, reterr);
        if (r < 0)
                return r;
        *ret = id_map_to_outside(&own, gid) != ID_NONE;
        id_map_release(&own);
        return 0;
}

/* A further file system in memory, which the kernel does not limit. */
static int op_ramfs(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        (void)r;
        (void)op;
        (void)reterr;
        return 0;
}

int rootfs_devpts(struct rootfs *r, struct rootfs_op *op, struct err **reterr)
{
        struct rootfs_param *params = (struct rootfs_param *)op->params;
        bool mapped;
        int ret;

        op->is_pts =
            strcmp(op->target, "/dev/pts") == 0; /* the container's terminal is of this one */
        ret = rootfs_gid_is_mapped(r->spec, ROOTFS_TTY_GID, &mapped, reterr);
        if (ret < 0)
                return ret;
        for (size_t i = 0; i < op->n_params && !mapped; i++) {
                if (strcmp(params[i].key, "gid") != 0 || !params[i].value ||
                    strcmp(params[i].value, ROOTFS_TTY_GROUP) != 0)
                        continue;
                params[i] = params[--op->n_params];
                break;
        }
        return 0;
}

static const struct {
        const char *type;
        int (*prepare)(struct rootfs *, struct rootfs_op *, struct err **);
        bool no_links;
} fs_types[] = {
    {"proc", op_proc, true},         {"sysfs", op_sysfs, true},   {"tmpfs", op_tmpfs, false},
    {"devpts", rootfs_devpts, true}, {"mqueue", op_mqueue, true}, {"cgroup", op_cgroup, true},
    {"cgroup2", op_cgroup, true},    {"ramfs", op_ramfs, false},
};

static int rootfs_op_fs(struct rootfs *r, const struct spec_mount *m, struct rootfs_op *op,
                        struct err **reterr)
{
        for (size_t i = 0; i < ARRAY_SIZE(fs_types); i++) {
                if (strcmp(fs_types[i].type, m->type) != 0)
                        continue;
                op->kind = ROOTFS_OP_FS;
                op->fs = fs_types[i].type;
                op->no_links = fs_types[i].no_links;
                return fs_types[i].prepare(r, op, reterr);
        }
        return err_new(reterr, ERR_UNSUPPORTED,
                       "mount '%s': an ordinary user cannot mount a file system of type '%s'",
                       m->destination, m->type);
}

static int rootfs_op_bind(const struct spec_mount *m, struct rootfs_op *op, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;

        if (str_empty(m->source) || m->source[0] != '/')
                return err_new(reterr, ERR_USAGE, "mount '%s': source '%s' is not an absolute path",
                               m->destination, m->source ? m->source : "");
        op->kind = ROOTFS_OP_BIND;
        op->source = m->source;
        op->subpath = m->subpath;
        op->of_ipc = m->of_ipc;
        op->to_write = !m->file && !m->of_ipc && !(op->attrs & MOUNT_ATTR_RDONLY);
        if (!m->create_missing || access(m->source, F_OK) == 0)
                return 0;
        fd = path_mkdir_open(AT_FDCWD, m->source, 0755, reterr);
        if (fd < 0)
                return err_wrap(reterr, fd, "mount '%s'", m->destination);
        return 0;
}

/* Empty again at every start, and with the owner and mode of what it covers. Inside U: what it held may be anybody's. */
static int rootfs_fresh_upper(const struct rootfs *r, const struct spec_mount *m, const char *lower,
                              struct err **reterr)
{
        AUTO_CLOSE int root = open(r->plan.data_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct stat st;
        int ret;

        if (root < 0)
                return err_sys(reterr, errno, "open '%s'", r->plan.data_root);
        if (fstatat(root, lower, &st, 0) < 0)
                return err_sys(reterr, errno, "open '%s'", lower);
        ret = path_remove_tree(root, m->upper, reterr);
        if (ret >= 0)
                ret = path_remove_tree(root, m->work, reterr);
        if (ret < 0)
                return ret;
        if (mkdirat(root, m->upper, 0700) < 0 || mkdirat(root, m->work, 0700) < 0 ||
            fchownat(root, m->upper, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
            fchmodat(root, m->upper, st.st_mode & 07777, 0) < 0 ||
            fchownat(root, m->work, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(reterr, errno, "make the directory for its changes");
        return 0;
}

static int rootfs_op_overlay(struct rootfs *r, const struct spec_mount *m, struct rootfs_op *op,
                             struct err **reterr)
{
        size_t n = m->layers.n ? m->layers.n : 1;
        const char **lowers;
        int ret = 0;

        if (m->layers.n == 0 && str_empty(m->source))
                return err_new(reterr, ERR_INVALID, "mount '%s': it has no layers", m->destination);
        op->kind = ROOTFS_OP_OVERLAY;
        op->lowers = lowers = xcalloc(n, sizeof(*lowers));
        op->n_lowers = n;
        op->fds = xcalloc(n + 2, sizeof(*op->fds));
        op->subpath = m->subpath;
        for (size_t i = 0; i < m->layers.n; i++)
                lowers[i] = m->layers.v[m->layers.n - 1 - i];
        if (m->layers.n == 0)
                lowers[0] = m->source;
        if (m->upper && m->work) {
                op->upper = m->upper;
                op->work = m->work;
                if (m->upper[0] != '/')
                        ret = rootfs_fresh_upper(r, m, lowers[0], reterr);
                return ret < 0 ? err_wrap(reterr, ret, "mount '%s'", m->destination) : 0;
        }
        op->attrs |= MOUNT_ATTR_RDONLY;
        if (n > 1)
                return 0;
        /* Nothing to stack: the layer itself. */
        op->kind = ROOTFS_OP_BIND;
        op->source = lowers[0][0] == '/' ? lowers[0]
                                         : rootfs_keep(r, path_join(r->plan.data_root, lowers[0]));
        return 0;
}

/* A relative one, which old bundles have, begins at the container's root. */
static const char *oci_target(struct rootfs *r, const char *destination)
{
        AUTO_FREE char *absolute = xasprintf("/%s", destination);

        return rootfs_keep(r, path_clean(absolute));
}

static int rootfs_add_mount(struct rootfs *r, const struct spec_mount *m, struct err **reterr)
{
        struct mount_options options;
        struct rootfs_op *op;
        int ret;

        if (!m->destination || (m->destination[0] != '/' && !r->spec->oci))
                return err_new(reterr, ERR_USAGE, "mount '%s': the destination is not absolute",
                               m->destination ? m->destination : "");
        op = rootfs_add_op(r);
        op->target = r->spec->oci ? oci_target(r, m->destination) : m->destination;
        ret = mount_options_parse(m, r->spec->oci, op, &r->strings, &options, reterr);
        if (ret < 0)
                return ret;
        if (r->spec->oci)
                return rootfs_oci_mount(r, m, &options, op, reterr);
        if (options.bind)
                return rootfs_op_bind(m, op, reterr);
        if (strcmp(m->type, "overlay") == 0)
                return rootfs_op_overlay(r, m, op, reterr);
        return rootfs_op_fs(r, m, op, reterr);
}

static void rootfs_add_device(struct rootfs *r, const char *source, const char *target)
{
        struct rootfs_op *op = rootfs_add_op(r);

        op->kind = ROOTFS_OP_BIND;
        op->source = source;
        op->target = target;
        op->attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
        op->propagation = MS_PRIVATE;
}

/* ---- privileged: every device of the host that the caller may open ---- */

static bool device_is_standard(const char *name)
{
        static const char *const names[] = {
            "null", "zero",   "full", "random", "urandom", "tty",    "console", "ptmx",     "pts",
            "shm",  "mqueue", "fd",   "stdin",  "stdout",  "stderr", "core",    "hugepages"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strcmp(name, names[i]) == 0)
                        return true;
        }
        return false;
}

static void rootfs_add_host_devices(struct rootfs *r, const char *dir, int depth)
{
        DIR *d = opendir(dir);
        struct dirent *e;

        if (!d)
                return; /* what the caller cannot list he cannot open either */
        while ((e = readdir(d))) {
                AUTO_FREE char *path = NULL;
                struct stat st;

                if (e->d_name[0] == '.' || (depth == 0 && device_is_standard(e->d_name)))
                        continue;
                path = path_join(dir, e->d_name);
                if (lstat(path, &st) < 0)
                        continue;
                if (S_ISDIR(st.st_mode) && depth == 0)
                        rootfs_add_host_devices(r, path, depth + 1);
                if ((S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) &&
                    access(path, R_OK | W_OK) == 0) {
                        const char *kept = rootfs_keep(r, TAKE_PTR(path));

                        rootfs_add_device(r, kept, kept);
                }
        }
        (void)closedir(d);
}

/* ---- root ---- */

/*
 * The root directory of the container is that of the upper layer. It gets owner and mode of the topmost layer's root before
 * the first mount, which is recognised by the directory that overlay makes in @work.
 */
static int rootfs_init_upper(const struct rootfs *r, int root_fd, struct err **reterr)
{
        const struct spec *s = r->spec;
        struct stat st, now;
        AUTO_FREE char *made = path_join(s->work, "work");
        uint32_t uid = 0, gid = 0;

        if (fstatat(root_fd, made, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        if (fstatat(root_fd, r->layers[0], &st, 0) < 0)
                return err_sys(reterr, errno, "layer '%s'", r->layers[0]);
        if (s->ns[SPEC_NS_USER].enabled && s->uid_map.n > 0) {
                uid = id_map_to_outside(&s->uid_map, 0);
                gid = id_map_to_outside(&s->gid_map, 0);
                uid = uid != ID_NONE ? uid : s->uid_map.v[0].outside;
                gid = gid != ID_NONE ? gid : s->gid_map.v[0].outside;
        }
        if (fstatat(root_fd, s->upper, &now, 0) < 0)
                return err_sys(reterr, errno, "writable layer '%s'", s->upper);
        if ((now.st_uid != uid || now.st_gid != gid) &&
            (fchownat(root_fd, s->upper, uid, gid, 0) < 0 ||
             fchownat(root_fd, s->work, uid, gid, 0) < 0))
                return err_sys(reterr, errno, "give the writable layer to the container's root");
        if ((now.st_mode & 07777) != (st.st_mode & 07777) &&
            fchmodat(root_fd, s->upper, st.st_mode & 07777, 0) < 0)
                return err_sys(reterr, errno, "set the mode of the writable layer");
        return 0;
}

static int rootfs_plan_layers(struct rootfs *r, struct err **reterr)
{
        const struct spec *s = r->spec;
        struct rootfs_plan *p = &r->plan;
        AUTO_CLOSE int root_fd = -EBADF;

        if (s->layers.n == 0)
                return err_new(reterr, ERR_INVALID, "the image has no layers");
        if (!s->upper != !s->work)
                return err_new(reterr, ERR_INVALID, "an upper layer needs a work directory");
        r->layers = xcalloc(s->layers.n, sizeof(*r->layers));
        for (size_t i = 0; i < s->layers.n; i++)
                r->layers[i] = s->layers.v[s->layers.n - 1 - i];
        p->layers = r->layers;
        p->n_layers = s->layers.n;
        p->upper = s->upper;
        p->work = s->work;
        p->is_volatile = s->volatile_upper;
        if (!s->upper && s->layers.n == 1) {
                /* Nothing to stack. */
                p->root = ROOTFS_ROOT_BIND;
                p->bind = rootfs_keep(r, path_join(p->data_root, s->layers.v[0]));
                p->n_layers = 0;
                p->readonly = true;
                return 0;
        }
        if (!s->upper) {
                p->readonly = true;
                return 0;
        }
        root_fd = open(p->data_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return err_sys(reterr, errno, "open '%s'", p->data_root);
        return rootfs_init_upper(r, root_fd, reterr);
}

static int rootfs_plan_root(struct rootfs *r, struct err **reterr)
{
        const struct spec *s = r->spec;
        const char *driver = str_empty(s->storage_driver) ? "overlay" : s->storage_driver;
        struct rootfs_plan *p = &r->plan;
        int ret;

        p->readonly = s->root_readonly;
        if (s->root_kind == SPEC_ROOT_DIRECTORY) {
                if (str_empty(s->root_path) || s->root_path[0] != '/')
                        return err_new(reterr, ERR_USAGE, "root '%s' is not an absolute path",
                                       s->root_path ? s->root_path : "");
                p->root = ROOTFS_ROOT_BIND;
                p->bind = s->root_path;
                p->bind_recursive = true;
                return s->oci ? rootfs_oci_root(r, reterr) : 0;
        }
        if (strcmp(driver, "copy") == 0) {
                /* The writable layer is a whole copy already: nothing is stacked. */
                if (!s->upper)
                        return err_new(reterr, ERR_INVALID,
                                       "storage driver 'copy' needs a directory of the container");
                p->root = ROOTFS_ROOT_BIND;
                p->bind = rootfs_keep(r, path_join(p->data_root, s->upper));
                return 0;
        }
        if (strcmp(driver, "overlay") != 0 && strcmp(driver, "fuse-overlayfs") != 0)
                return err_new(reterr, ERR_USAGE, "unknown storage driver '%s'", driver);
        ret = rootfs_plan_layers(r, reterr);
        if (ret < 0)
                return ret;
        if (strcmp(driver, "fuse-overlayfs") == 0 && p->root == ROOTFS_ROOT_OVERLAY)
                p->root = ROOTFS_ROOT_MOUNT;
        return 0;
}

/* ---- sysctls ---- */

/* "net.ipv4.conf.eth0/1.forwarding" → "sys/net/ipv4/conf/eth0.1/forwarding": a slash stands for a dot in a name. */
static char *sysctl_path(const char *name, size_t n)
{
        char *path = xasprintf("sys/%.*s", (int)n, name);

        for (char *c = path + 4; *c; c++)
                *c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
        return path;
}

static bool sysctl_is_ipc(const char *key, size_t n)
{
        static const char *const names[] = {
            "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
            "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strlen(names[i]) == n && strncmp(names[i], key, n) == 0)
                        return true;
        }
        return n > 10 && strncmp(key, "fs.mqueue.", 10) == 0;
}

static bool sysctl_is_uts(const char *key, size_t n)
{
        return (n == 15 && strncmp(key, "kernel.hostname", n) == 0) ||
               (n == 17 && strncmp(key, "kernel.domainname", n) == 0);
}

/* Only what belongs to a namespace of the container's own: anything else would be the host's. */
static int sysctl_check(const struct spec *s, const char *text, size_t n, struct err **reterr)
{
        enum spec_ns ns;

        if (n > 4 && strncmp(text, "net.", 4) == 0)
                ns = SPEC_NS_NET;
        else if (sysctl_is_ipc(text, n))
                ns = SPEC_NS_IPC;
        else if (sysctl_is_uts(text, n))
                ns = SPEC_NS_UTS;
        else
                return err_new(reterr, ERR_USAGE,
                               "sysctl '%.*s' belongs to the whole host, not to a namespace",
                               (int)n, text);
        if (!s->ns[ns].enabled || s->ns[ns].path)
                return err_new(reterr, ERR_USAGE,
                               "sysctl '%.*s': the container has no namespace of its own for it",
                               (int)n, text);
        return 0;
}

static int rootfs_plan_sysctls(struct rootfs *r, struct err **reterr)
{
        const struct strv *list = &r->spec->sysctl;

        r->sysctls = xcalloc(list->n + 1, sizeof(*r->sysctls));
        for (size_t i = 0; i < list->n; i++) {
                const char *text = list->v[i], *equals = strchr(text, '=');
                int ret;

                if (!equals || equals == text)
                        return err_new(reterr, ERR_USAGE, "sysctl '%s': expected NAME=VALUE", text);
                ret = sysctl_check(r->spec, text, (size_t)(equals - text), reterr);
                if (ret < 0)
                        return ret;
                r->sysctls[i].key = rootfs_keep(r, sysctl_path(text, (size_t)(equals - text)));
                r->sysctls[i].value = equals + 1;
                /* A name that the kernel would resolve to somewhere else. */
                if (strstr(r->sysctls[i].key, ".."))
                        return err_new(reterr, ERR_USAGE, "sysctl '%s': no such name", text);
        }
        r->plan.sysctls = r->sysctls;
        r->plan.n_sysctls = list->n;
        return 0;
}

static void rootfs_plan_secrets(struct rootfs *r)
{
        const struct spec *s = r->spec;
        struct rootfs_plan *p = &r->plan;

        r->secrets = xcalloc(s->n_secrets + 1, sizeof(*r->secrets));
        r->secret_fds = xcalloc(s->n_secrets + 1, sizeof(*r->secret_fds));
        r->secret_targets = xcalloc(s->n_secrets + 1, sizeof(*r->secret_targets));
        for (size_t i = 0; i < s->n_secrets; i++) {
                const struct spec_secret *secret = &s->secrets[i];

                if (secret->env)
                        continue;
                r->secret_fds[p->n_secrets] = -EBADF;
                r->secrets[p->n_secrets++] = (struct rootfs_secret){
                    .source = rootfs_keep(r, path_join(p->data_root, secret->file)),
                    .target = secret->target,
                    .uid = secret->uid,
                    .gid = secret->gid,
                    .mode = secret->mode};
        }
        p->secrets = r->secrets;
        p->secret_fds = r->secret_fds;
        p->secret_targets = r->secret_targets;
}

/* ---- all ---- */

static void rootfs_plan_prepared(struct rootfs *r)
{
        for (size_t i = 0; i < r->plan.n_ops; i++) {
                if (!r->ops[i].prepared)
                        continue;
                r->trees[i] = r->prepared[i];
                r->plan.kept[r->plan.n_kept++] = &r->trees[i];
        }
}

static void rootfs_plan_fds(struct rootfs *r)
{
        struct rootfs_plan *p = &r->plan;
        struct rlimit limit;
        size_t lowers = 0;

        for (size_t i = 0; i < p->n_ops; i++)
                lowers += r->ops[i].n_lowers;
        r->trees = xcalloc(p->n_ops + 1, sizeof(*r->trees));
        r->layer_fds = xcalloc(p->n_layers + 1, sizeof(*r->layer_fds));
        for (size_t i = 0; i <= p->n_ops; i++)
                r->trees[i] = -EBADF;
        rootfs_plan_prepared(r);
        for (size_t i = 0; i <= p->n_layers; i++)
                r->layer_fds[i] = -EBADF;
        p->ops = r->ops;
        p->trees = r->trees;
        p->layer_fds = r->layer_fds;
        p->upper_fd = p->work_fd = p->attach_fd = p->root_fd = p->proc_fd = p->pts_fd = -EBADF;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                p->raise_nofile = p->n_layers + p->n_ops + p->n_secrets + p->n_devices + lowers +
                                      ROOTFS_SPARE_FDS >
                                  limit.rlim_cur;
                p->soft_nofile = limit.rlim_cur;
        }
}

static void rootfs_alloc_prepared(struct rootfs *r)
{
        if (!r->spec->oci)
                return;
        r->prepared = xcalloc(r->spec->n_mounts + 1, sizeof(*r->prepared));
        for (size_t i = 0; i <= r->spec->n_mounts; i++)
                r->prepared[i] = -EBADF;
}

static int rootfs_plan_devices(struct rootfs *r, struct err **reterr)
{
        const struct spec *s = r->spec;

        if (s->oci)
                return rootfs_has_mounts(s) ? rootfs_oci_devices(r, reterr) : 0;
        if (s->privileged)
                rootfs_add_host_devices(r, "/dev", 0);
        for (size_t i = 0; i < s->n_devices; i++)
                rootfs_add_device(r, s->devices[i].host_path, s->devices[i].path);
        return 0;
}

static int rootfs_build(struct rootfs *r, struct err **reterr)
{
        const struct spec *s = r->spec;
        struct rootfs_plan *p = &r->plan;
        int ret;

        ret = rootfs_plan_root(r, reterr);
        if (ret < 0)
                return ret;
        rootfs_alloc_prepared(r);
        for (size_t i = 0; i < s->n_mounts; i++) {
                ret = rootfs_add_mount(r, &s->mounts[i], reterr);
                if (ret < 0)
                        return ret;
        }
        ret = rootfs_plan_devices(r, reterr);
        if (ret >= 0)
                ret = rootfs_plan_sysctls(r, reterr);
        if (ret < 0)
                return ret;
        rootfs_plan_secrets(r);
        p->masked = (const char *const *)s->masked_paths.v;
        p->n_masked = s->masked_paths.n;
        p->readonly_paths = (const char *const *)s->readonly_paths.v;
        p->n_readonly = s->readonly_paths.n;
        p->want_console = s->process.terminal;
        /* Only into a layer of the container's own: a directory that the user gave with --rootfs is left as it is. */
        if (s->root_kind == SPEC_ROOT_LAYERS && s->upper)
                p->containerenv =
                    rootfs_keep(r, xasprintf("engine=\"kelp-%s\"\nid=\"%s\"\nrootless=1\n",
                                             KELP_VERSION, s->id ? s->id : ""));
        rootfs_plan_fds(r);
        return 0;
}

int rootfs_new(const struct spec *s, const char *data_root, struct rootfs **ret,
               struct err **reterr)
{
        AUTO(rootfs_freep) struct rootfs *r = xnew(struct rootfs);
        int rc;

        r->spec = s;
        /* Before anything can fail: 0 would be somebody's descriptor. */
        r->plan.mount_fd = r->plan.shm_fd = -EBADF;
        r->plan.data_root = rootfs_keep(r, xstrdup(data_root));
        rc = rootfs_build(r, reterr);
        if (rc < 0)
                return rc;
        *ret = TAKE_PTR(r);
        return 0;
}

static void rootfs_op_release(struct rootfs_op *op)
{
        free((void *)op->params);
        free((void *)op->lowers);
        free(op->fds);
}

struct rootfs *rootfs_free(struct rootfs *r)
{
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->plan.n_ops; i++)
                rootfs_op_release(&r->ops[i]);
        for (size_t i = 0; r->prepared && i <= r->spec->n_mounts; i++)
                (void)fd_close(r->prepared[i]);
        rootfs_oci_cgroup_free(r);
        free(r->prepared);
        free(r->devices);
        free(r->device_trees);
        free(r->ops);
        free(r->layers);
        free(r->sysctls);
        free(r->trees);
        free(r->layer_fds);
        free(r->secrets);
        free(r->secret_fds);
        free(r->secret_targets);
        (void)fd_close(r->plan.mount_fd);
        (void)fd_close(r->plan.shm_fd);
        strv_release(&r->strings);
        free(r);
        return NULL;
}

int rootfs_start_helper(struct rootfs *r, pid_t *ret_pid, int *ret_pidfd, struct err **reterr)
{
        *ret_pid = 0;
        *ret_pidfd = -EBADF;
        if (r->plan.root != ROOTFS_ROOT_MOUNT)
                return 0;
        return rootfs_fuse_start(&r->plan, ret_pid, ret_pidfd, reterr);
}
