/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"
#include "base/sys.h"
#include "rootfs/rootfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- /dev ---- */

/* An empty file in our own tmpfs, to mount a device on. */
static int dev_file(int dev, const char *name)
{
        return mknodat(dev, name, S_IFREG | 0666, 0) < 0 ? -errno : 0;
}

const struct rootfs_dev_link rootfs_dev_links[ROOTFS_DEV_LINKS] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"},
};

int rootfs_child_fill_dev(struct rootfs_plan *p, int dev_mount, struct child_note *note)
{
        int r;

        for (size_t i = 0; i < ROOTFS_DEV_NODES; i++) {
                child_note_set(note, rootfs_dev_names[i]);
                r = dev_file(dev_mount, rootfs_dev_names[i]);
                if (r == 0)
                        r = sys_move_mount(p->dev_trees[i], "", dev_mount, rootfs_dev_names[i],
                                           MOVE_MOUNT_F_EMPTY_PATH);
                if (r < 0)
                        return r;
                (void)sys_close(p->dev_trees[i]);
        }
        for (size_t i = 0; i < ROOTFS_DEV_LINKS; i++) {
                child_note_set(note, rootfs_dev_links[i].name);
                if (symlinkat(rootfs_dev_links[i].to, dev_mount, rootfs_dev_links[i].name) < 0)
                        return -errno;
        }
        child_note_set(note, "console");
        return p->want_console ? dev_file(dev_mount, "console") : 0;
}

/* ---- operations ---- */

#define ATTRS_INHERITED (MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME)

/*
 * In a user namespace the flags of the host's mounts are locked. mount(2) says nothing when it keeps the time policy, or a mount read-only, and so
 * do we where a runtime is expected to; the protection of the host that "dev", "suid" or "exec" would take away is an error.
 */
static int set_attrs(const struct rootfs_op *op, int tree, uint64_t propagation,
                     struct child_note *note)
{
        uint64_t set = op->attrs & ~op->attrs_below, clear = op->clear & ~op->clear_below;
        int r;

        if (set == 0 && clear == 0 && propagation == 0)
                return 0;
        set |= op->attrs & MOUNT_ATTR__ATIME;
        clear |= op->clear & MOUNT_ATTR__ATIME;
        r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, set, clear, propagation);
        if (r == -EPERM && op->keep_locked && clear != 0)
                r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, set & ~(uint64_t)MOUNT_ATTR__ATIME,
                                      clear & ~(uint64_t)ATTRS_INHERITED, propagation);
        if (r == -EPERM)
                child_note_detail(note, "the flags of the host's mount are locked");
        return r;
}

int rootfs_set_attrs(const struct rootfs_op *op, int tree, struct child_note *note)
{
        uint64_t deep = op->propagation_recursive ? op->propagation : 0;
        int r = 0;

        if (op->attrs_below || op->clear_below || deep)
                r = sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, op->attrs_below,
                                      op->clear_below, deep);
        if (r == -EPERM)
                child_note_detail(note, "the flags of a mount of the host's are locked");
        return r < 0 ? r : set_attrs(op, tree, op->propagation & ~deep, note);
}

/* A bind, or an overlay, which is one of a file system that we make ourselves. */
static int op_bind(const struct rootfs_plan *p, size_t i, struct child_note *note)
{
        const struct rootfs_op *op = &p->ops[i];
        struct stat st;
        int target, r;

        if (op->kind == ROOTFS_OP_OVERLAY)
                p->trees[i] = rootfs_overlay_tree(p, op, note);
        if (p->trees[i] >= 0 && op->subpath)
                p->trees[i] = rootfs_subpath(p, p->trees[i], op->subpath, op->recursive);
        if (p->trees[i] < 0)
                return p->trees[i];
        if (fstat(p->trees[i], &st) < 0)
                return -errno;
        target = rootfs_op_target(p, op, S_ISDIR(st.st_mode));
        if (target < 0)
                return target;
        r = rootfs_set_attrs(op, p->trees[i], note);
        if (r == 0)
                r = rootfs_attach(p->trees[i], target);
        (void)sys_close(target);
        (void)sys_close(p->trees[i]);
        return r;
}

/* What the image has in a directory that a tmpfs is about to cover. */
static int op_copy_up(int mounted, int target)
{
        int from = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), to, r;

        if (from < 0)
                return -errno;
        to = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = to < 0 ? -errno : rootfs_copy_tree(from, to);
        if (to >= 0)
                (void)sys_close(to);
        (void)sys_close(from);
        return r;
}

/* The host's own, with all that is mounted below it and that what was asked for would not have had: each with the flags that were asked for. */
static int op_bind_host(const struct rootfs_op *op)
{
        int tree = sys_open_tree(AT_FDCWD, op->or_bind, OPEN_TREE_CLONE | AT_RECURSIVE), r;

        if (tree < 0)
                return tree;
        r = sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE,
                              (op->attrs | op->attrs_below) & ~(uint64_t)MOUNT_ATTR__ATIME, 0,
                              MS_PRIVATE);
        if (r == 0)
                return tree;
        (void)sys_close(tree);
        return r;
}

/* Something is yet to be done to it that a read-only mount would not let us. */
static bool is_readonly_later(const struct rootfs_op *op)
{
        return op->copy_up || op->mode_of_target;
}

static int op_make_fs(const struct rootfs_op *op, struct child_note *note)
{
        static const struct rootfs_param empty[] = {{"mode", "0555"}, {"nr_inodes", "1"}};
        uint64_t attrs = op->attrs | op->attrs_below;
        int fd = rootfs_fs_mount(
            op->fs, op->source, op->params, op->n_params,
            is_readonly_later(op) ? attrs & ~(uint64_t)MOUNT_ATTR_RDONLY : attrs, note);

        if (fd < 0 && op->or_empty)
                return rootfs_fs_mount("tmpfs", NULL, empty, 2, attrs | MOUNT_ATTR_RDONLY, note);
        if ((fd == -EPERM || fd == -EBUSY) && op->or_bind) {
                int tree = op_bind_host(op);

                return tree >= 0 ? tree : fd;
        }
        return fd;
}

/* What is done to a file system before anybody sees it. */
static int op_settle_fs(const struct rootfs_op *op, int fd, int target)
{
        struct stat st;
        int r = 0;

        if (op->mode_of_target &&
            (fstat(target, &st) < 0 || fchmodat(fd, ".", st.st_mode & 07777, 0) < 0))
                return -errno;
        if (op->copy_up)
                r = op_copy_up(fd, target);
        if (r == 0 && is_readonly_later(op) && ((op->attrs | op->attrs_below) & MOUNT_ATTR_RDONLY))
                r = sys_mount_setattr(fd, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
        if (r == 0 && op->propagation)
                r = sys_mount_setattr(fd, "", AT_EMPTY_PATH, 0, 0, op->propagation);
        return r;
}

static int op_fs(struct rootfs_plan *p, const struct rootfs_op *op, struct child_note *note)
{
        int target = rootfs_op_target(p, op, true), fd, r;

        if (target < 0)
                return target;
        fd = op_make_fs(op, note);
        r = fd < 0 ? fd : op_settle_fs(op, fd, target);
        if (r == 0)
                r = rootfs_attach(fd, target);
        if (r == 0 && op->is_dev)
                r = rootfs_child_fill_dev(p, fd, note);
        (void)sys_close(target);
        if (fd < 0)
                return r;
        if (r == 0 && op->is_proc)
                p->proc_fd = fd;
        else if (r == 0 && op->is_pts)
                p->pts_fd = fd;
        else
                (void)sys_close(fd);
        return r;
}

/*
 * Marks by which programs know that they are in a container. Best effort: an image that is mounted read-only and lacks them
 * cannot get them, and works without.
 */
static void write_marks(const struct rootfs_plan *p)
{
        static const int flags = O_CREAT | O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
        int fd = path_open_in_root_raw(p->root_fd, "/.dockerenv", flags, 0644);

        if (fd >= 0)
                (void)sys_close(fd);
        fd = path_mkdir_in_root_raw(p->root_fd, "/run", 0755);
        if (fd >= 0)
                (void)sys_close(fd);
        fd = path_open_in_root_raw(p->root_fd, "/run/.containerenv", flags, 0644);
        if (fd >= 0) {
                (void)sys_write(fd, p->containerenv, strlen(p->containerenv));
                (void)sys_close(fd);
        }
}

static int op_carry_out(struct rootfs_plan *p, size_t i, struct child_note *note)
{
        const struct rootfs_op *op = &p->ops[i];

        switch (op->kind) {
        case ROOTFS_OP_FS:
                return op_fs(p, op, note);
        case ROOTFS_OP_BIND:
                return p->trees[i] >= 0 ? op_bind(p, i, note) : 0;
        case ROOTFS_OP_OVERLAY:
                return op_bind(p, i, note);
        case ROOTFS_OP_MOUNT:
                return rootfs_op_mount(p, op, note);
        case ROOTFS_OP_REMOUNT:
                return rootfs_op_remount(p, op, note);
        case ROOTFS_OP_LINK:
                return rootfs_op_link(p, op);
        case ROOTFS_OP_CGROUP1:
                return rootfs_op_cgroup1(p, op, note);
        }
        return -EINVAL;
}

int rootfs_child_mount_all(struct rootfs_plan *p, struct child_note *note)
{
        int r = 0;

        for (size_t i = 0; i < p->n_ops && r == 0; i++) {
                child_note_set(note, p->ops[i].target);
                r = op_carry_out(p, i, note);
        }
        if (r == 0 && (p->n_devices > 0 || p->dev_links))
                r = rootfs_child_devices(p, note);
        if (r < 0)
                return r;
        if (p->containerenv)
                write_marks(p);
        return p->n_secrets > 0 ? rootfs_child_secrets(p, note) : 0;
}

/* Whatever else may be amiss (a read-only file system, a way there that is closed) is no matter of owners. */
static bool is_denied(const char *path)
{
        int fd = sys_openat2(AT_FDCWD, path, O_PATH, 0, RESOLVE_NO_MAGICLINKS);
        bool denied;

        if (fd < 0)
                return false;
        denied = faccessat(fd, "", W_OK, AT_EMPTY_PATH) < 0 && errno == EACCES;
        (void)sys_close(fd);
        return denied;
}

size_t rootfs_child_unwritable(const struct rootfs_plan *p)
{
        for (size_t i = 0; i < p->n_ops; i++) {
                if (p->ops[i].to_write && is_denied(p->ops[i].target))
                        return i;
        }
        return SIZE_MAX;
}

/* ---- sysctls ---- */

int rootfs_child_sysctls(const struct rootfs_plan *p, struct child_note *note)
{
        for (size_t i = 0; i < p->n_sysctls; i++) {
                const struct rootfs_param *s = &p->sysctls[i];
                ssize_t n;
                int fd;

                child_note_set(note, s->key);
                if (p->proc_fd < 0)
                        return -ENOENT;
                /* proc_fd is the root of a proc file system that we made: nothing in it is the image's. */
                fd = openat(p->proc_fd, s->key, O_WRONLY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                n = sys_write(fd, s->value, strlen(s->value));
                (void)sys_close(fd);
                if (n < 0)
                        return (int)n;
        }
        return 0;
}

/* ---- masked and read-only paths ---- */

/* One empty read-only tmpfs covers every masked directory: the first is made, the others are clones of it. */
static int mask_directory(int target, int *empty)
{
        static const struct rootfs_param params[] = {{"mode", "0555"}, {"nr_inodes", "1"}};
        struct child_note ignored;
        int tree, r;

        if (*empty < 0)
                tree = rootfs_fs_mount("tmpfs", NULL, params, 2,
                                       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                           MOUNT_ATTR_NOEXEC,
                                       &ignored);
        else
                tree = sys_open_tree(*empty, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
        if (tree < 0)
                return tree;
        r = rootfs_attach(tree, target);
        if (r == 0 && *empty < 0)
                *empty = tree;
        else
                (void)sys_close(tree);
        return r;
}

static int mask_file(int target)
{
        int tree = sys_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE), r;

        if (tree < 0)
                return tree;
        r = rootfs_attach(tree, target);
        (void)sys_close(tree);
        return r;
}

static int mask_path(const struct rootfs_plan *p, const char *path, int *empty)
{
        int target = path_open_in_root_raw(p->root_fd, path, O_PATH, 0), r;
        struct stat st;

        if (target == -ENOENT || target == -ENOTDIR)
                return 0;
        if (target < 0)
                return target;
        if (fstat(target, &st) < 0)
                r = -errno;
        else
                r = S_ISDIR(st.st_mode) ? mask_directory(target, empty) : mask_file(target);
        (void)sys_close(target);
        return r;
}

static int make_readonly(const struct rootfs_plan *p, const char *path)
{
        int target = path_open_in_root_raw(p->root_fd, path, O_PATH, 0), tree, r;

        if (target == -ENOENT || target == -ENOTDIR)
                return 0;
        if (target < 0)
                return target;
        tree = sys_open_tree(target, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE);
        r = tree < 0 ? tree
                     : sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_RDONLY,
                                         0, 0);
        if (r == 0)
                r = rootfs_attach(tree, target);
        if (tree >= 0)
                (void)sys_close(tree);
        (void)sys_close(target);
        return r;
}

int rootfs_child_paths(const struct rootfs_plan *p, struct child_note *note)
{
        int empty = -EBADF, r = 0;

        /* Read-only first: a clone taken later would have to carry the masks below it along. */
        for (size_t i = 0; i < p->n_readonly && r == 0; i++) {
                child_note_set(note, p->readonly_paths[i]);
                r = make_readonly(p, p->readonly_paths[i]);
        }
        for (size_t i = 0; i < p->n_masked && r == 0; i++) {
                child_note_set(note, p->masked[i]);
                r = mask_path(p, p->masked[i], &empty);
        }
        if (empty >= 0)
                (void)sys_close(empty);
        if (r == 0 && p->readonly) {
                child_note_set(note, "/");
                r = sys_mount_setattr(p->root_fd, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
        }
        return r;
}
