/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only bundles have, in the child: file systems that we know nothing of, remounts, links in place of mounts, and device nodes. The
 * image lies below every one of these paths: parents are resolved inside the root, last names are never followed, and a node that is
 * there already is used only when it is the one that was asked for.
 */
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "rootfs/rootfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- mounts ---- */

/* Its attributes and its propagation: of the mount that is topmost there by now. */
static int settle(const struct rootfs_plan *p, const struct rootfs_op *op, struct child_note *note)
{
        int fd = path_open_in_root_raw(p->root_fd, op->target, O_PATH, 0), r;

        if (fd < 0)
                return fd;
        r = rootfs_set_attrs(op, fd, note);
        (void)sys_close(fd);
        return r;
}

int rootfs_op_mount(struct rootfs_plan *p, const struct rootfs_op *op, struct child_note *note)
{
        int target = rootfs_op_target(p, op, true), r;
        char path[FD_PATH_MAX];

        if (target < 0)
                return target;
        /* The name that /proc gives to the descriptor: nothing of the image's is resolved again. */
        r = sys_mount(op->source, fd_path(target, path), op->fs, op->flags, op->data);
        (void)sys_close(target);
        if (r < 0) {
                child_note_detail(note, op->fs);
                return r;
        }
        return settle(p, op, note);
}

static int reconfigure(const struct rootfs_op *op, int mount, struct child_note *note)
{
        int fs = sys_fspick(mount), r = 0;

        if (fs < 0)
                return fs;
        for (size_t i = 0; i < op->n_params && r == 0; i++) {
                const struct rootfs_param *param = &op->params[i];

                r = param->value ? sys_fsconfig_string(fs, param->key, param->value)
                                 : sys_fsconfig_flag(fs, param->key);
        }
        if (r == 0)
                r = sys_fsconfig_reconfigure(fs);
        if (r < 0)
                sys_fs_message(fs, note->detail, sizeof(note->detail));
        (void)sys_close(fs);
        return r;
}

/* Only what was asked for changes, so that a mount that is made read-only keeps the flags that the host has locked. */
int rootfs_op_remount(const struct rootfs_plan *p, const struct rootfs_op *op,
                      struct child_note *note)
{
        int fd = path_open_in_root_raw(p->root_fd, op->target, O_PATH, 0), r;

        if (fd < 0)
                return fd;
        r = rootfs_set_attrs(op, fd, note);
        if (r == -EINVAL)
                child_note_detail(note, "nothing is mounted there to be remounted");
        if (r == 0 && op->n_params > 0)
                r = reconfigure(op, fd, note);
        (void)sys_close(fd);
        return r;
}

int rootfs_op_link(const struct rootfs_plan *p, const struct rootfs_op *op)
{
        char name[NAME_MAX + 1], there[PATH_MAX];
        int parent = rootfs_target_parent(p->root_fd, op->target, name), r = 0;
        ssize_t n;

        if (parent < 0)
                return parent;
        if (symlinkat(op->source, parent, name) < 0)
                r = -errno;
        if (r == -EEXIST) {
                n = readlinkat(parent, name, there, sizeof(there));
                if (n >= 0 && (size_t)n == strlen(op->source) &&
                    memcmp(there, op->source, (size_t)n) == 0)
                        r = 0;
        }
        (void)sys_close(parent);
        return r;
}

/* ---- devices ---- */

static bool is_device(const struct stat *st, const struct rootfs_device *d)
{
        if ((st->st_mode & S_IFMT) != d->type)
                return false;
        return d->type == S_IFIFO || st->st_rdev == d->rdev;
}

/* Bound on an empty file, such as an earlier start has left behind, or on a node that is the same. */
static int bind_node(const struct rootfs_device *d, int tree, int parent, const char *name)
{
        struct stat st;
        int fd, r;

        if (mknodat(parent, name, S_IFREG, 0) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (is_device(&st, d) || (S_ISREG(st.st_mode) && st.st_size == 0))
                r = rootfs_attach(tree, fd);
        else
                r = -EEXIST;
        (void)sys_close(fd);
        return r;
}

/* The kernel keeps nodes from us: a container around us has not the capability, or a filter of its own. */
static int bind_same(const struct rootfs_device *d, int parent, const char *name)
{
        struct stat st;
        int tree, r;

        if (stat(d->path, &st) < 0 || !is_device(&st, d))
                return -EPERM;
        tree = sys_open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE);
        if (tree < 0)
                return -EPERM;
        r = bind_node(d, tree, parent, name);
        (void)sys_close(tree);
        return r;
}

static int make_node(const struct rootfs_device *d, int parent, const char *name)
{
        struct stat st;

        if (mknodat(parent, name, d->type | d->mode, d->rdev) == 0)
                return fchownat(parent, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        if (errno == EPERM)
                return bind_same(d, parent, name);
        if (errno != EEXIST)
                return -errno;
        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return is_device(&st, d) ? 0 : -EEXIST;
}

static int add_device(const struct rootfs_plan *p, size_t i, struct child_note *note)
{
        const struct rootfs_device *d = &p->devices[i];
        char name[NAME_MAX + 1];
        int parent, r;

        child_note_set(note, d->path);
        parent = rootfs_target_parent(p->root_fd, d->path, name);
        if (parent < 0)
                return parent;
        if (p->device_trees[i] >= 0)
                r = bind_node(d, p->device_trees[i], parent, name);
        else
                r = make_node(d, parent, name);
        if (r == -EEXIST)
                child_note_detail(note, "a file of another kind is there");
        (void)sys_close(parent);
        if (p->device_trees[i] >= 0)
                (void)sys_close(p->device_trees[i]);
        return r;
}

static bool has_kcore(const struct rootfs_plan *p)
{
        int fd = path_open_in_root_raw(p->root_fd, "/proc/kcore", O_PATH, 0);

        if (fd >= 0)
                (void)sys_close(fd);
        return fd >= 0;
}

static int add_links(const struct rootfs_plan *p, int dev, struct child_note *note)
{
        int r = 0;

        for (size_t i = 0; i < ROOTFS_DEV_LINKS; i++) {
                const struct rootfs_dev_link *l = &rootfs_dev_links[i];

                child_note_set(note, l->name);
                if (strcmp(l->name, "core") == 0 && !has_kcore(p))
                        continue;
                /* The image's own, where /dev is part of it, will do. */
                if (symlinkat(l->to, dev, l->name) < 0 && errno != EEXIST)
                        return -errno;
        }
        if (!p->want_console)
                return 0;
        child_note_set(note, "console");
        r = mknodat(dev, "console", S_IFREG | 0600, 0) < 0 ? -errno : 0;
        return r == -EEXIST ? 0 : r;
}

int rootfs_child_devices(const struct rootfs_plan *p, struct child_note *note)
{
        int dev, r = 0;

        for (size_t i = 0; i < p->n_devices && r == 0; i++)
                r = add_device(p, i, note);
        if (r < 0 || !p->dev_links)
                return r;
        child_note_set(note, "/dev");
        dev = path_mkdir_in_root_raw(p->root_fd, "/dev", 0755);
        if (dev < 0)
                return dev;
        r = add_links(p, dev, note);
        if (r == 0 && p->dev_readonly)
                r = sys_mount_setattr(dev, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
        (void)sys_close(dev);
        return r;
}
