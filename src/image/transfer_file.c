/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, links and fifos of a transfer. A file is written without a name, so that not even kill -9 leaves a part of it; where the file system
 * cannot do that, under a name of its own. What has the final name already is replaced by a rename, which a mount point
 * refuses: such a file (/etc/hosts of a running container) is written in its place.
 */
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "base/random_id.h"
#include "idmap/idmap.h"
#include "image/kernel_fs.h"
#include "image/layer_internal.h"
#include "image/tool.h"
#include "image/transfer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CHUNK    ((uint64_t)32 * 1024 * 1024) /* between two looks at whether we are to stop */
#define TEMP_MAX 32

int transfer_fail(const struct transfer_item *i, int errnum, const char *doing, struct err **reterr)
{
        int r = err_sys(reterr, errnum, "'%s': %s", i->path, doing);

        if (errnum == EROFS)
                (void)err_hint(reterr, r,
                               "the destination is read-only: a volume or tmpfs of the container "
                               "can be written to, if it has one");
        return r;
}

void transfer_leave(struct transfer *x, enum transfer_left what, const char *path)
{
        if (x->left[what]++ == 0)
                (void)snprintf(x->first[what], sizeof(x->first[what]), "%.250s", path);
}

/* ---- attributes ---- */

static uint32_t translate(const struct id_map *from, const struct id_map *to, uint32_t id,
                          uint32_t fallback)
{
        uint32_t v = from ? id_map_to_inside(from, id) : id;

        if (v != ID_NONE && to)
                v = from ? id_map_to_outside(to, v)
                         : (id_map_to_inside(to, v) == ID_NONE ? ID_NONE : v);
        return v == ID_NONE ? fallback : v;
}

/* False: its owner is to be as it comes. */
static bool wanted_owner(const struct transfer *x, const struct stat *st, uid_t *uid, gid_t *gid)
{
        *uid = x->uid;
        *gid = x->gid;
        if (x->keep) {
                *uid = translate(x->from_uid, x->to_uid, st->st_uid, x->uid);
                *gid = translate(x->from_gid, x->to_gid, st->st_gid, x->gid);
        }
        return x->keep || x->own;
}

/* A mount may refuse owners (network, FAT): the files are there all the same, and the user is told. */
static bool owner_is_refused(int errnum)
{
        return errnum == EPERM || errnum == EINVAL || errnum == EOVERFLOW || errnum == EOPNOTSUPP;
}

static int set_owner(struct transfer *x, const struct transfer_item *i, int fd, struct err **reterr)
{
        struct stat now;
        uid_t uid;
        gid_t gid;

        if (!wanted_owner(x, &i->st, &uid, &gid) ||
            (fstat(fd, &now) == 0 && now.st_uid == uid && now.st_gid == gid) ||
            fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0)
                return 0;
        if (!owner_is_refused(errno))
                return transfer_fail(i, errno, "set the owner", reterr);
        transfer_leave(x, TRANSFER_OWNER, i->path);
        return 0;
}

/* A setuid bit means its owner: it goes where the owner does not. */
static mode_t wanted_mode(const struct transfer *x, const struct transfer_item *i, int fd)
{
        mode_t mode = i->st.st_mode & 07777;

        if ((mode & 06000) && !transfer_keeps_setid(x, S_ISDIR(i->st.st_mode) ? fd : i->to))
                mode &= 01777;
        /* Nor does it go on to another owner: one that has no place here, or was refused. */
        if (x->keep && (mode & 06000) && !S_ISDIR(i->st.st_mode)) {
                struct stat now;

                if (fstat(fd, &now) < 0)
                        return mode & 01777;
                if (now.st_uid != translate(x->from_uid, x->to_uid, i->st.st_uid, ID_NONE))
                        mode &= ~(mode_t)04000;
                if (now.st_gid != translate(x->from_gid, x->to_gid, i->st.st_gid, ID_NONE))
                        mode &= ~(mode_t)02000;
        }
        return mode;
}

int transfer_attributes(struct transfer *x, const struct transfer_item *i, int from, int fd,
                        struct err **reterr)
{
        struct timespec ts[2] = {i->st.st_mtim, i->st.st_mtim};
        int r = set_owner(x, i, fd, reterr);

        if (r < 0)
                return r;
        if (fchmod(fd, wanted_mode(x, i, fd)) < 0)
                return transfer_fail(i, errno, "set the mode", reterr);
        r = x->keep && from >= 0 ? layer_copy_xattrs(from, fd, false) : 0;
        if (r < 0 && r != -ENOTSUP && r != -EPERM)
                return transfer_fail(i, -r, "extended attributes", reterr);
        (void)futimens(fd, ts);
        return 0;
}

/* ---- the name ---- */

static void temporary_name(char ret[TEMP_MAX])
{
        char id[65];

        random_id(id);
        (void)snprintf(ret, TEMP_MAX, ".kelp-cp-%.16s", id);
}

int transfer_make_room(struct transfer *x, const struct transfer_item *i, struct err **reterr)
{
        bool dir = S_ISDIR(i->st.st_mode);
        struct stat there;
        int r;

        if (fstatat(i->to, i->to_name, &there, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0
                                       : transfer_fail(i, errno, "look at the destination", reterr);
        if (S_ISCHR(there.st_mode) || S_ISBLK(there.st_mode))
                return err_new(reterr, ERR_EXISTS,
                               "'%s': the destination has a device of that name", i->path);
        if (S_ISDIR(there.st_mode) == dir)
                return dir;
        if (x->overwrite)
                return path_remove_tree(i->to, i->to_name, reterr);
        r = err_new(reterr, ERR_EXISTS,
                    dir ? "'%s' is a directory, and the destination has something else of that name"
                        : "'%s' is no directory, and the destination has a directory of that name",
                    i->path);
        return err_hint(reterr, r, "--overwrite replaces it");
}

/* @made exists under a name of its own. */
static int put_in_place(const struct transfer_item *i, const char *made)
{
        if (renameat(i->to, made, i->to, i->to_name) == 0)
                return 0;
        return -errno;
}

/* ---- content ---- */

/* The next piece of data, of what was there in the beginning: *at moves to it, over the hole in front of it. 0: no more, *at is the end. It may
 * have become shorter. */
static uint64_t next_piece(int fd, uint64_t *at, uint64_t end)
{
        struct stat now;
        off_t data, hole;

        if (fstat(fd, &now) < 0)
                return 0;
        end = MIN(end, (uint64_t)now.st_size);
        if (*at >= end)
                return 0;
        data = lseek(fd, (off_t)*at, SEEK_DATA);
        if (data < 0 ? errno == ENXIO : (uint64_t)data >= end) {
                *at = end;
                return 0;
        }
        if (data >= 0) /* else the file system knows of no holes */
                *at = (uint64_t)data;
        hole = lseek(fd, (off_t)*at, SEEK_HOLE);
        if (hole > 0 && (uint64_t)hole > *at)
                end = MIN(end, (uint64_t)hole);
        return MIN(end - *at, CHUNK);
}

static int too_large(const struct transfer_item *i, uint64_t size, int errnum, struct err **reterr)
{
        int r = err_sys(reterr, errnum, "'%s': make a file of %llu bytes", i->path,
                        (unsigned long long)size);

        if (errnum == EFBIG || errnum == EINVAL)
                (void)err_hint(reterr, r,
                               "the file system that it is copied to has no files of that size");
        return r;
}

static int copy_piece(const struct transfer_item *i, int from, int to, uint64_t at, uint64_t n,
                      struct err **reterr)
{
        int r;

        if (lseek(from, (off_t)at, SEEK_SET) < 0 || lseek(to, (off_t)at, SEEK_SET) < 0)
                return transfer_fail(i, errno, "copy", reterr);
        r = io_copy(from, to, n, reterr);
        return r < 0 ? err_wrap(reterr, r, "'%s'", i->path) : 0;
}

/* The size comes first: one that the destination cannot have costs no work, and what is not written is a hole. */
static int copy_content(struct transfer *x, const struct transfer_item *i, int from, int to,
                        struct err **reterr)
{
        uint64_t end = (uint64_t)i->st.st_size, at = 0, n, before = x->bytes;

        if (kernel_fs_makes_up(from, &i->st)) {
                int64_t made = kernel_fs_copy(from, to);

                return made < 0 ? transfer_fail(i, (int)-made, "copy", reterr) : 0;
        }
        if (end == 0)
                return 0;
        if (ioctl(to, FICLONE, from) == 0) {
                x->bytes += end;
                return 0;
        }
        if (ftruncate(to, (off_t)end) < 0)
                return too_large(i, end, errno, reterr);
        while ((n = next_piece(from, &at, end)) > 0) {
                int r = copy_piece(i, from, to, at, n, reterr);

                if (r >= 0 && tool_interrupted(x->t))
                        r = tool_interrupted_error(reterr);
                if (r < 0)
                        return r;
                at += n;
                x->bytes = before + at;
                tool_progress(x->t, x->bytes);
        }
        x->bytes = before + at;
        return ftruncate(to, (off_t)at) < 0 ? transfer_fail(i, errno, "set the size", reterr) : 0;
}

/* ---- kinds ---- */

/* On a mount point: its file keeps owner and mode. */
static int write_in_place(struct transfer *x, const struct transfer_item *i, int from,
                          struct err **reterr)
{
        AUTO_CLOSE int to =
            openat(i->to, i->to_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;

        if (to < 0 || fstat(to, &st) < 0)
                return transfer_fail(i, errno, "write to it", reterr);
        if (!S_ISREG(st.st_mode))
                return transfer_fail(i, EBUSY, "replace it", reterr);
        if (ftruncate(to, 0) < 0 || lseek(from, 0, SEEK_SET) < 0)
                return transfer_fail(i, errno, "write to it", reterr);
        return copy_content(x, i, from, to, reterr);
}

static int name_it(const struct transfer_item *i, int fd, const char *temp, bool *linked)
{
        char proc[FD_PATH_MAX];

        if (!*linked) {
                fd_path(fd, proc);
                if (linkat(AT_FDCWD, proc, i->to, i->to_name, AT_SYMLINK_FOLLOW) == 0)
                        return 0;
                if (errno != EEXIST)
                        return -errno;
                if (linkat(AT_FDCWD, proc, i->to, temp, AT_SYMLINK_FOLLOW) < 0)
                        return -errno;
                *linked = true;
        }
        FAULT_POINT("transfer-rename");
        return put_in_place(i, temp);
}

static int write_new(struct transfer *x, const struct transfer_item *i, int from,
                     struct err **reterr)
{
        AUTO_CLOSE int to = openat(i->to, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
        bool linked = to < 0, mounted_on = false;
        char temp[TEMP_MAX];
        int r;

        temporary_name(temp);
        if (to < 0)
                to =
                    openat(i->to, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0)
                return transfer_fail(i, errno, "make the file", reterr);
        FAULT_POINT("transfer-file");
        r = copy_content(x, i, from, to, reterr);
        if (r >= 0)
                r = transfer_attributes(x, i, from, to, reterr);
        if (r >= 0) {
                r = name_it(i, to, temp, &linked);
                if (r >= 0)
                        return 0;
                mounted_on = r == -EBUSY;
                if (!mounted_on)
                        (void)transfer_fail(i, -r, "give it its name", reterr);
        }
        if (linked)
                (void)unlinkat(i->to, temp, 0);
        return mounted_on ? write_in_place(x, i, from, reterr) : r;
}

static int copy_file(struct transfer *x, const struct transfer_item *i, struct err **reterr)
{
        struct transfer_item now = *i;
        AUTO_CLOSE int from =
            openat(i->from, i->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (from < 0 || fstat(from, &now.st) < 0)
                return transfer_fail(i, errno, "open", reterr);
        if (!S_ISREG(now.st.st_mode)) /* something else has taken its place */
                return transfer_fail(i, ESTALE, "open", reterr);
        return write_new(x, &now, from, reterr);
}

/* No call makes a link or fifo and opens it. */
static int make_special(const struct transfer_item *i, const char *temp, struct err **reterr)
{
        char target[PATH_MAX];
        ssize_t n;

        if (S_ISFIFO(i->st.st_mode)) {
                if (mkfifoat(i->to, temp, i->st.st_mode & 01777) == 0) /* no umask here */
                        return 0;
                return transfer_fail(i, errno, "make it", reterr);
        }
        n = readlinkat(i->from, i->name, target, sizeof(target) - 1);
        if (n <= 0)
                return transfer_fail(i, n < 0 ? errno : ENOENT, "read the link", reterr);
        target[n] = '\0';
        return symlinkat(target, i->to, temp) < 0 ? transfer_fail(i, errno, "make it", reterr) : 0;
}

/* By now the container may have put something else under its name, in a directory of the host that it shares: a file of the caller's, whose owner
 * is not to change. So it is looked at first, and never named again. */
static int special_attributes(struct transfer *x, const struct transfer_item *i, const char *temp,
                              struct err **reterr)
{
        struct timespec ts[2] = {i->st.st_mtim, i->st.st_mtim};
        AUTO_CLOSE int fd = openat(i->to, temp, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat made;
        int r;

        if (fd < 0 || fstat(fd, &made) < 0)
                return transfer_fail(i, errno, "open what was made", reterr);
        if ((made.st_mode & S_IFMT) != (i->st.st_mode & S_IFMT) || made.st_nlink != 1)
                return transfer_fail(i, ESTALE, "open what was made", reterr);
        r = set_owner(x, i, fd, reterr);
        if (r >= 0)
                (void)utimensat(fd, "", ts, AT_EMPTY_PATH);
        return r;
}

static int copy_special(struct transfer *x, const struct transfer_item *i, struct err **reterr)
{
        char temp[TEMP_MAX];
        int r;

        temporary_name(temp);
        r = make_special(i, temp, reterr);
        if (r < 0)
                return r;
        r = special_attributes(x, i, temp, reterr);
        if (r >= 0) {
                r = put_in_place(i, temp);
                if (r < 0)
                        (void)transfer_fail(i, -r, "give it its name", reterr);
        }
        if (r < 0)
                (void)unlinkat(i->to, temp, 0);
        return r;
}

int transfer_item(struct transfer *x, const struct transfer_item *i, struct err **reterr)
{
        mode_t type = i->st.st_mode & S_IFMT;
        int r;

        if (type == S_IFSOCK || type == S_IFCHR || type == S_IFBLK) {
                transfer_leave(x, type == S_IFSOCK ? TRANSFER_SOCKET : TRANSFER_DEVICE, i->path);
                return 0;
        }
        r = transfer_make_room(x, i, reterr);
        if (r < 0)
                return r;
        return type == S_IFREG ? copy_file(x, i, reterr) : copy_special(x, i, reterr);
}
