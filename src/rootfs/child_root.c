/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "base/sys.h"
#include "rootfs/rootfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const rootfs_dev_names[ROOTFS_DEV_NODES] = {"null",   "zero",    "full",
                                                        "random", "urandom", "tty"};

/* ---- sources ---- */

static int open_dir(int dirfd, const char *path, struct child_note *note)
{
        int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0) {
                child_note_set(note, path);
                return -errno;
        }
        return fd;
}

static int open_clone(const char *path, unsigned flags, struct child_note *note)
{
        int fd = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | flags);

        if (fd < 0)
                child_note_set(note, path);
        return fd;
}

static int open_root(struct rootfs_plan *p, struct child_note *note)
{
        p->attach_fd = open_dir(AT_FDCWD, p->data_root, note);
        if (p->attach_fd < 0)
                return p->attach_fd;
        if (p->root == ROOTFS_ROOT_MOUNT) {
                p->root_fd = p->mount_fd;
                return 0;
        }
        if (p->root == ROOTFS_ROOT_CHROOT) {
                p->root_fd = p->attach_fd;
                return 0;
        }
        if (p->root == ROOTFS_ROOT_BIND) {
                p->root_fd = open_clone(p->bind, p->bind_recursive ? AT_RECURSIVE : 0U, note);
                return p->root_fd < 0 ? p->root_fd : 0;
        }
        for (size_t i = 0; i < p->n_layers; i++) {
                p->layer_fds[i] = open_dir(p->attach_fd, p->layers[i], note);
                if (p->layer_fds[i] < 0)
                        return p->layer_fds[i];
        }
        if (!p->upper)
                return 0;
        p->upper_fd = open_dir(p->attach_fd, p->upper, note);
        if (p->upper_fd < 0)
                return p->upper_fd;
        p->work_fd = open_dir(p->attach_fd, p->work, note);
        return p->work_fd < 0 ? p->work_fd : 0;
}

static int open_dev_nodes(struct rootfs_plan *p, struct child_note *note)
{
        for (size_t i = 0; i < ROOTFS_DEV_NODES; i++) {
                char path[16] = "/dev/";

                memcpy(path + 5, rootfs_dev_names[i], strlen(rootfs_dev_names[i]) + 1);
                p->dev_trees[i] = open_clone(path, 0, note);
                if (p->dev_trees[i] < 0)
                        return p->dev_trees[i];
        }
        return 0;
}

static int set_soft_nofile(rlim_t soft)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        limit.rlim_cur = MIN(soft, limit.rlim_max);
        return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

/* A deep image needs more descriptors than the customary 1024. The container is not to notice: rootfs_child_limits(). */
static int raise_nofile(struct child_note *note)
{
        child_note_set(note, "RLIMIT_NOFILE");
        return set_soft_nofile(RLIM_INFINITY);
}

int rootfs_child_limits(const struct rootfs_plan *p)
{
        return p->raise_nofile ? set_soft_nofile(p->soft_nofile) : 0;
}

/* The source of an operation; -EBADF for those that have none. */
static int open_source(struct rootfs_plan *p, size_t i, struct child_note *note)
{
        const struct rootfs_op *op = &p->ops[i];

        if (op->kind == ROOTFS_OP_OVERLAY)
                return rootfs_open_overlay(p, op, note);
        if (op->kind != ROOTFS_OP_BIND || op->prepared || p->trees[i] >= 0)
                return 0;
        if (op->of_ipc) {
                p->trees[i] = p->shm_fd;
                return 0;
        }
        p->trees[i] = open_clone(op->source,
                                 (op->recursive ? AT_RECURSIVE : 0U) |
                                     (op->source_nofollow ? (unsigned)AT_SYMLINK_NOFOLLOW : 0U),
                                 note);
        if (p->trees[i] < 0 && !(p->trees[i] == -ENOENT && op->or_skip))
                return p->trees[i];
        return 0;
}

/*
 * What goes on sharing its mounts with the host's, in both directions, is cloned while that is still so. Then nothing that we mount may be
 * seen outside. In a new user namespace the kernel has done this already.
 */
static int detach_from_host(struct rootfs_plan *p, struct child_note *note)
{
        int r = 0;

        for (size_t i = 0; i < p->n_ops && r == 0 && p->share; i++) {
                if (p->ops[i].propagation == MS_SHARED)
                        r = open_source(p, i, note);
        }
        if (r < 0)
                return r;
        child_note_set(note, "/");
        return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
}

static int open_devices(struct rootfs_plan *p, struct child_note *note)
{
        for (size_t i = 0; i < p->n_devices; i++) {
                if (!p->devices[i].host)
                        continue;
                p->device_trees[i] = open_clone(p->devices[i].host, 0, note);
                if (p->device_trees[i] < 0)
                        return p->device_trees[i];
        }
        return 0;
}

int rootfs_child_open(struct rootfs_plan *p, struct child_note *note)
{
        bool dev = false;
        int r;

        if (p->root == ROOTFS_ROOT_CHROOT)
                return open_root(p, note);
        r = detach_from_host(p, note);
        if (r == 0 && p->raise_nofile)
                r = raise_nofile(note);
        if (r == 0)
                r = open_root(p, note);
        for (size_t i = 0; i < p->n_ops && r == 0; i++) {
                dev = dev || p->ops[i].is_dev;
                r = open_source(p, i, note);
        }
        for (size_t i = 0; i < p->n_secrets && r == 0; i++) {
                child_note_set(note, p->secrets[i].source);
                p->secret_fds[i] = open(p->secrets[i].source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
                r = p->secret_fds[i] < 0 ? -errno : 0;
        }
        if (r == 0 && dev)
                r = open_dev_nodes(p, note);
        return r == 0 ? open_devices(p, note) : r;
}

/* ---- root ---- */

int rootfs_fs_mount(const char *fs, const char *source, const struct rootfs_param *params, size_t n,
                    uint64_t attrs, struct child_note *note)
{
        int fd = sys_fsopen(fs), r = 0;

        if (fd < 0)
                return fd;
        r = sys_fsconfig_string(fd, "source", source ? source : fs);
        for (size_t i = 0; i < n && r == 0; i++) {
                r = params[i].value ? sys_fsconfig_string(fd, params[i].key, params[i].value)
                                    : sys_fsconfig_flag(fd, params[i].key);
        }
        if (r == 0)
                r = sys_fsconfig_create(fd);
        if (r == 0)
                r = sys_fsmount(fd, (unsigned)attrs);
        if (r < 0)
                sys_fs_message(fd, note->detail, sizeof(note->detail));
        (void)sys_close(fd);
        return r;
}

static int overlay_mount(struct rootfs_plan *p, struct child_note *note)
{
        const struct rootfs_overlay o = {.fds = p->layer_fds,
                                         .n = p->n_layers,
                                         .upper_fd = p->upper ? p->upper_fd : -EBADF,
                                         .work_fd = p->upper ? p->work_fd : -EBADF,
                                         .is_volatile = p->is_volatile};
        int r;

        child_note_set(note, "overlay");
        r = p->root_fd = rootfs_overlay_new(&o, note);
        if (r >= 0) {
                r = rootfs_attach(p->root_fd, p->attach_fd);
        } else if (r == -EOPNOTSUPP) {
                r = rootfs_overlay_old(&o, p->attach_fd);
                if (r == 0)
                        r = p->root_fd = open_dir(AT_FDCWD, p->data_root, note);
        }
        /* 500 descriptors less to carry along. */
        for (size_t i = 0; i < p->n_layers; i++)
                (void)sys_close(p->layer_fds[i]);
        return r < 0 ? r : 0;
}

int rootfs_child_mount_root(struct rootfs_plan *p, struct child_note *note)
{
        if (p->root == ROOTFS_ROOT_OVERLAY)
                return overlay_mount(p, note);
        if (p->root == ROOTFS_ROOT_CHROOT)
                return 0;
        child_note_set(note, p->bind ? p->bind : "/");
        return rootfs_attach(p->root_fd, p->attach_fd);
}

/* ---- pivot ---- */

/* With both names the same, the old root ends up stacked on the new one, and needs no directory in the image. */
static int pivot(void)
{
        int r = sys_pivot_root(".", ".");

        return r < 0 ? r : sys_umount(".", MNT_DETACH);
}

/*
 * On a root that cannot be pivoted away, as the kernel's first one (initramfs): over it, then down into it. What lies under it stays in
 * the namespace, and a /proc or /sys there would entitle a user namespace inside the container to new ones without masks: they go, or
 * are covered where they are locked.
 */
static int move_over(const struct rootfs_plan *p, struct child_note *note)
{
        static const struct rootfs_param params[] = {{"mode", "0555"}, {"nr_inodes", "1"}};
        int r;

        for (size_t i = 0; i < p->n_reveal; i++) {
                int tree;

                child_note_set(note, p->reveal[i]);
                r = sys_umount(p->reveal[i], MNT_DETACH);
                if (r == 0 || r == -ENOENT)
                        continue;
                tree = rootfs_fs_mount("tmpfs", NULL, params, 2, MOUNT_ATTR_RDONLY, note);
                if (tree < 0)
                        return tree;
                r = sys_move_mount(tree, "", AT_FDCWD, p->reveal[i], MOVE_MOUNT_F_EMPTY_PATH);
                (void)sys_close(tree);
                if (r < 0)
                        return r;
        }
        child_note_set(note, "/");
        return sys_move_mount(p->root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
}

int rootfs_child_pivot(const struct rootfs_plan *p, struct child_note *note)
{
        int r = 0;

        child_note_set(note, "/");
        if (p->no_pivot)
                r = move_over(p, note);
        if (r < 0)
                return r;
        if (fchdir(p->root_fd) < 0)
                return -errno;
        /* No boundary, and not meant as one: whoever asks for this goes without. */
        if (p->no_pivot || p->root == ROOTFS_ROOT_CHROOT)
                r = chroot(".") < 0 ? -errno : 0;
        else
                r = pivot();
        if (r < 0)
                return r;
        if (chdir("/") < 0)
                return -errno;
        /* Not earlier: of a root that is shared the kernel makes no new root. */
        return p->propagation ? sys_mount(NULL, "/", NULL, p->propagation, NULL) : 0;
}
