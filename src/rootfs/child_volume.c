/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlays, of the root and of single mounts, and what is mounted of a volume when only a part of it is wanted.
 *
 * A subpath was perhaps made by a container that ran before us: its links lead where they like. It is resolved as the container's root
 * (who may search what the volume's owners closed), beneath the volume's own mount, and by descriptor from there on. The kernel clones
 * only what is attached in our namespace (before 6.15), so the volume is attached over the data root for that moment.
 */
#include "base/fd.h"
#include "base/sys.h"
#include "rootfs/rootfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* By descriptor (Linux 6.13), else by the name that /proc gives it (6.8). -EINVAL where neither exists for @key. */
static int overlay_set_dir(int fs, const char *key, int dir)
{
        char path[FD_PATH_MAX];
        int r = sys_fsconfig_fd(fs, key, dir);

        if (r != -EINVAL)
                return r;
        return sys_fsconfig_string(fs, key, fd_path(dir, path));
}

static int overlay_config(int fs, const struct rootfs_overlay *p)
{
        int r = 0;

        for (size_t i = 0; i < p->n && r == 0; i++)
                r = overlay_set_dir(fs, "lowerdir+", p->fds[i]);
        if (r == -EINVAL)
                return -EOPNOTSUPP;
        if (r == 0 && p->upper_fd >= 0)
                r = overlay_set_dir(fs, "upperdir", p->upper_fd);
        if (r == 0 && p->upper_fd >= 0)
                r = overlay_set_dir(fs, "workdir", p->work_fd);
        if (r == 0)
                r = sys_fsconfig_string(fs, "source", "overlay");
        if (r == 0)
                r = sys_fsconfig_flag(fs, "userxattr");
        if (r == 0 && p->upper_fd >= 0 && p->is_volatile)
                r = sys_fsconfig_flag(fs, "volatile");
        return r == 0 ? sys_fsconfig_create(fs) : r;
}

int rootfs_overlay_new(const struct rootfs_overlay *p, struct child_note *note)
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
        return r;
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
int rootfs_overlay_old(const struct rootfs_overlay *p, int to)
{
        char data[4096], target[FD_PATH_MAX];
        size_t n;

        if (p->n * 8 > sizeof(data) - 256)
                return -E2BIG;
        if (chdir("/proc/self/fd") < 0)
                return -errno;
        n = put_text(data, "userxattr,lowerdir=");
        for (size_t i = 0; i < p->n; i++) {
                if (i > 0)
                        data[n++] = ':';
                n += put_number(data + n, p->fds[i]);
        }
        if (p->upper_fd >= 0) {
                n += put_text(data + n, ",upperdir=");
                n += put_number(data + n, p->upper_fd);
                n += put_text(data + n, ",workdir=");
                n += put_number(data + n, p->work_fd);
                if (p->is_volatile)
                        n += put_text(data + n, ",volatile");
        }
        data[n] = '\0';
        if (mount("overlay", fd_path(to, target), "overlay", 0, data) < 0)
                return -errno;
        return chdir("/") < 0 ? -errno : 0;
}

/* ---- single mounts ---- */

int rootfs_subpath(const struct rootfs_plan *p, int tree, const char *subpath, bool recursive)
{
        int r = rootfs_attach(tree, p->attach_fd), fd = -EBADF, part = -EBADF;

        if (r == 0) {
                fd = sys_openat2(tree, subpath, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
                part = fd < 0 ? fd
                              : sys_open_tree(fd, "",
                                              OPEN_TREE_CLONE | AT_EMPTY_PATH |
                                                  (recursive ? AT_RECURSIVE : 0U));
                if (fd >= 0)
                        (void)sys_close(fd);
                r = sys_umount(p->data_root, MNT_DETACH);
        }
        (void)sys_close(tree);
        if (r < 0 && part >= 0)
                (void)sys_close(part);
        return r < 0 ? r : part;
}

static int open_lower(int attach_fd, const char *path, struct child_note *note)
{
        int fd = openat(attach_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                child_note_set(note, path);
        return fd < 0 ? -errno : fd;
}

int rootfs_open_overlay(const struct rootfs_plan *p, const struct rootfs_op *op,
                        struct child_note *note)
{
        const char *const last[] = {op->upper, op->work};

        for (size_t i = 0; i < op->n_lowers + 2; i++) {
                const char *path = i < op->n_lowers ? op->lowers[i] : last[i - op->n_lowers];

                op->fds[i] = path ? open_lower(p->attach_fd, path, note) : -EBADF;
                if (path && op->fds[i] < 0)
                        return op->fds[i];
        }
        return 0;
}

int rootfs_overlay_tree(const struct rootfs_plan *p, const struct rootfs_op *op,
                        struct child_note *note)
{
        const struct rootfs_overlay o = {.fds = op->fds,
                                         .n = op->n_lowers,
                                         .upper_fd = op->fds[op->n_lowers],
                                         .work_fd = op->fds[op->n_lowers + 1]};
        int r;

        /* An overlay of a single directory and nothing above it is none: the directory itself, read-only. */
        if (o.n == 1 && o.upper_fd < 0)
                return -EINVAL;
        r = rootfs_overlay_new(&o, note);
        if (r == -EOPNOTSUPP) {
                r = rootfs_overlay_old(&o, p->attach_fd);
                if (r == 0)
                        r = sys_open_tree(AT_FDCWD, p->data_root, OPEN_TREE_CLONE);
                if (r >= 0 && sys_umount(p->data_root, MNT_DETACH) < 0)
                        return -EBUSY;
        }
        for (size_t i = 0; i < op->n_lowers + 2; i++) {
                if (op->fds[i] >= 0)
                        (void)sys_close(op->fds[i]);
        }
        return r;
}
