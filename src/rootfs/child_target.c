/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs/rootfs_internal.h"

#include "base/path.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Links that lead from a missing mount point to where it has to be made; as in "/etc/resolv.conf → ../run/…". */
#define TARGET_MAX_LINKS 16

/* Cut before a character that does not fit: half of one would make the message no text. */
static void note_copy(char *to, size_t size, const char *from)
{
        size_t len = strlen(from);

        if (len >= size) {
                len = size - 1;
                while (len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80)
                        len--;
        }
        memcpy(to, from, len);
        to[len] = '\0';
}

void child_note_set(struct child_note *n, const char *object)
{
        note_copy(n->object, sizeof(n->object), object);
}

void child_note_detail(struct child_note *n, const char *detail)
{
        note_copy(n->detail, sizeof(n->detail), detail);
}

/* Without a slash: 0, the root itself. */
static size_t target_parent_len(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? (size_t)(slash - path) : 0;
}

/*
 * @path names a link that leads nowhere, whose parent directory is @parent. Puts the place it leads to into @path.
 * -ENOENT when it is no link.
 */
static int target_follow(int parent, char path[PATH_MAX])
{
        char link[PATH_MAX];
        size_t dir = target_parent_len(path);
        ssize_t n = readlinkat(parent, path + dir + 1, link, sizeof(link) - 1);

        if (n < 0)
                return errno == EINVAL ? -ENOENT : -errno;
        link[n] = '\0';
        if (link[0] == '/')
                dir = 0;
        if (dir + 1 + (size_t)n + 1 > PATH_MAX)
                return -ENAMETOOLONG;
        path[dir] = '/';
        memcpy(path + dir + 1, link, (size_t)n + 1);
        return 0;
}

/* One attempt at an empty file. 1: @path was a link, and now says where it leads. */
static int target_try_file(int root, char path[PATH_MAX])
{
        size_t dir = target_parent_len(path);
        int parent, fd, r;

        path[dir] = '\0';
        parent = path_mkdir_in_root_raw(root, dir > 0 ? path : "/", 0755);
        path[dir] = '/';
        if (parent < 0)
                return parent;
        /* In-root once more, not relative to the parent: the name may be a link whose directory exists. */
        fd = path_open_in_root_raw(root, path, O_CREAT | O_WRONLY | O_NOCTTY | O_NONBLOCK, 0644);
        r = fd >= 0 ? 0 : fd;
        if (fd >= 0)
                (void)sys_close(fd);
        if (r == -ENOENT) {
                r = target_follow(parent, path);
                r = r < 0 ? r : 1;
        }
        (void)sys_close(parent);
        return r;
}

static int target_make_file(int root, const char *name)
{
        char path[PATH_MAX];
        size_t len = strlen(name);
        int r = 1;

        if (len + 1 >= sizeof(path) || name[0] != '/')
                return len + 1 >= sizeof(path) ? -ENAMETOOLONG : -EINVAL;
        memcpy(path, name, len + 1);
        for (int i = 0; i < TARGET_MAX_LINKS && r == 1; i++)
                r = target_try_file(root, path);
        if (r != 0)
                return r < 0 ? r : -ELOOP;
        return path_open_in_root_raw(root, path, O_PATH, 0);
}

int rootfs_target(int root, const char *path, bool directory, bool no_links)
{
        int fd;

        if (no_links) {
                fd = sys_openat2(root, path, O_PATH | O_DIRECTORY, 0,
                                 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
                if (fd != -ENOENT)
                        return fd;
                /* Somebody's dangling link would be followed by the mkdir: look again afterwards, strictly. */
                fd = path_mkdir_in_root_raw(root, path, 0755);
                if (fd < 0)
                        return fd;
                (void)sys_close(fd);
                return sys_openat2(root, path, O_PATH | O_DIRECTORY, 0,
                                   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
        }
        fd = path_open_in_root_raw(root, path, O_PATH, 0);
        if (fd != -ENOENT)
                return fd;
        if (directory)
                return path_mkdir_in_root_raw(root, path, 0755);
        return target_make_file(root, path);
}

int rootfs_target_parent(int root, const char *path, char *name)
{
        char parent[PATH_MAX];
        size_t dir = target_parent_len(path), len = strlen(path);

        if (path[0] != '/' || len - dir - 1 == 0 || len >= sizeof(parent))
                return -EINVAL;
        if (len - dir - 1 > NAME_MAX)
                return -ENAMETOOLONG;
        memcpy(parent, path, dir);
        parent[dir] = '\0';
        memcpy(name, path + dir + 1, len - dir);
        return path_mkdir_in_root_raw(root, dir > 0 ? parent : "/", 0755);
}

/* A link there stays one, and nothing is made behind it. */
static int target_nofollow(int root, const char *path, bool directory)
{
        char name[NAME_MAX + 1];
        int parent = rootfs_target_parent(root, path, name), fd;

        if (parent < 0)
                return parent;
        fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        fd = fd < 0 ? -errno : fd;
        (void)sys_close(parent);
        return fd == -ENOENT ? rootfs_target(root, path, directory, false) : fd;
}

int rootfs_op_target(const struct rootfs_plan *p, const struct rootfs_op *op, bool directory)
{
        if (op->target_nofollow)
                return target_nofollow(p->root_fd, op->target, directory);
        return rootfs_target(p->root_fd, op->target, directory, op->no_links);
}

int rootfs_attach(int tree, int target)
{
        struct stat from, to;
        int r =
            sys_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);

        /* A file on a directory, or the reverse, is -EINVAL here and -ENOTDIR by mount(2): only the latter says what is wrong. */
        if (r == -EINVAL && fstat(tree, &from) == 0 && fstat(target, &to) == 0 &&
            S_ISDIR(from.st_mode) != S_ISDIR(to.st_mode))
                return -ENOTDIR;
        return r;
}
