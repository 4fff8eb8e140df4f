/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying an image's directory into a fresh tmpfs ("tmpcopyup"), in the child: the stack is all the memory there is, so the
 * depth is bounded and each level has one buffer for names. Both trees are ours alone at this time: the image is mounted
 * privately and no process of the container runs yet; links are still never followed.
 */
#include "base/sys.h"
#include "rootfs/rootfs_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COPY_MAX_DEPTH 64

static int copy_level(int from, int to, int depth);

int rootfs_copy_bytes(int in, int out)
{
        ssize_t n;

        do
                n = sendfile(out, in, NULL, 1 << 20);
        while (n > 0 || (n < 0 && errno == EINTR));
        return n < 0 ? -errno : 0;
}

static int copy_file(int from, int to, const char *name)
{
        int in, out, r;

        in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (in < 0)
                return -errno;
        out = openat(to, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
        r = out < 0 ? -errno : rootfs_copy_bytes(in, out);
        if (out >= 0)
                (void)sys_close(out);
        (void)sys_close(in);
        return r;
}

static int copy_link(int from, int to, const char *name)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

        if (n < 0)
                return -errno;
        target[n] = '\0';
        return symlinkat(target, to, name) < 0 ? -errno : 0;
}

static int copy_dir(int from, int to, const char *name, int depth)
{
        int in, out, r;

        if (mkdirat(to, name, 0700) < 0)
                return -errno;
        in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (in < 0)
                return -errno;
        out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = out < 0 ? -errno : copy_level(in, out, depth + 1);
        if (out >= 0)
                (void)sys_close(out);
        (void)sys_close(in);
        return r;
}

static int copy_entry(int from, int to, const char *name, int depth)
{
        struct stat st;
        int r;

        if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISREG(st.st_mode))
                r = copy_file(from, to, name);
        else if (S_ISLNK(st.st_mode))
                r = copy_link(from, to, name);
        else if (S_ISDIR(st.st_mode))
                r = copy_dir(from, to, name, depth);
        else
                return 0;
        if (r < 0)
                return r;
        /* Owner first: a change of owner takes setuid bits away. */
        if (fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISLNK(st.st_mode) && fchmodat(to, name, st.st_mode & 07777, 0) < 0)
                return -errno;
        return 0;
}

static int copy_level(int from, int to, int depth)
{
        char buf[4096] __attribute__((aligned(8)));
        int r = 0;

        if (depth > COPY_MAX_DEPTH)
                return -ELOOP;
        for (;;) {
                long n = syscall(SYS_getdents64, from, buf, sizeof(buf));

                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0;
                for (long at = 0; at < n && r == 0;) {
                        const struct dirent64 *d = (const struct dirent64 *)(buf + at);

                        at += d->d_reclen;
                        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
                                r = copy_entry(from, to, d->d_name, depth);
                }
                if (r < 0)
                        return r;
        }
}

int rootfs_copy_tree(int from, int to)
{
        return copy_level(from, to, 0);
}
