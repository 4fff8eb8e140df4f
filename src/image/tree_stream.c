/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree_stream.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "idmap/idmap.h"
#include "image/kernel_fs.h"
#include "image/layer_internal.h"
#include "image/tar.h"
#include "image/tar_encode.h"
#include "image/walk.h"
#include "image/xattrs.h"

#define TRAILER      (2 * TAR_ENCODE_BLOCK)
#define SPARSE_WORTH ((off_t)64 * 1024) /* holes of less are written out */

struct seen {
        dev_t dev;
        ino_t ino;
        char *path; /* NULL: the slot is free */
};
struct left_out {
        uint64_t n;
        char first[256];
};
enum { LEFT_SOCKET, LEFT_DEVICE, LEFT_NAME, LEFT_XATTR, LEFT_COUNT };
struct tree_stream {
        struct tree_stream_opts o;
        struct err *error;
        struct strbuf head; /* bytes to give before the content */
        size_t head_pos;
        int fd; /* content; -EBADF: none */
        struct tar_segment *segments;
        size_t n_segments, segment;
        uint64_t done; /* of the segment */
        size_t padding;
        bool ended;
        uint64_t bytes;
        struct seen *seen; /* open addressing */
        size_t n_seen, cap_seen;
        struct left_out left[LEFT_COUNT];
};

struct tree_stream *tree_stream_new(const struct tree_stream_opts *o)
{
        struct tree_stream *s = xnew(struct tree_stream);

        s->o = *o;
        s->fd = -EBADF;
        return s;
}

struct tree_stream *tree_stream_free(struct tree_stream *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->cap_seen; i++)
                free(s->seen[i].path);
        free(s->seen);
        free(s->segments);
        (void)fd_close(s->fd);
        strbuf_release(&s->head);
        (void)err_free(s->error);
        free(s);
        return NULL;
}

uint64_t tree_stream_bytes(const struct tree_stream *s)
{
        return s->bytes;
}

int tree_stream_error(struct tree_stream *s, struct err **reterr)
{
        return s->error ? err_move(reterr, -EIO, &s->error) : 0;
}

/* ---- what an archive cannot hold ---- */

static void leave_out(struct tree_stream *s, int what, const char *path)
{
        struct left_out *l = &s->left[what];
        AUTO_STRBUF b = {0};

        if (l->n++ > 0)
                return;
        strbuf_add_printable(&b, path, strlen(path));
        (void)snprintf(l->first, sizeof(l->first), "/%.250s", b.data ? b.data : "");
}

void tree_stream_warnings(const struct tree_stream *s, void (*warn)(void *arg, const char *text),
                          void *arg)
{
        static const char *const what[LEFT_COUNT] = {
            [LEFT_SOCKET] = "sockets",
            [LEFT_DEVICE] = "device nodes",
            [LEFT_NAME] = "files whose names would delete others in a layer",
            [LEFT_XATTR] = "extended attributes that an archive cannot hold",
        };
        char text[512];

        for (size_t i = 0; i < LEFT_COUNT; i++) {
                if (s->left[i].n == 0)
                        continue;
                (void)snprintf(text, sizeof(text), "left out %s (%llu), the first is '%s'", what[i],
                               (unsigned long long)s->left[i].n, s->left[i].first);
                warn(arg, text);
        }
}

/* ---- hard links ---- */

static struct seen *seen_slot(struct seen *v, size_t cap, dev_t dev, ino_t ino)
{
        size_t i = (size_t)((ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15ull >> 20) & (cap - 1);

        while (v[i].path && (v[i].ino != ino || v[i].dev != dev))
                i = (i + 1) & (cap - 1);
        return &v[i];
}

/* The name under which the file was given already; NULL: this is the first. */
static const char *seen_before(struct tree_stream *s, const struct stat *st, const char *path)
{
        struct seen *slot;

        if (2 * s->n_seen >= s->cap_seen) {
                size_t cap = s->cap_seen ? s->cap_seen * 2 : 64;
                struct seen *v = xcalloc(cap, sizeof(*v));

                for (size_t i = 0; i < s->cap_seen; i++)
                        if (s->seen[i].path)
                                *seen_slot(v, cap, s->seen[i].dev, s->seen[i].ino) = s->seen[i];
                free(s->seen);
                s->seen = v;
                s->cap_seen = cap;
        }
        slot = seen_slot(s->seen, s->cap_seen, st->st_dev, st->st_ino);
        if (slot->path)
                return slot->path;
        *slot = (struct seen){st->st_dev, st->st_ino, xstrdup(path)};
        s->n_seen++;
        return NULL;
}

/* ---- attributes ---- */

static uint32_t inside(const struct id_map *map, uint32_t id)
{
        uint32_t v = map->n > 0 ? id_map_to_inside(map, id) : id;

        return v == ID_NONE ? 0 : v;
}

static uint32_t acl_inside(void *arg, bool group, uint32_t id)
{
        const struct tree_stream *s = arg;

        return inside(group ? s->o.gid : s->o.uid, id);
}

/* Revision 3 names the root of the user namespace, which no archive can: revision 2 means whoever is root where it is unpacked. */
static void plain_caps(struct xattr *x)
{
        uint32_t magic;

        if (x->size != XATTR_CAPS_SZ_3)
                return;
        memcpy(&magic, x->value, sizeof(magic));
        magic = le32toh(magic);
        if ((magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3)
                return;
        magic = htole32((magic & ~(uint32_t)VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2);
        memcpy(x->value, &magic, sizeof(magic));
        x->size = XATTR_CAPS_SZ_2;
}

static int get_xattrs(struct tree_stream *s, const struct walk_entry *e, int fd, struct xattrs *ret)
{
        int r = xattrs_read(fd, ret);

        if (r == -E2BIG) {
                leave_out(s, LEFT_XATTR, e->path);
                return 0;
        }
        for (size_t i = 0; r == 0 && i < ret->n; i++) {
                if (str_starts(ret->v[i].name, "system."))
                        layer_acl_map(ret->v[i].value, ret->v[i].size, acl_inside, s);
                else if (strcmp(ret->v[i].name, "security.capability") == 0)
                        plain_caps(&ret->v[i]);
                if (!tar_encode_takes_xattr(ret->v[i].name))
                        leave_out(s, LEFT_XATTR, e->path);
        }
        return r;
}

static struct tar_file describe(struct tree_stream *s, const struct walk_entry *e,
                                const struct stat *st, char type)
{
        struct tree_owner o = {inside(s->o.uid, st->st_uid), inside(s->o.gid, st->st_gid)};

        if (s->o.true_owner && e->in_old)
                s->o.true_owner(s->o.userdata, e, &o);
        return (struct tar_file){.path = e->path,
                                 .type = type,
                                 .mode = st->st_mode & 07777,
                                 .uid = o.uid,
                                 .gid = o.gid,
                                 .mtime = st->st_mtim.tv_sec,
                                 .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
                                 .size = type == '0' ? (uint64_t)st->st_size : 0};
}

/* ---- content ---- */

static void whole_file(struct tree_stream *s, uint64_t size)
{
        s->segments = xcalloc(1, sizeof(*s->segments));
        s->segments[0] = (struct tar_segment){0, size};
        s->n_segments = size > 0;
}

/* False: it has too many pieces, or no holes worth the trouble. */
static bool find_holes(struct tree_stream *s, int fd, const struct stat *st)
{
        off_t at = 0, end = st->st_size;
        size_t cap = 0;

        if ((off_t)st->st_blocks * 512 + SPARSE_WORTH > end)
                return false;
        while (at < end) {
                off_t data = lseek(fd, at, SEEK_DATA), hole;

                if (data < 0 || data >= end)
                        break;
                hole = lseek(fd, data, SEEK_HOLE);
                hole = hole < 0 || hole > end ? end : hole;
                if (s->n_segments == TAR_MAX_SPARSE - 1 || hole <= data)
                        return false;
                if (s->n_segments + 1 >= cap) {
                        cap = MAX(cap * 2, (size_t)16);
                        s->segments = xrealloc(s->segments, cap, sizeof(*s->segments));
                }
                s->segments[s->n_segments++] =
                    (struct tar_segment){(uint64_t)data, (uint64_t)(hole - data)};
                at = hole;
        }
        /* The usual end mark, which also says how long a file without any data is. */
        if (!s->segments)
                s->segments = xcalloc(1, sizeof(*s->segments));
        s->segments[s->n_segments++] = (struct tar_segment){(uint64_t)end, 0};
        return true;
}

static void no_content(struct tree_stream *s)
{
        free(s->segments);
        s->segments = NULL;
        s->n_segments = s->segment = 0;
        s->done = 0;
        s->fd = fd_close(s->fd);
}

/* ---- entries: 0, or -errno; nothing in .head: it was left out ---- */

/* An archive says first how long a file is, and the kernel's are as long as what is read of them. */
static int take_made_up(int *fd, struct stat *st)
{
        AUTO_CLOSE int copy = -EBADF;
        int64_t r;

        if (!kernel_fs_makes_up(*fd, st))
                return 0;
        copy = memfd_create("kelp-file", MFD_CLOEXEC);
        if (copy < 0)
                return -errno;
        r = kernel_fs_copy(*fd, copy);
        if (r < 0)
                return (int)r;
        st->st_size = (off_t)r;
        (void)fd_close(*fd);
        *fd = TAKE_FD(copy);
        return 0;
}

static int add_file(struct tree_stream *s, const struct walk_entry *e)
{
        AUTO_CLOSE int fd = walk_open(e, O_RDONLY | O_NONBLOCK);
        AUTO(xattrs_release) struct xattrs x = {0};
        struct tar_file f;
        struct stat st;
        uint64_t content;
        const char *first = NULL;
        int r;

        if (fd < 0)
                return fd == -ENOENT || fd == -ELOOP || fd == -ENXIO ? 0 : fd;
        /* What was looked at may have been replaced by something else. */
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return 0;
        r = take_made_up(&fd, &st);
        if (r < 0)
                return r;
        if (st.st_nlink > 1)
                first = seen_before(s, &st, e->path);
        f = describe(s, e, &st, first ? '1' : '0');
        if (first) {
                f.link = first;
                tar_encode(&s->head, &f, &content);
                return 0;
        }
        r = get_xattrs(s, e, fd, &x);
        if (r < 0)
                return r;
        f.xattrs = &x;
        if (find_holes(s, fd, &st)) {
                f.segments = s->segments;
                f.n_segments = s->n_segments;
        } else {
                no_content(s);
                whole_file(s, f.size);
        }
        tar_encode(&s->head, &f, &content);
        s->padding = (size_t)((TAR_ENCODE_BLOCK - content % TAR_ENCODE_BLOCK) % TAR_ENCODE_BLOCK);
        s->fd = TAKE_FD(fd);
        return 0;
}

static void add_mark(struct tree_stream *s, const char *path)
{
        struct tar_file f = {.path = path, .type = '0', .mode = 0600};
        uint64_t content;

        tar_encode(&s->head, &f, &content);
}

static int add_dir(struct tree_stream *s, const struct walk_entry *e)
{
        AUTO_CLOSE int fd = walk_open(e, O_RDONLY | O_DIRECTORY);
        AUTO(xattrs_release) struct xattrs x = {0};
        AUTO_FREE char *path = xasprintf("%s/", e->path[0] ? e->path : ".");
        struct tar_file f = describe(s, e, &e->st, '5');
        uint64_t content;
        int r = 0;

        if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
                return fd;
        if (fd >= 0)
                r = get_xattrs(s, e, fd, &x);
        if (r < 0)
                return r;
        f.path = path;
        f.xattrs = &x;
        tar_encode(&s->head, &f, &content);
        if (e->hides) {
                AUTO_FREE char *mark = xasprintf("%s/.wh..wh..opq", e->path);

                add_mark(s, mark);
        }
        return 0;
}

static int add_link(struct tree_stream *s, const struct walk_entry *e)
{
        struct tar_file f = describe(s, e, &e->st, '2');
        char target[PATH_MAX];
        uint64_t content;
        /* By a descriptor: a directory on the way may have become a link since, and lead out of the tree. */
        AUTO_CLOSE int fd = walk_open(e, O_PATH);
        ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target) - 1);
        const char *first = e->st.st_nlink > 1 ? seen_before(s, &e->st, e->path) : NULL;

        if (n <= 0)
                return 0;
        target[n] = '\0';
        f.link = first ? first : target;
        f.type = first ? '1' : '2';
        tar_encode(&s->head, &f, &content);
        return 0;
}

static int add_fifo(struct tree_stream *s, const struct walk_entry *e)
{
        struct tar_file f = describe(s, e, &e->st, '6');
        uint64_t content;

        tar_encode(&s->head, &f, &content);
        return 0;
}

static void add_deleted(struct tree_stream *s, const struct walk_entry *e)
{
        const char *base = path_last(e->path);
        AUTO_FREE char *mark = xasprintf("%.*s.wh.%s", (int)(base - e->path), e->path, base);

        add_mark(s, mark);
}

/* Also below a directory of such a name. */
static bool would_delete(const char *path)
{
        return str_starts(path, ".wh.") || strstr(path, "/.wh.");
}

static int add_entry(struct tree_stream *s, const struct walk_entry *e)
{
        if (s->o.layer && would_delete(e->path)) {
                leave_out(s, LEFT_NAME, e->path);
                return 0;
        }
        if (e->kind == WALK_DELETED) {
                add_deleted(s, e);
                return 0;
        }
        switch (e->st.st_mode & S_IFMT) {
        case S_IFREG:
                return add_file(s, e);
        case S_IFDIR:
                return add_dir(s, e);
        case S_IFLNK:
                return add_link(s, e);
        case S_IFIFO:
                return add_fifo(s, e);
        case S_IFSOCK:
                leave_out(s, LEFT_SOCKET, e->path);
                return 0;
        default:
                leave_out(s, LEFT_DEVICE, e->path);
                return 0;
        }
}

/* ---- bytes ---- */

static int next_entry(struct tree_stream *s)
{
        const struct walk_entry *e;
        int r;

        no_content(s);
        s->padding = 0;
        s->head.len = s->head_pos = 0;
        while (s->head.len == 0) {
                r = walk_next(s->o.walk, &e, &s->error);
                if (r < 0)
                        return r;
                if (r == 0) {
                        static const char zeros[TRAILER];

                        s->ended = true;
                        strbuf_add_len(&s->head, zeros, TRAILER);
                        return 0;
                }
                r = add_entry(s, e);
                if (r < 0)
                        return err_sys(&s->error, -r, "read '/%s' of the container", e->path);
        }
        return 0;
}

/* Bytes of the segment in hand; zeros where the file has become shorter. */
static ssize_t read_content(struct tree_stream *s, void *buf, size_t n)
{
        const struct tar_segment *g = &s->segments[s->segment];
        ssize_t got;

        n = (size_t)MIN((uint64_t)n, g->size - s->done);
        do
                got = pread(s->fd, buf, n, (off_t)(g->offset + s->done));
        while (got < 0 && errno == EINTR);
        if (got < 0)
                return err_sys(&s->error, errno, "read a file of the container");
        if (got == 0) {
                memset(buf, 0, n);
                got = (ssize_t)n;
        }
        s->done += (uint64_t)got;
        return got;
}

static ssize_t some(struct tree_stream *s, char *buf, size_t n)
{
        if (s->head_pos < s->head.len) {
                n = MIN(n, s->head.len - s->head_pos);
                memcpy(buf, s->head.data + s->head_pos, n);
                s->head_pos += n;
                return (ssize_t)n;
        }
        while (s->segment < s->n_segments && s->done == s->segments[s->segment].size) {
                s->segment++;
                s->done = 0;
        }
        if (s->segment < s->n_segments)
                return read_content(s, buf, n);
        if (s->padding > 0) {
                n = MIN(n, s->padding);
                memset(buf, 0, n);
                s->padding -= n;
                return (ssize_t)n;
        }
        return 0;
}

ssize_t tree_stream_read(void *tree_stream, void *buf, size_t n)
{
        struct tree_stream *s = tree_stream;
        size_t got = 0;

        while (got < n) {
                ssize_t r = some(s, (char *)buf + got, n - got);

                if (r < 0)
                        return r;
                got += (size_t)r;
                if (r > 0)
                        continue;
                if (s->ended)
                        break;
                r = next_entry(s);
                if (r < 0)
                        return r;
        }
        s->bytes += got;
        return (ssize_t)got;
}
