/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * The walks of whole trees (removal, usage, change of owners) meet trees that a container made and may still be changing: nested deeper
 * than PATH_MAX or than our limit of descriptors, full of links, with directories of mode 000, with directories swapped
 * while we look. Hence:
 *
 * - Every step is one component, opened relative to its parent's descriptor with RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
 *   so that no link is followed and no mount entered, bind mounts of the same file system included.
 * - The walk keeps a stack of levels instead of recursing. Only the innermost WALK_OPEN levels hold a descriptor and a
 *   buffer of entries. An outer one is reopened through ".." on the way back and must then be the same inode as before:
 *   were it another, somebody moved the directory we stand in and we would go on in a place that we were never given.
 * - Entries are read with getdents64 into the level's own buffer, which is cheaper than readdir's and can be dropped.
 */
#include "base/path.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WALK_OPEN   32
#define WALK_BUFFER ((size_t)16 * 1024)
/* Somebody who keeps filling a directory that we are emptying gets so many rounds before we give up. */
#define WALK_MAX_ROUNDS 16

struct walk_level {
        int fd; /* -EBADF while too far out */
        char *buf;
        size_t pos, len;
        off_t resume; /* where to go on reading after a reopening */
        dev_t dev;
        ino_t ino;
        const char
            *current; /* removal: the directory we are in, a name in buf; NULL when that is lost */
        bool again;   /* removal: something was left behind, read it once more */
        unsigned rounds;
};

struct walk {
        struct walk_level *levels;
        size_t depth, cap;
        bool opens_up; /* may add permission bits to directories in the way */
};

static void walk_drop(struct walk_level *l)
{
        l->fd = fd_close(l->fd);
        free(l->buf);
        l->buf = NULL;
        l->current = NULL;
        l->pos = l->len = 0;
}

static void walk_release(struct walk *w)
{
        while (w->depth > 0)
                walk_drop(&w->levels[--w->depth]);
        free(w->levels);
        w->levels = NULL;
}

static struct walk_level *walk_top(struct walk *w)
{
        return &w->levels[w->depth - 1];
}

static int walk_openat(int dirfd, const char *name, int flags)
{
        return sys_openat2(dirfd, name, (uint64_t)(unsigned)flags | O_DIRECTORY | O_NOFOLLOW, 0,
                           RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
}

/* Gives the owner all rights to a directory that we cannot open. Through the descriptor: the name may change meanwhile. */
static int walk_open_up(int dirfd, const char *name)
{
        AUTO_CLOSE int fd = walk_openat(dirfd, name, O_PATH);
        char path[FD_PATH_MAX];

        if (fd < 0)
                return fd;
        return chmod(fd_path(fd, path), 0700) < 0 ? -errno : 0;
}

static int walk_open(struct walk *w, int dirfd, const char *name, struct stat *ret_st)
{
        AUTO_CLOSE int fd = walk_openat(dirfd, name, O_RDONLY);

        if (fd == -EACCES && w->opens_up) {
                int r = walk_open_up(dirfd, name);

                if (r < 0)
                        return r;
                fd = walk_openat(dirfd, name, O_RDONLY);
        }
        if (fd < 0)
                return fd;
        if (fstat(fd, ret_st) < 0)
                return -errno;
        /* Readable is not enough: to remove what is inside takes w and x. */
        if (w->opens_up && (ret_st->st_mode & 0700) != 0700)
                (void)fchmod(fd, (ret_st->st_mode & 07777) | 0700);
        return TAKE_FD(fd);
}

/* Goes into a directory. Returns 0 or -errno; *ret_st is the directory's. */
static int walk_push(struct walk *w, int dirfd, const char *name, struct stat *ret_st)
{
        int fd = walk_open(w, dirfd, name, ret_st);

        if (fd < 0)
                return fd;
        if (w->depth == w->cap) {
                w->cap = MAX((size_t)16, w->cap * 2);
                w->levels = xrealloc(w->levels, w->cap, sizeof(*w->levels));
        }
        if (w->depth >= WALK_OPEN)
                walk_drop(&w->levels[w->depth - WALK_OPEN]);
        w->levels[w->depth++] = (struct walk_level){
            .fd = fd,
            .dev = ret_st->st_dev,
            .ino = ret_st->st_ino,
        };
        return 0;
}

/* Leaves the innermost directory. -ESTALE when the way back leads somewhere else than it came from. */
static int walk_pop(struct walk *w)
{
        AUTO_CLOSE int child = TAKE_FD(walk_top(w)->fd);
        struct walk_level *parent;
        struct stat st;

        walk_drop(walk_top(w));
        w->depth--;
        if (w->depth == 0 || walk_top(w)->fd >= 0)
                return 0;
        parent = walk_top(w);
        parent->fd = walk_openat(child, "..", O_RDONLY);
        if (parent->fd < 0) {
                int r = parent->fd;

                parent->fd = -EBADF;
                return r;
        }
        if (fstat(parent->fd, &st) < 0)
                return -errno;
        if (st.st_dev != parent->dev || st.st_ino != parent->ino)
                return -ESTALE;
        if (lseek(parent->fd, parent->resume, SEEK_SET) < 0)
                return -errno;
        return 0;
}

static bool walk_is_dot(const char *name)
{
        return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* The next entry of the innermost directory; NULL at its end, with *ret_r = 0 or -errno. */
static struct dirent64 *walk_next(struct walk *w, int *ret_r)
{
        struct walk_level *l = walk_top(w);
        struct dirent64 *d;

        *ret_r = 0;
        if (!l->buf)
                l->buf = xmalloc(WALK_BUFFER);
        do {
                if (l->pos >= l->len) {
                        long n = syscall(SYS_getdents64, l->fd, l->buf, WALK_BUFFER);

                        if (n <= 0) {
                                *ret_r = n < 0 ? -errno : 0;
                                return NULL;
                        }
                        l->pos = 0;
                        l->len = (size_t)n;
                }
                d = (struct dirent64 *)(void *)(l->buf + l->pos);
                l->pos += d->d_reclen;
        } while (walk_is_dot(d->d_name));
        return d;
}

/* ---- removal ---- */

/* Removes one entry unless it is a directory with something in it. 0, -ENOTEMPTY or -errno; gone already is fine. */
static int remove_entry(int dirfd, const char *name, bool is_dir)
{
        /* The type is only a guess: it may be unknown, or another by now. */
        for (int i = 0; i < 2; i++, is_dir = !is_dir) {
                if (unlinkat(dirfd, name, is_dir ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
                        return 0;
                if (is_dir && (errno == ENOTEMPTY || errno == EEXIST))
                        return -ENOTEMPTY;
                if (errno != (is_dir ? ENOTDIR : EISDIR))
                        return -errno;
        }
        return -errno;
}

/* Removes entries of the innermost directory up to one that has to be emptied first. 1: went in there; 0: at the end. */
static int remove_step(struct walk *w)
{
        struct walk_level *l = walk_top(w);
        struct dirent64 *d;
        struct stat st;
        int r;

        while ((d = walk_next(w, &r))) {
                r = remove_entry(l->fd, d->d_name, d->d_type == DT_DIR);
                if (r == 0)
                        continue;
                if (r != -ENOTEMPTY)
                        return r;
                l->current = d->d_name;
                r = walk_push(w, l->fd, d->d_name, &st);
                if (r < 0)
                        return r;
                return 1;
        }
        return r;
}

/* Back from a directory that has been emptied: it can go now. If it cannot, its parent is read once more. */
static int remove_emptied(struct walk_level *l)
{
        int r;

        /* After a reopening the names are lost; the directory is read from its beginning and the empty one met again. */
        if (!l->current)
                return 0;
        r = remove_entry(l->fd, l->current, true);
        l->current = NULL;
        if (r != -ENOTEMPTY)
                return r;
        l->again = true;
        return 0;
}

static int remove_again(struct walk_level *l)
{
        if (++l->rounds > WALK_MAX_ROUNDS)
                return -ENOTEMPTY;
        l->again = false;
        l->pos = l->len = 0;
        return lseek(l->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* Empties the directory that @w stands in, and leaves it. */
static int remove_contents(struct walk *w)
{
        int r;

        while (w->depth > 0) {
                r = remove_step(w);
                if (r == 1)
                        continue;
                if (r == 0 && walk_top(w)->again) {
                        r = remove_again(walk_top(w));
                } else if (r == 0) {
                        r = walk_pop(w);
                        if (r == 0 && w->depth > 0)
                                r = remove_emptied(walk_top(w));
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int path_remove_tree(int dirfd, const char *name, struct err **reterr)
{
        AUTO(walk_release) struct walk w = {.opens_up = true};
        struct stat st;
        int r = 0;

        for (int i = 0; i < WALK_MAX_ROUNDS; i++) {
                r = remove_entry(dirfd, name, true);
                if (r != -ENOTEMPTY)
                        break;
                r = walk_push(&w, dirfd, name, &st);
                if (r == 0)
                        r = remove_contents(&w);
                if (r < 0)
                        break;
        }
        if (r < 0)
                return err_sys(reterr, -r, "remove '%s'", name);
        return 0;
}

/* ---- usage ---- */

struct inode_key {
        dev_t dev;
        ino_t ino;
};

/* Set of the inodes that have several names; open addressing, never more than half full. Inode 0 marks a free slot. */
struct inode_set {
        struct inode_key *slots;
        size_t n, cap; /* cap is 0 or a power of two */
};

static void inode_set_release(struct inode_set *s)
{
        free(s->slots);
}

/* True when it was not in the table yet. */
static bool inode_set_put(struct inode_key *slots, size_t cap, struct inode_key key)
{
        size_t i = ((size_t)key.ino * 0x9e3779b97f4a7c15ULL + (size_t)key.dev) & (cap - 1);

        for (; slots[i].ino != 0; i = (i + 1) & (cap - 1))
                if (slots[i].ino == key.ino && slots[i].dev == key.dev)
                        return false;
        slots[i] = key;
        return true;
}

static bool inode_set_add(struct inode_set *s, const struct stat *st)
{
        struct inode_key key = {.dev = st->st_dev, .ino = st->st_ino};

        if (2 * (s->n + 1) > s->cap) {
                size_t cap = MAX((size_t)64, s->cap * 2);
                struct inode_key *slots = xcalloc(cap, sizeof(*slots));

                for (size_t i = 0; i < s->cap; i++)
                        if (s->slots[i].ino != 0)
                                (void)inode_set_put(slots, cap, s->slots[i]);
                free(s->slots);
                s->slots = slots;
                s->cap = cap;
        }
        if (!inode_set_put(s->slots, s->cap, key))
                return false;
        s->n++;
        return true;
}

struct usage {
        unsigned long long bytes, inodes;
        struct inode_set linked;
};

static void usage_count(struct usage *u, const struct stat *st)
{
        if (!S_ISDIR(st->st_mode) && st->st_nlink > 1 && !inode_set_add(&u->linked, st))
                return;
        u->bytes += (unsigned long long)st->st_blocks * 512;
        u->inodes++;
}

/* Counts one entry, and goes into it when it is a directory. What vanished meanwhile is not there to be counted. */
static int usage_entry(struct walk *w, struct usage *u, int dirfd, const char *name)
{
        struct stat st;
        int r = 0;

        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (S_ISDIR(st.st_mode))
                r = walk_push(w, dirfd, name, &st);
        if (r == 0)
                usage_count(u, &st);
        return r == -ENOENT || r == -EXDEV ? 0 : r;
}

static int usage_walk(struct walk *w, struct usage *u)
{
        while (w->depth > 0) {
                struct walk_level *l = walk_top(w);
                struct dirent64 *d;
                int r;

                d = walk_next(w, &r);
                if (d) {
                        l->resume = d->d_off;
                        r = usage_entry(w, u, l->fd, d->d_name);
                } else if (r == 0) {
                        r = walk_pop(w);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int path_usage(int dirfd, const char *name, unsigned long long *ret_bytes,
               unsigned long long *ret_inodes, struct err **reterr)
{
        AUTO(walk_release) struct walk w = {0};
        struct usage u = {0};
        struct stat st;
        int r;

        r = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        if (r == 0)
                r = usage_entry(&w, &u, dirfd, name);
        if (r == 0)
                r = usage_walk(&w, &u);
        inode_set_release(&u.linked);
        if (r < 0)
                return err_sys(reterr, -r, "measure '%s'", name);
        *ret_bytes = u.bytes;
        *ret_inodes = u.inodes;
        return 0;
}

/* ---- owners ---- */

struct owner {
        uid_t uid;
        gid_t gid;
};

static int chown_fd(int fd, const struct owner *o)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_uid == o->uid && st.st_gid == o->gid)
                return 0;
        return fchownat(fd, "", o->uid, o->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno
                                                                                         : 0;
}

/* By descriptor, so that what is given away is what was met: no link's target, no mount. What vanishes meanwhile is nobody's. */
static int chown_step(struct walk *w, int dirfd, const char *name, const struct owner *o)
{
        AUTO_CLOSE int file = -EBADF;
        struct stat st;
        int r = walk_push(w, dirfd, name, &st);

        if (r == 0)
                return chown_fd(walk_top(w)->fd, o);
        if (r == -ENOTDIR || r == -ELOOP) {
                r = file =
                    sys_openat2(dirfd, name, O_PATH | O_NOFOLLOW, 0,
                                RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
                if (file >= 0)
                        r = chown_fd(file, o);
        }
        return r == -ENOENT || r == -EXDEV ? 0 : r;
}

static int chown_walk(struct walk *w, const struct owner *o, struct err **reterr)
{
        while (w->depth > 0) {
                struct walk_level *l = walk_top(w);
                struct dirent64 *d;
                int r;

                d = walk_next(w, &r);
                if (d) {
                        AUTO_FREE char *name = xstrdup(d->d_name);

                        l->resume = d->d_off;
                        r = chown_step(w, l->fd, name, o);
                        if (r < 0)
                                return err_sys(reterr, -r, "change the owner of '%s'", name);
                } else if (r == 0) {
                        r = walk_pop(w);
                }
                if (r < 0)
                        return err_sys(reterr, -r, "read a directory");
        }
        return 0;
}

int path_chown_tree(int fd, uid_t uid, gid_t gid, struct err **reterr)
{
        AUTO(walk_release) struct walk w = {0};
        const struct owner o = {uid, gid};
        struct stat st;
        int r = fstat(fd, &st) < 0 ? -errno : 0;

        if (r == 0 && S_ISDIR(st.st_mode))
                r = walk_push(&w, fd, ".", &st);
        if (r == 0)
                r = chown_fd(fd, &o);
        if (r < 0)
                return err_sys(reterr, -r, "change its owner");
        return chown_walk(&w, &o, reterr);
}
