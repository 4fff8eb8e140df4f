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

static int open_clone(const char *path, bool recursive, struct child_note *note)
{
        int fd = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0U));

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
        if (p->root == ROOTFS_ROOT_BIND) {
                p->root_fd = open_clone(p->bind, p->bind_recursive, note);
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
                p->dev_trees[i] = open_clone(path, false, note);
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

int rootfs_child_open(struct rootfs_plan *p, struct child_note *note)
{
        bool dev = false;
        int r;

        /* Nothing that we mount may be seen outside. In a new user namespace the kernel has done this already. */
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
                child_note_set(note, "/");
                return -errno;
        }
        r = p->raise_nofile ? raise_nofile(note) : 0;
        if (r == 0)
                r = open_root(p, note);
        for (size_t i = 0; i < p->n_ops && r == 0; i++) {
                const struct rootfs_op *op = &p->ops[i];

                dev = dev || op->is_dev;
                if (op->kind != ROOTFS_OP_BIND)
                        continue;
                p->trees[i] = open_clone(op->source, op->recursive, note);
                if (p->trees[i] < 0 && !(p->trees[i] == -ENOENT && op->or_skip))
                        r = p->trees[i];
        }
        if (r == 0 && dev)
                r = open_dev_nodes(p, note);
        return r;
}

/* ---- root ---- */

int rootfs_fs_mount(const char *fs, const struct rootfs_param *params, size_t n, uint64_t attrs,
                    struct child_note *note)
{
        int fd = sys_fsopen(fs), r = 0;

        if (fd < 0)
                return fd;
        /* Only for the eye, in /proc/mounts. */
        r = sys_fsconfig_string(fd, "source", fs);
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

/* By descriptor (Linux 6.13), else by the name that /proc gives it (6.8). -EINVAL where neither exists for @key. */
static int overlay_set_dir(int fs, const char *key, int dir)
{
        char path[FD_PATH_MAX];
        int r = sys_fsconfig_fd(fs, key, dir);

        if (r != -EINVAL)
                return r;
        return sys_fsconfig_string(fs, key, fd_path(dir, path));
}

static int overlay_config(int fs, const struct rootfs_plan *p)
{
        int r = 0;

        for (size_t i = 0; i < p->n_layers && r == 0; i++)
                r = overlay_set_dir(fs, "lowerdir+", p->layer_fds[i]);
        if (r == -EINVAL)
                return -EOPNOTSUPP;
        if (r == 0 && p->upper)
                r = overlay_set_dir(fs, "upperdir", p->upper_fd);
        if (r == 0 && p->upper)
                r = overlay_set_dir(fs, "workdir", p->work_fd);
        if (r == 0)
                r = sys_fsconfig_string(fs, "source", "overlay");
        if (r == 0)
                r = sys_fsconfig_flag(fs, "userxattr");
        if (r == 0 && p->upper && p->is_volatile)
                r = sys_fsconfig_flag(fs, "volatile");
        return r == 0 ? sys_fsconfig_create(fs) : r;
}

/* The way of the new mount interface. -EOPNOTSUPP: this kernel knows no "lowerdir+". */
static int overlay_mount_new(struct rootfs_plan *p, struct child_note *note)
{
        int fs = sys_fsopen("overlay"), r;

        if (fs < 0)
                return fs;
        r = overlay_config(fs, p);
        if (r == 0)
                r = sys_fsmount(fs, 0);
        if (r < 0)
                sys_fs_message(fs, note->detail, sizeof(note->detail));
        (void)sys_close(fs);
        if (r < 0)
                return r;
        p->root_fd = r;
        return rootfs_attach(p->root_fd, p->attach_fd);
}

static size_t put_number(char *at, int value)
{
        char path[FD_PATH_MAX];
        const char *digits = strrchr(fd_path(value, path), '/') + 1;
        size_t n = strlen(digits);

        memcpy(at, digits, n);
        return n;
}

static size_t put_text(char *at, const char *text)
{
        size_t n = strlen(text);

        memcpy(at, text, n);
        return n;
}

/*
 * Kernels before 6.8: one mount(2), whose data is one page at most. With the current directory in /proc/self/fd a
 * directory's name is just its number, so 500 layers take 2000 bytes.
 */
static int overlay_mount_old(struct rootfs_plan *p)
{
        char data[4096], target[FD_PATH_MAX];
        size_t n;

        if (p->n_layers * 8 > sizeof(data) - 256)
                return -E2BIG;
        if (chdir("/proc/self/fd") < 0)
                return -errno;
        n = put_text(data, "userxattr,lowerdir=");
        for (size_t i = 0; i < p->n_layers; i++) {
                if (i > 0)
                        data[n++] = ':';
                n += put_number(data + n, p->layer_fds[i]);
        }
        if (p->upper) {
                n += put_text(data + n, ",upperdir=");
                n += put_number(data + n, p->upper_fd);
                n += put_text(data + n, ",workdir=");
                n += put_number(data + n, p->work_fd);
                if (p->is_volatile)
                        n += put_text(data + n, ",volatile");
        }
        data[n] = '\0';
        if (mount("overlay", fd_path(p->attach_fd, target), "overlay", 0, data) < 0)
                return -errno;
        if (chdir("/") < 0)
                return -errno;
        p->root_fd = open(p->data_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return p->root_fd < 0 ? -errno : 0;
}

static int overlay_mount(struct rootfs_plan *p, struct child_note *note)
{
        int r;

        child_note_set(note, "overlay");
        r = overlay_mount_new(p, note);
        if (r == -EOPNOTSUPP)
                r = overlay_mount_old(p);
        /* 500 descriptors less to carry along. */
        for (size_t i = 0; i < p->n_layers; i++)
                (void)sys_close(p->layer_fds[i]);
        return r;
}

int rootfs_child_mount_root(struct rootfs_plan *p, struct child_note *note)
{
        if (p->root == ROOTFS_ROOT_OVERLAY)
                return overlay_mount(p, note);
        child_note_set(note, p->bind ? p->bind : "/");
        return rootfs_attach(p->root_fd, p->attach_fd);
}

/* ---- pivot ---- */

int rootfs_child_pivot(const struct rootfs_plan *p, struct child_note *note)
{
        int r;

        child_note_set(note, "/");
        if (fchdir(p->root_fd) < 0)
                return -errno;
        /* With both names the same, the old root ends up stacked on the new one, and needs no directory in the image. */
        r = sys_pivot_root(".", ".");
        if (r < 0)
                return r;
        r = sys_umount(".", MNT_DETACH);
        if (r < 0)
                return r;
        return chdir("/") < 0 ? -errno : 0;
}
