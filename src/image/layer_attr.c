/* SPDX-License-Identifier: Apache-2.0 */
/* Owners, modes, extended attributes and times of what an archive brings. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/str.h"
#include "base/sys.h"
#include "idmap/idmap.h"
#include "image/layer_internal.h"
#include "image/whiteout.h"

#define TIMES_SIZE ((size_t)256 * 1024)
#define BENEATH    (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

int unpack_fail(struct unpack *u, int errnum, const char *doing, struct err **reterr)
{
        int r = err_sys(reterr, errnum, "%s: '%s': %s", stream_what(u->s), u->name, doing);

        if (errnum == ENOSPC)
                (void)err_hint(reterr, r,
                               "the file system is full: kelp image prune, or free space");
        if (errnum == EDQUOT)
                (void)err_hint(reterr, r,
                               "your disk quota is used up: kelp image prune, or ask for more");
        return r;
}

/* ---- owners ---- */

uint32_t layer_map_id(const struct id_map *map, uint32_t id, bool *ret_folded)
{
        uint32_t v = id_map_to_outside(map, id);

        *ret_folded = v == ID_NONE;
        if (v == ID_NONE)
                v = id_map_to_outside(map, 0);
        return v == ID_NONE ? 0 : v;
}

struct unpack_attr unpack_attr_of(const struct tar_entry *e)
{
        return (struct unpack_attr){.uid = e->uid,
                                    .gid = e->gid,
                                    .mode = e->mode,
                                    .mtime = e->mtime,
                                    .mtime_ns = e->mtime_ns,
                                    .xattrs = e->xattrs,
                                    .n_xattrs = e->n_xattrs};
}

struct unpack_attr unpack_attr_of_lower(const struct unpack *u, const struct stat *st)
{
        uint32_t uid = id_map_to_inside(u->o->maps.uid, st->st_uid);
        uint32_t gid = id_map_to_inside(u->o->maps.gid, st->st_gid);

        return (struct unpack_attr){.uid = uid == ID_NONE ? 0 : uid,
                                    .gid = gid == ID_NONE ? 0 : gid,
                                    .mode = st->st_mode & 07777,
                                    .mtime = st->st_mtim.tv_sec,
                                    .mtime_ns = (uint32_t)st->st_mtim.tv_nsec};
}

static int too_many_owners(struct unpack *u, struct err **reterr)
{
        return err_new(reterr, ERR_INVALID, "%s: its files have more than %u owners",
                       stream_what(u->s), LAYER_MAX_OWNERS);
}

static int remember_owner(struct unpack *u, uint32_t uid, uint32_t gid, struct err **reterr)
{
        if (owner_set_add(&u->uids, uid) < 0 || owner_set_add(&u->gids, gid) < 0)
                return too_many_owners(u, reterr);
        return 0;
}

int unpack_record(struct unpack *u, const char *path, const struct unpack_attr *a,
                  struct err **reterr)
{
        struct recipe_node n = {.path = path, .uid = a->uid, .gid = a->gid, .mode = a->mode};
        int r = remember_owner(u, a->uid, a->gid, reterr);

        return r < 0 ? r : recipe_put_node(u->recipe, &n, reterr);
}

/* ---- extended attributes ---- */

/* What a file system or the kernel may refuse to an ordinary user's file without the image being wrong. ENOSPC: ext4 has one block
 * for all attributes of a file. */
static bool xattr_may_fail(int errnum, size_t size)
{
        return errnum == ENOTSUP || errnum == EPERM || errnum == EACCES || errnum == EINVAL ||
               errnum == E2BIG || errnum == ERANGE || (errnum == ENOSPC && size > 1024);
}

static uint32_t get_le32(const unsigned char *p)
{
        return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le32(unsigned char *p, uint32_t v)
{
        for (unsigned i = 0; i < 4; i++)
                p[i] = (unsigned char)(v >> 8 * i);
}

struct acl_job {
        struct unpack *u;
        bool too_many;
};

/* The kernel reads the ids as U's; a variant has to find the true ones again, so they count as owners. */
static uint32_t acl_id(void *arg, bool group, uint32_t id)
{
        struct acl_job *j = arg;
        bool folded;

        if (owner_set_add(group ? &j->u->gids : &j->u->uids, id) < 0)
                j->too_many = true;
        return layer_map_id(group ? j->u->o->maps.gid : j->u->o->maps.uid, id, &folded);
}

static int map_acl(struct unpack *u, unsigned char *acl, size_t n, struct err **reterr)
{
        struct acl_job j = {.u = u};

        layer_acl_map(acl, n, acl_id, &j);
        return j.too_many ? too_many_owners(u, reterr) : 0;
}

/* Revision 3 names the namespace's root by a number that was true elsewhere: back to revision 2, which the kernel ties to ours. */
static size_t normalise_caps(unsigned char *caps, size_t n)
{
        if (n != XATTR_CAPS_SZ_3 || (get_le32(caps) & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3)
                return n;
        put_le32(caps, (get_le32(caps) & ~(uint32_t)VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2);
        return XATTR_CAPS_SZ_2;
}

static void xattr_lost(struct unpack *u, const char *name)
{
        if (u->n_xattrs_lost++ == 0)
                (void)snprintf(u->first_xattr_lost, sizeof(u->first_xattr_lost),
                               "%.200s of '%.250s'", name, u->name);
}

/* What variants and later files have to know of an attribute that was set. */
static void note_xattr(struct unpack *u, const char *name)
{
        u->info.setuid |= strcmp(name, FILE_CAPS) == 0;
        u->default_acl |= strcmp(name, ACL_DEFAULT) == 0;
        u->info.acls |= str_starts(name, "system.");
}

static int set_xattr(struct unpack *u, int fd, const struct tar_xattr *x, struct err **reterr)
{
        AUTO_FREE unsigned char *value = xmalloc(x->size + 1);
        size_t n = x->size;
        int r = 0;

        memcpy(value, x->value, n);
        if (str_starts(x->name, "system."))
                r = map_acl(u, value, n, reterr);
        else if (strcmp(x->name, FILE_CAPS) == 0)
                n = normalise_caps(value, n);
        if (r < 0)
                return r;
        if (fsetxattr(fd, x->name, value, n, 0) < 0) {
                if (!xattr_may_fail(errno, n))
                        return unpack_fail(u, errno, "set an extended attribute", reterr);
                xattr_lost(u, x->name);
                return 0;
        }
        note_xattr(u, x->name);
        return 0;
}

static int set_xattrs(struct unpack *u, const struct unpack_place *p, const struct unpack_attr *a,
                      struct err **reterr)
{
        AUTO_CLOSE int opened = -EBADF;
        int fd = p->fd, r = 0;

        for (size_t i = 0; r == 0 && i < a->n_xattrs; i++) {
                if (!layer_xattr_is_kept(a->xattrs[i].name))
                        continue;
                if (!S_ISREG(p->type) && !S_ISDIR(p->type)) { /* the kernel has none there */
                        xattr_lost(u, a->xattrs[i].name);
                        continue;
                }
                if (fd < 0) {
                        fd = opened = openat(p->dirfd, p->name,
                                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
                        if (fd < 0)
                                return unpack_fail(u, errno, "open", reterr);
                }
                r = set_xattr(u, fd, &a->xattrs[i], reterr);
        }
        return r;
}

/* A new inode inherits the entries of its directory's default ACL, which the archive knows nothing of. */
static void drop_inherited_acl(const struct unpack_place *p)
{
        AUTO_CLOSE int opened = -EBADF;
        int fd = p->fd;

        if (!S_ISREG(p->type) && !S_ISDIR(p->type))
                return;
        if (fd < 0)
                fd = opened =
                    openat(p->dirfd, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return;
        (void)fremovexattr(fd, ACL_ACCESS);
        if (S_ISDIR(p->type))
                (void)fremovexattr(fd, ACL_DEFAULT);
}

static bool copy_wants(const char *name, bool keep_own)
{
        return layer_xattr_is_kept(name) || (keep_own && whiteout_is_own_xattr(name));
}

int layer_copy_xattrs(int from, int to, bool keep_own)
{
        char from_path[FD_PATH_MAX], to_path[FD_PATH_MAX];
        AUTO_FREE char *names = NULL, *value = NULL;
        ssize_t n;

        /* O_PATH descriptors have no f*xattr(); their /proc links lead to the very inode. */
        fd_path(from, from_path);
        fd_path(to, to_path);
        n = listxattr(from_path, NULL, 0);
        if (n <= 0)
                return n < 0 && errno != ENOTSUP ? -errno : 0;
        names = xmalloc((size_t)n);
        n = listxattr(from_path, names, (size_t)n);
        if (n < 0)
                return -errno;
        value = xmalloc(XATTR_SIZE_MAX);
        for (char *p = names; p < names + n; p += strlen(p) + 1) {
                ssize_t size;

                if (!copy_wants(p, keep_own))
                        continue;
                size = getxattr(from_path, p, value, XATTR_SIZE_MAX);
                if (size < 0)
                        return -errno;
                if (setxattr(to_path, p, value, (size_t)size, 0) < 0)
                        return -errno;
        }
        return 0;
}

/* U's ids stay, as they were mapped when the lower layer was unpacked; the true ones count as owners here too. */
static uint32_t acl_lower_id(void *arg, bool group, uint32_t id)
{
        struct acl_job *j = arg;
        uint32_t v = id_map_to_inside(group ? j->u->o->maps.gid : j->u->o->maps.uid, id);

        if (v != ID_NONE && owner_set_add(group ? &j->u->gids : &j->u->uids, v) < 0)
                j->too_many = true;
        return id;
}

int unpack_copy_xattrs(struct unpack *u, int from, int to)
{
        static const char *const noted[] = {FILE_CAPS, ACL_ACCESS, ACL_DEFAULT};
        AUTO_FREE unsigned char *value = NULL;
        struct acl_job j = {.u = u};
        char path[FD_PATH_MAX];
        int r = layer_copy_xattrs(from, to, false);

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(noted); i++) {
                ssize_t n = getxattr(fd_path(to, path), noted[i], NULL, 0);

                if (n <= 0)
                        continue;
                note_xattr(u, noted[i]);
                free(value);
                value = xmalloc((size_t)n);
                n = getxattr(path, noted[i], value, (size_t)n);
                if (n > 0 && str_starts(noted[i], "system."))
                        layer_acl_map(value, (size_t)n, acl_lower_id, &j);
        }
        return r < 0 ? r : j.too_many ? -E2BIG : 0;
}

/* ---- all of them ---- */

static int set_owner(struct unpack *u, const struct unpack_place *p, uint32_t uid, uint32_t gid,
                     struct err **reterr)
{
        int r = p->fd >= 0 ? fchown(p->fd, uid, gid)
                           : fchownat(p->dirfd, p->name, uid, gid, AT_SYMLINK_NOFOLLOW);

        return r < 0 ? unpack_fail(u, errno, "set the owner", reterr) : 0;
}

/* Never reached for symbolic links, so following is no matter. */
static int set_mode(struct unpack *u, const struct unpack_place *p, uint32_t mode,
                    struct err **reterr)
{
        int r = p->fd >= 0 ? fchmod(p->fd, mode) : fchmodat(p->dirfd, p->name, mode, 0);

        return r < 0 ? unpack_fail(u, errno, "set the mode", reterr) : 0;
}

static int set_times(struct unpack *u, const struct unpack_place *p, const struct unpack_attr *a,
                     struct err **reterr)
{
        struct timespec t = {.tv_sec = a->mtime, .tv_nsec = a->mtime_ns};
        struct timespec ts[2] = {t, t};
        int r = p->fd >= 0 ? futimens(p->fd, ts)
                           : utimensat(p->dirfd, p->name, ts, AT_SYMLINK_NOFOLLOW);

        return r < 0 ? unpack_fail(u, errno, "set the times", reterr) : 0;
}

/* A setuid bit for a user that does not exist here would be one for the user it was folded onto. */
static uint32_t mode_on_disk(const struct unpack_place *p, uint32_t mode, bool no_uid, bool no_gid)
{
        if (S_ISDIR(p->type))
                return mode;
        return mode & ~((no_uid ? 04000u : 0u) | (no_gid ? 02000u : 0u));
}

int unpack_set_attr(struct unpack *u, const struct unpack_place *p, const struct unpack_attr *a,
                    struct err **reterr)
{
        bool no_uid, no_gid, inherits = p->existing || u->parent_setgid;
        uint32_t uid = layer_map_id(u->o->maps.uid, a->uid, &no_uid);
        uint32_t gid = layer_map_id(u->o->maps.gid, a->gid, &no_gid);
        uint32_t mode = mode_on_disk(p, a->mode, no_uid, no_gid);
        int r = 0;

        u->info.folded |= no_uid || no_gid;
        u->info.setuid |= S_ISREG(p->type) && (a->mode & 06000);
        if (u->default_acl)
                drop_inherited_acl(p);
        /* Owner first: the kernel takes setuid bits and capabilities away when it changes. */
        if (uid != 0 || gid != 0 || inherits)
                r = set_owner(u, p, uid, gid, reterr);
        if (r == 0 && !S_ISLNK(p->type) && (mode & 07000 || inherits || u->default_acl))
                r = set_mode(u, p, mode, reterr);
        if (r == 0 && a->n_xattrs > 0)
                r = set_xattrs(u, p, a, reterr);
        if (r == 0 && !S_ISDIR(p->type))
                r = set_times(u, p, a, reterr);
        return r;
}

/* ---- times of directories: making an entry in one would change them again ---- */

struct times_record {
        int64_t s;
        uint32_t ns, len; /* the path and its NUL */
};

static int flush_times(struct unpack *u, struct err **reterr)
{
        uint32_t n = (uint32_t)u->times_len;
        int r;

        if (u->times_fd < 0) {
                u->times_fd = openat(u->layer_fd, ".times",
                                     O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (u->times_fd < 0 || unlinkat(u->layer_fd, ".times", 0) < 0)
                        return unpack_fail(u, errno, "remember directory times", reterr);
        }
        r = io_write_full(u->times_fd, &n, sizeof(n));
        if (r == 0)
                r = io_write_full(u->times_fd, u->times, n);
        u->times_len = 0;
        return r < 0 ? unpack_fail(u, -r, "remember directory times", reterr) : 0;
}

int unpack_later_times(struct unpack *u, const char *path, const struct unpack_attr *a,
                       struct err **reterr)
{
        struct times_record t = {a->mtime, a->mtime_ns, (uint32_t)strlen(path) + 1};

        if (!u->times)
                u->times = xmalloc(TIMES_SIZE);
        if (u->times_len + sizeof(t) + t.len > TIMES_SIZE) {
                int r = flush_times(u, reterr);

                if (r < 0)
                        return r;
        }
        memcpy(u->times + u->times_len, &t, sizeof(t));
        memcpy(u->times + u->times_len + sizeof(t), path, t.len);
        u->times_len += sizeof(t) + t.len;
        return 0;
}

/* A later entry may have put something else there: then it is not ours to touch, and what it is now is no way to follow. */
static void apply_times(struct unpack *u, const struct times_record *t, const char *path)
{
        struct timespec mtime = {.tv_sec = t->s, .tv_nsec = t->ns};
        struct timespec ts[2] = {mtime, mtime};
        struct stat st;
        AUTO_CLOSE int fd = sys_openat2(u->fs_fd, path[0] ? path : ".",
                                        O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, BENEATH);

        if (fd < 0)
                return;
        if (t->ns != UTIME_OMIT)
                (void)utimensat(fd, "", ts, AT_EMPTY_PATH);
        if (fstat(fd, &st) == 0)
                u->info.disk_bytes += (uint64_t)st.st_blocks * 512;
}

static void apply_block(struct unpack *u)
{
        struct times_record t;

        for (size_t at = 0; at < u->times_len; at += sizeof(t) + t.len) {
                memcpy(&t, u->times + at, sizeof(t));
                apply_times(u, &t, u->times + at + sizeof(t));
        }
}

int unpack_write_times(struct unpack *u, struct err **reterr)
{
        uint32_t n;
        int r;

        if (u->times_fd < 0) {
                apply_block(u);
                return 0;
        }
        r = flush_times(u, reterr);
        if (r < 0)
                return r;
        if (lseek(u->times_fd, 0, SEEK_SET) < 0)
                return unpack_fail(u, errno, "read directory times", reterr);
        while (io_read_some(u->times_fd, &n, sizeof(n)) == (ssize_t)sizeof(n)) {
                r = io_read_full(u->times_fd, u->times, MIN((size_t)n, TIMES_SIZE));
                if (r < 0)
                        return unpack_fail(u, -r, "read directory times", reterr);
                u->times_len = n;
                apply_block(u);
        }
        return 0;
}
