/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of an archive, by type. u->name, u->base and u->parent_* say where it goes; u->path is that place. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "image/layer_internal.h"
#include "image/whiteout.h"

static int bad_entry(struct unpack *u, const char *why, struct err **reterr)
{
        return err_new(reterr, ERR_INVALID, "%s: '%s': %s", stream_what(u->s), u->name, why);
}

/* ---- places ---- */

static int set_path(struct unpack *u, struct err **reterr)
{
        int n = snprintf(u->path, sizeof(u->path), "%s%s%s", u->parent_path,
                         u->parent_path[0] ? "/" : "", u->base);

        return n < 0 || (size_t)n >= sizeof(u->path) ? unpack_fail(u, ENAMETOOLONG, "place", reterr)
                                                     : 0;
}

/* Opens the directory of the cleaned @name, which is not the root. */
static int go_to(struct unpack *u, const char *name, struct err **reterr)
{
        const char *base = path_last(name);
        char dir[PATH_MAX];
        size_t n = (size_t)(base - name);
        int r;

        memcpy(dir, name, n);
        dir[n > 0 ? n - 1 : 0] = '\0';
        memcpy(u->base, base, strlen(base) + 1);
        r = unpack_open_parent(u, dir, reterr);
        return r < 0 ? r : set_path(u, reterr);
}

/* Whiteouts hide what is below: as the lowest layer there is nothing to hide, and overlay would list the devices. */
static bool skips_whiteouts(struct unpack *u)
{
        if (u->o->n_lowers > 0)
                return false;
        u->info.needs_lower = true;
        return true;
}

static int make_opaque(struct unpack *u, int dirfd, const char *name, struct err **reterr)
{
        AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = fd < 0 ? -errno : whiteout_set_opaque(fd);

        if (r == -ENOTSUP && u->o->n_lowers == 0) {
                u->info.needs_lower = true;
                return 0;
        }
        if (r < 0) {
                r = unpack_fail(u, -r, "mark the directory as opaque", reterr);
                return err_hint(reterr, r,
                                "the store's file system must support user extended attributes");
        }
        return 0;
}

static int apply_whiteout(struct unpack *u, const char *hidden, struct err **reterr)
{
        struct stat st;
        int r;

        memcpy(u->base, hidden, strlen(hidden) + 1); /* points into u->name */
        if (fstatat(u->parent_fd, u->base, &st, AT_SYMLINK_NOFOLLOW) == 0) {
                /* This layer's own entry hides the lower one already; of a directory, the lower content shows through. */
                return S_ISDIR(st.st_mode) ? make_opaque(u, u->parent_fd, u->base, reterr) : 0;
        }
        if (skips_whiteouts(u))
                return 0;
        r = whiteout_make(u->parent_fd, u->base);
        if (r < 0)
                return unpack_fail(u, -r, "make a whiteout", reterr);
        u->info.inodes++;
        return 0;
}

/* ---- files ---- */

static int copy_data(struct unpack *u, int fd, const struct tar_entry *e, struct err **reterr)
{
        const struct tar_segment whole = {0, e->data_size};
        const struct tar_segment *seg = e->sparse ? e->segments : &whole;
        uint64_t done = 0; /* of *seg */

        for (;;) {
                const char *p;
                size_t n;
                int r = tar_data(u->tar, (const void **)&p, &n, reterr);

                if (r < 0 || n == 0)
                        return r;
                while (n > 0) {
                        size_t len;
                        ssize_t k;

                        if (done == seg->size) {
                                seg++;
                                done = 0;
                        }
                        len = (size_t)MIN((uint64_t)n, seg->size - done);
                        k = pwrite(fd, p, len, (off_t)(seg->offset + done));
                        if (k < 0 && errno == EINTR)
                                continue;
                        if (k < 0)
                                return unpack_fail(u, errno, "write", reterr);
                        r = recipe_put_content(u->recipe, seg->offset + done, (uint64_t)k, reterr);
                        if (r < 0)
                                return r;
                        done += (uint64_t)k;
                        p += k;
                        n -= (size_t)k;
                }
        }
}

static int check_limits(struct unpack *u, uint64_t size, struct err **reterr)
{
        const struct layer_limits *l = &u->o->limits;

        if (l->file_size && size > l->file_size)
                return bad_entry(u, "larger than the limit for one file", reterr);
        u->info.bytes += size;
        if (l->bytes && (u->info.bytes > l->bytes || u->info.bytes < size))
                return bad_entry(u, "the layer is larger than the limit", reterr);
        return 0;
}

/* Opens a new file at u->parent_fd/u->base, whatever is there now. */
static int create_file(struct unpack *u, mode_t mode, struct err **reterr)
{
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        int fd = openat(u->parent_fd, u->base, flags, mode & 0777), r;
        bool whiteout;

        if (fd < 0 && errno == EEXIST) {
                r = unpack_clear_place(u, false, &whiteout, reterr);
                if (r < 0)
                        return r;
                fd = openat(u->parent_fd, u->base, flags, mode & 0777);
        }
        return fd < 0 ? unpack_fail(u, errno, "make a file", reterr) : fd;
}

static int finish_file(struct unpack *u, int fd, const struct unpack_attr *a, struct err **reterr)
{
        struct unpack_place p = {.dirfd = u->parent_fd, .name = u->base, .fd = fd, .type = S_IFREG};
        struct stat st;
        int r = unpack_set_attr(u, &p, a, reterr);

        if (r < 0)
                return r;
        if (fstat(fd, &st) == 0)
                u->info.disk_bytes += (uint64_t)st.st_blocks * 512;
        u->info.inodes++;
        return 0;
}

static int entry_file(struct unpack *u, const struct tar_entry *e, struct err **reterr)
{
        struct unpack_attr a = unpack_attr_of(e);
        AUTO_CLOSE int fd = -EBADF;
        int r = check_limits(u, e->size, reterr);

        if (r < 0)
                return r;
        fd = create_file(u, e->mode, reterr);
        if (fd < 0)
                return fd;
        r = unpack_record(u, u->path, &a, reterr);
        if (r == 0)
                r = copy_data(u, fd, e, reterr);
        if (r < 0)
                return r;
        if (e->sparse && ftruncate(fd, (off_t)e->size) < 0)
                return unpack_fail(u, errno, "set the size", reterr);
        return finish_file(u, fd, &a, reterr);
}

/* ---- directories ---- */

static int entry_root(struct unpack *u, const struct unpack_attr *a, struct err **reterr)
{
        struct unpack_place p = {.dirfd = u->layer_fd,
                                 .name = LAYER_FS_DIR,
                                 .fd = -EBADF,
                                 .type = S_IFDIR,
                                 .existing = true};
        int r;

        u->has_root = true;
        unpack_forget_parent(u); /* whether it hands its group on is remembered with it */
        r = unpack_set_attr(u, &p, a, reterr);
        if (r == 0)
                r = unpack_record(u, "", a, reterr);
        return r < 0 ? r : unpack_later_times(u, "", a, reterr);
}

static int make_dir(struct unpack *u, mode_t mode, bool *ret_existing, struct err **reterr)
{
        bool replaced = false, whiteout;
        int r = mkdirat(u->parent_fd, u->base, mode & 0777) < 0 ? -errno : 0;

        *ret_existing = false;
        if (r == -EEXIST) {
                r = unpack_clear_place(u, true, &whiteout, reterr);
                if (r < 0)
                        return r;
                *ret_existing = r > 0;
                replaced = r == 0; /* and with it went what lower layers have below the name */
                r = r == 0 && mkdirat(u->parent_fd, u->base, mode & 0777) < 0 ? -errno : 0;
        }
        if (r < 0)
                return unpack_fail(u, -r, "make a directory", reterr);
        u->info.inodes += !*ret_existing;
        return replaced && !u->o->plain ? make_opaque(u, u->parent_fd, u->base, reterr) : 0;
}

static int entry_dir(struct unpack *u, const struct tar_entry *e, struct err **reterr)
{
        struct unpack_attr a = unpack_attr_of(e);
        struct unpack_place p = {
            .dirfd = u->parent_fd, .name = u->base, .fd = -EBADF, .type = S_IFDIR};
        int r = make_dir(u, e->mode, &p.existing, reterr);

        if (r == 0)
                r = unpack_set_attr(u, &p, &a, reterr);
        if (r == 0)
                r = unpack_record(u, u->path, &a, reterr);
        return r < 0 ? r : unpack_later_times(u, u->path, &a, reterr);
}

/* ---- links and special files ---- */

/* Links and fifos: @make is tried again once the place is empty. */
static int make_other(struct unpack *u, const struct tar_entry *e, struct err **reterr)
{
        bool whiteout;

        for (int attempt = 0;; attempt++) {
                int r = e->type == TAR_SYMLINK ? symlinkat(e->link, u->parent_fd, u->base)
                                               : mkfifoat(u->parent_fd, u->base, e->mode & 0777);

                if (r == 0)
                        return 0;
                if (errno != EEXIST || attempt > 0)
                        return unpack_fail(u, errno,
                                           e->type == TAR_SYMLINK ? "make a symbolic link"
                                                                  : "make a fifo",
                                           reterr);
                r = unpack_clear_place(u, false, &whiteout, reterr);
                if (r < 0)
                        return r;
        }
}

static int entry_other(struct unpack *u, const struct tar_entry *e, struct err **reterr)
{
        struct unpack_attr a = unpack_attr_of(e);
        struct unpack_place p = {.dirfd = u->parent_fd,
                                 .name = u->base,
                                 .fd = -EBADF,
                                 .type = e->type == TAR_SYMLINK ? S_IFLNK : S_IFIFO};
        int r;

        if (e->type == TAR_SYMLINK && !e->link[0])
                return bad_entry(u, "symbolic link to nothing", reterr);
        r = make_other(u, e, reterr);
        if (r == 0)
                r = unpack_set_attr(u, &p, &a, reterr);
        if (r == 0)
                r = unpack_record(u, u->path, &a, reterr);
        u->info.inodes++;
        return r;
}

/* No user namespace may make devices. What this layer had there is gone; the entry stays in the recipe. */
static int entry_device(struct unpack *u, struct err **reterr)
{
        bool whiteout;
        int r = unpack_clear_place(u, false, &whiteout, reterr);

        u->n_devices++;
        return r;
}

/* ---- hard links ---- */

/* Links and fifos have no content; and to open a fifo for reading would wait for a writer. */
static int copy_up_other(struct unpack *u, int from, const struct stat *st,
                         const struct unpack_attr *a, struct err **reterr)
{
        struct unpack_place p = {
            .dirfd = u->parent_fd, .name = u->base, .fd = -EBADF, .type = st->st_mode & S_IFMT};
        char target[PATH_MAX];
        int r;

        if (S_ISLNK(st->st_mode)) {
                ssize_t n = readlinkat(from, "", target, sizeof(target) - 1);

                if (n < 0)
                        return unpack_fail(u, errno, "read the link target", reterr);
                target[n] = '\0';
                r = symlinkat(target, u->parent_fd, u->base);
        } else {
                r = mkfifoat(u->parent_fd, u->base, a->mode & 0777);
        }
        if (r < 0)
                return unpack_fail(u, errno, "copy from a lower layer", reterr);
        u->info.inodes++;
        return unpack_set_attr(u, &p, a, reterr);
}

static int copy_up_content(struct unpack *u, int from, const struct stat *st,
                           const struct unpack_attr *a, struct err **reterr)
{
        AUTO_CLOSE int in = -EBADF, out = -EBADF;
        char proc[FD_PATH_MAX];
        int r;

        if (!S_ISREG(st->st_mode))
                return copy_up_other(u, from, st, a, reterr);
        in = open(fd_path(from, proc), O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return unpack_fail(u, errno, "open the link target", reterr);
        out = create_file(u, a->mode, reterr);
        if (out < 0)
                return out;
        r = io_copy(in, out, (uint64_t)st->st_size, reterr);
        if (r < 0)
                return r;
        if (ftruncate(out, st->st_size) < 0)
                return unpack_fail(u, errno, "copy from a lower layer", reterr);
        r = finish_file(u, out, a, reterr);
        if (r < 0)
                return r;
        r = unpack_copy_xattrs(u, in, out);
        if (r ==
            0) { /* copying changed nothing but the change time; attributes may have changed the mode */
                struct timespec ts[2] = {st->st_mtim, st->st_mtim};

                r = futimens(out, ts) < 0 ? -errno : 0;
        }
        return r < 0 ? unpack_fail(u, -r, "copy from a lower layer", reterr) : 0;
}

/* The merged tree has the target below only: a link to it makes it part of this layer, as overlay would. */
static int copy_up(struct unpack *u, int from, const char *path, struct err **reterr)
{
        struct unpack_attr a;
        struct stat st;
        int r;

        if (fstat(from, &st) < 0)
                return unpack_fail(u, errno, "read the link target", reterr);
        a = unpack_attr_of_lower(u, &st);
        r = S_ISREG(st.st_mode) ? check_limits(u, (uint64_t)st.st_size, reterr) : 0;
        if (r == 0)
                r = go_to(u, path, reterr);
        if (r == 0)
                r = unpack_record(u, u->path, &a, reterr);
        if (r == 0)
                r = copy_up_content(u, from, &st, &a, reterr);
        return r;
}

static int check_target(struct unpack *u, int fd, struct err **reterr)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return unpack_fail(u, errno, "read the link target", reterr);
        if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) || S_ISFIFO(st.st_mode))
                return 0;
        return bad_entry(u, "hard link to what is no file", reterr);
}

/* Links u->path to @target (resolved, of this layer), by the directory of the target: no descriptor of a file can be linked
 * without privilege over the initial namespace. */
static int link_to(struct unpack *u, const char *target, struct err **reterr)
{
        const char *base = path_last(target);
        char dir[PATH_MAX];
        AUTO_CLOSE int fd = -EBADF;
        bool whiteout;
        int r;

        memcpy(dir, target, (size_t)(base - target));
        dir[base - target] = '\0';
        fd = path_open_in_root(u->fs_fd, dir[0] ? dir : ".", O_PATH | O_DIRECTORY, 0, reterr);
        if (fd < 0)
                return fd;
        if (linkat(fd, base, u->parent_fd, u->base, 0) == 0)
                return 0;
        if (errno != EEXIST)
                return unpack_fail(u, errno, "make a hard link", reterr);
        r = unpack_clear_place(u, false, &whiteout, reterr);
        if (r == 0 && linkat(fd, base, u->parent_fd, u->base, 0) < 0)
                r = unpack_fail(u, errno, "make a hard link", reterr);
        return r;
}

static int entry_hardlink(struct unpack *u, const struct tar_entry *e, struct err **reterr)
{
        char target[PATH_MAX], real[PATH_MAX];
        AUTO_CLOSE int fd = -EBADF;
        bool lower = false;
        int r = unpack_clean_name(u, e->link, target, reterr);

        if (r < 0)
                return r;
        if (!target[0])
                return bad_entry(u, "hard link to what is no file", reterr);
        fd = unpack_find(u, target, real, &lower, reterr);
        if (fd == -ENOENT)
                return err_new(reterr, ERR_INVALID,
                               "%s: '%s': hard link to '%s', which is not there", stream_what(u->s),
                               u->name, e->link);
        if (fd < 0)
                return fd;
        r = check_target(u, fd, reterr);
        if (r == 0 && lower)
                r = copy_up(u, fd, real, reterr);
        if (r == 0)
                r = go_to(u, u->name, reterr);
        if (r < 0 || strcmp(real, u->path) == 0)
                return r;
        return link_to(u, real, reterr);
}

/* ---- any ---- */

static int apply(struct unpack *u, const struct tar_entry *e, struct err **reterr)
{
        switch (e->type) {
        case TAR_FILE:
                return entry_file(u, e, reterr);
        case TAR_HARDLINK:
                return entry_hardlink(u, e, reterr);
        case TAR_SYMLINK:
        case TAR_FIFO:
                return entry_other(u, e, reterr);
        case TAR_DIR:
                return entry_dir(u, e, reterr);
        case TAR_CHAR:
        case TAR_BLOCK:
                return entry_device(u, reterr);
        case TAR_OTHER:
        case TAR_TYPE_COUNT:
        default:
                return bad_entry(u, "entry of an unknown type", reterr);
        }
}

/* aufs' own directories (.wh..wh.plnk/…): nothing below them is meant for the tree. A plain whiteout has nothing below it. */
static int check_components(struct unpack *u, bool *ret_ignored, struct err **reterr)
{
        *ret_ignored = false;
        for (const char *p = u->name, *slash; (slash = strchr(p, '/')); p = slash + 1) {
                if (strncmp(p, ".wh..wh.", 8) == 0)
                        *ret_ignored = true;
                else if (strncmp(p, ".wh.", 4) == 0)
                        return bad_entry(u, "a whiteout is no directory", reterr);
        }
        return 0;
}

int unpack_entry(struct unpack *u, const struct tar_entry *e, struct err **reterr)
{
        struct unpack_attr a = unpack_attr_of(e);
        const char *hidden = NULL;
        enum whiteout w;
        bool ignored = false;
        int r;

        memcpy(u->name, "?", 2);
        r = unpack_clean_name(u, e->path, u->name, reterr);
        if (r < 0)
                return r;
        if (!u->name[0])
                return e->type == TAR_DIR ? entry_root(u, &a, reterr)
                                          : bad_entry(u, "entry without a name", reterr);
        r = u->o->plain ? 0 : check_components(u, &ignored, reterr);
        if (r < 0 || ignored)
                return r;
        w = u->o->plain ? WHITEOUT_NONE : whiteout_parse(path_last(u->name), &hidden);
        if (w == WHITEOUT_IGNORED)
                return 0;
        if (w == WHITEOUT_INVALID)
                return bad_entry(u, "a whiteout without a name", reterr);
        r = go_to(u, u->name, reterr);
        if (r < 0)
                return r;
        if (w == WHITEOUT_OPAQUE)
                return make_opaque(u, u->parent_fd, ".", reterr);
        r = w == WHITEOUT_NAME ? apply_whiteout(u, hidden, reterr) : apply(u, e, reterr);
        /* A name of 2 KiB makes a thousand directories that no entry counts. */
        if (r == 0 && u->o->limits.inodes && u->info.inodes > u->o->limits.inodes)
                return bad_entry(u, "more files and directories than the limit", reterr);
        return r;
}
