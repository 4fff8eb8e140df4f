/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets — theory of operation
 *   Each is a file of its own in memory, mounted where the container looks for it: nothing of it is written to the container's layer, nor to
 *   what the user has mounted there. The file system that they are made in is seen by nobody: it is attached over the root, under which
 *   the root is still reached by its descriptor, since the kernel clones files only of what is attached, and is taken
 *   away before the pivot. What it held lives on in the mounts.
 */
#include "base/sys.h"
#include "rootfs/rootfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static int write_secret(const struct rootfs_secret *s, int in, int home)
{
        int out = openat(home, "secret", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600), r;

        if (out < 0)
                return -errno;
        r = rootfs_copy_bytes(in, out);
        if (r == 0 && (fchown(out, s->uid, s->gid) < 0 || fchmod(out, s->mode) < 0))
                r = -errno;
        (void)sys_close(out);
        return r;
}

static int mount_secret(int target, int home)
{
        int tree = sys_open_tree(home, "secret", OPEN_TREE_CLONE), r;

        if (tree < 0)
                return tree;
        r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, SECRET_ATTRS, 0, MS_PRIVATE);
        if (r == 0)
                r = rootfs_attach(tree, target);
        (void)sys_close(tree);
        if (r == 0 && unlinkat(home, "secret", 0) < 0)
                r = -errno;
        return r;
}

static int take_home_away(int home)
{
        if (fchdir(home) < 0)
                return -errno;
        return sys_umount(".", MNT_DETACH);
}

static int open_targets(const struct rootfs_plan *p, struct child_note *note)
{
        for (size_t i = 0; i < p->n_secrets; i++) {
                child_note_set(note, p->secrets[i].target);
                p->secret_targets[i] =
                    rootfs_target(p->root_fd, p->secrets[i].target, false, false);
                if (p->secret_targets[i] < 0)
                        return p->secret_targets[i];
        }
        return 0;
}

int rootfs_child_secrets(const struct rootfs_plan *p, struct child_note *note)
{
        static const struct rootfs_param params[] = {{"mode", "0700"}};
        int home = rootfs_fs_mount("tmpfs", NULL, params, 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                                   note),
            r;

        if (home < 0)
                return home;
        /* Before it is attached: a link with ".." in it would lead onto what lies over the root, even for a look-up that cannot leave it. */
        r = open_targets(p, note);
        if (r == 0)
                r = rootfs_attach(home, p->root_fd);
        for (size_t i = 0; i < p->n_secrets && r == 0; i++) {
                child_note_set(note, p->secrets[i].target);
                r = write_secret(&p->secrets[i], p->secret_fds[i], home);
                if (r == 0)
                        r = mount_secret(p->secret_targets[i], home);
                (void)sys_close(p->secret_targets[i]);
                (void)sys_close(p->secret_fds[i]);
        }
        if (r == 0)
                r = take_home_away(home);
        (void)sys_close(home);
        return r;
}
