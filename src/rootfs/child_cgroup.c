/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/fs/cgroup of a host with cgroup v1: a tmpfs with a directory for each hierarchy. In a cgroup namespace of the container's own the
 * hierarchies are mounted and begin at the container's cgroup by themselves; else that cgroup, which the process is in by now, is bound.
 */
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

#define CGROUP_FILE_MAX 16384

/* "ID:controllers:path" of /proc/self/cgroup: @path, of PATH_MAX bytes, gets the path of @controllers. */
static int own_path(const char *controllers, char *path)
{
        char text[CGROUP_FILE_MAX];
        size_t len = 0, n = strlen(controllers);
        int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        while (len < sizeof(text) - 1) {
                ssize_t got = sys_read(fd, text + len, sizeof(text) - 1 - len);

                if (got <= 0)
                        break;
                len += (size_t)got;
        }
        (void)sys_close(fd);
        text[len] = '\0';
        for (char *line = text, *end; *line; line = end + 1) {
                char *at = strchr(line, ':');

                end = strchr(line, '\n');
                if (!end)
                        break;
                *end = '\0';
                if (!at || strncmp(at + 1, controllers, n) != 0 || at[1 + n] != ':')
                        continue;
                if (strlen(at + n + 2) >= PATH_MAX)
                        return -ENAMETOOLONG;
                memcpy(path, at + n + 2, strlen(at + n + 2) + 1);
                return 0;
        }
        return -ENOENT;
}

/* What is mounted on the host may itself begin below the hierarchy's root. */
static const char *below(const char *path, const char *root)
{
        size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

        if (strncmp(path, root, n) != 0 || strncmp(path, "/..", 3) == 0)
                return "";
        path += n;
        while (*path == '/')
                path++;
        return path;
}

static int bind_own(const struct rootfs_cgroup *c)
{
        char path[PATH_MAX];
        const char *part;
        int r = own_path(c->controllers, path), base, fd, tree;

        if (r < 0)
                return r;
        base = open(c->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (base < 0)
                return -errno;
        part = below(path, c->root);
        fd = sys_openat2(base, *part ? part : ".", O_PATH | O_DIRECTORY, 0, RESOLVE_BENEATH);
        (void)sys_close(base);
        if (fd < 0)
                return fd;
        tree = sys_open_tree(fd, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
        (void)sys_close(fd);
        return tree;
}

static int hierarchy(const struct rootfs_op *op, const struct rootfs_cgroup *c, int base,
                     struct child_note *note)
{
        int tree = -EPERM, r;

        child_note_set(note, c->controllers);
        if (op->cgroup_ns)
                tree = rootfs_fs_mount("cgroup", NULL, c->params, c->n_params, 0, note);
        if (tree == -EPERM || tree == -EBUSY)
                tree = bind_own(c);
        if (tree < 0)
                return tree;
        r = rootfs_set_attrs(op, tree, note);
        if (r == 0 && mkdirat(base, c->dir, 0755) < 0)
                r = -errno;
        if (r == 0)
                r = sys_move_mount(tree, "", base, c->dir, MOVE_MOUNT_F_EMPTY_PATH);
        (void)sys_close(tree);
        for (size_t i = 0; i < c->n_links && r == 0; i++)
                r = symlinkat(c->dir, base, c->links[i]) < 0 ? -errno : 0;
        return r;
}

int rootfs_op_cgroup1(const struct rootfs_plan *p, const struct rootfs_op *op,
                      struct child_note *note)
{
        static const struct rootfs_param params[] = {{"mode", "755"}};
        int target = rootfs_op_target(p, op, true), base, r;

        if (target < 0)
                return target;
        base = rootfs_fs_mount("tmpfs", "cgroup", params, 1,
                               op->attrs & ~(uint64_t)MOUNT_ATTR_RDONLY, note);
        r = base < 0 ? base : rootfs_attach(base, target);
        for (size_t i = 0; i < op->n_cgroups && r == 0; i++)
                r = hierarchy(op, &op->cgroups[i], base, note);
        if (r == 0 && (op->attrs & MOUNT_ATTR_RDONLY))
                r = sys_mount_setattr(base, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
        if (base >= 0)
                (void)sys_close(base);
        (void)sys_close(target);
        return r;
}
