/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * layer_internal — what the files that unpack a layer share: the job, and its three parts: parents (where an entry goes), attributes (owner,
 * mode, extended attributes, times), entries.
 */
#include "image/layer.h"
#include "image/recipe.h"
#include "image/tar.h"

#include <limits.h>
#include <sys/stat.h>

#define LAYER_FS_DIR       "fs"
#define LAYER_INFO_NAME    "info.json"
#define LAYER_IMPLIED_MODE 0755u

/* Distinct ids; sorted. */
struct owner_set {
        uint32_t *v;
        size_t n, cap;
};
int owner_set_add(struct owner_set *s, uint32_t id); /* -E2BIG above LAYER_MAX_OWNERS */
/* Runs of ids whose host ids run in parallel. @host turns a true id into the host's. */
struct layer_owners owner_set_finish(struct owner_set *s, uint32_t (*host)(const void *, uint32_t),
                                     const void *arg);

/* True id → id on disk as U sees it. *ret_folded: it had no place. */
uint32_t layer_map_id(const struct id_map *map, uint32_t id, bool *ret_folded);

struct unpack {
        const struct layer_unpack_opts *o;
        struct stream *s;
        struct tar *tar;
        struct recipe_writer *recipe;
        struct layer_info info;
        struct owner_set uids, gids;

        int layer_fd, fs_fd;
        int kept_fd; /* -EBADF until something is kept */
        uint64_t n_kept;

        /* The directory of the latest entry. */
        bool have_parent;
        char parent_name[PATH_MAX]; /* as the archive says it, cleaned; "" is the root */
        char parent_path[PATH_MAX]; /* where it really is, below fs/ */
        int parent_fd;              /* O_PATH */
        bool parent_setgid;

        char name[PATH_MAX], base[NAME_MAX + 1]; /* of the entry: cleaned, and its last component */
        char path[PATH_MAX];                     /* where it really is */

        /* Directory times wait for the end, in a nameless file once they are many. */
        int times_fd;
        char *times;
        size_t times_len;

        bool has_root;    /* an entry was the root itself */
        bool default_acl; /* seen: new files may inherit entries that the archive does not have */
        uint32_t n_devices, n_xattrs_lost;
        char first_xattr_lost[512];
};

/* ---- layer_parent.c ---- */
/* "a/./b//c" → "a/b/c", "/" and "./" → "". ".." that leads out, or a component above NAME_MAX: words in *reterr. */
int unpack_clean_name(struct unpack *u, const char *raw, char ret[PATH_MAX], struct err **reterr);
/* Makes u->parent_* the directory @dir (cleaned) of the merged tree, in this layer. */
int unpack_open_parent(struct unpack *u, const char *dir, struct err **reterr);
void unpack_forget_parent(struct unpack *u);
/* Descriptor (O_PATH) of what the merged tree has at the cleaned @name; its directory is resolved, its last component not followed. *ret_path:
 * where it really is; *ret_lower: it is not in this layer. -ENOENT without words when there is nothing. */
int unpack_find(struct unpack *u, const char *name, char ret_path[PATH_MAX], bool *ret_lower,
                struct err **reterr);
/* Empties the place of u->path for an entry that is no directory, or is a directory and @dir. 1: a directory is there and stays. Sets *ret_whiteout
 * when a whiteout was there. */
int unpack_clear_place(struct unpack *u, bool dir, bool *ret_whiteout, struct err **reterr);

/* ---- layer_attr.c ---- */
struct unpack_attr {
        uint32_t uid, gid; /* true ones */
        uint32_t mode;
        int64_t mtime;
        uint32_t mtime_ns; /* UTIME_OMIT: leave it */
        const struct tar_xattr *xattrs;
        size_t n_xattrs;
};
struct unpack_place {
        int dirfd; /* O_PATH will do */
        const char *name;
        int fd; /* of the inode itself, writable; -EBADF: none */
        mode_t type;
        bool existing; /* not made by us just now with mode & 0777 as uid 0, gid 0 */
};
struct unpack_attr unpack_attr_of(const struct tar_entry *e);
/* The true owners of an inode of a lower layer, as far as the maps can tell. No attributes. */
struct unpack_attr unpack_attr_of_lower(const struct unpack *u, const struct stat *st);
/* Owner, mode, extended attributes, and times but for directories. */
int unpack_set_attr(struct unpack *u, const struct unpack_place *p, const struct unpack_attr *a,
                    struct err **reterr);
/* Remembers owner and mode in the recipe and the sets. */
int unpack_record(struct unpack *u, const char *path, const struct unpack_attr *a,
                  struct err **reterr);
/* For a directory at @path: now in memory, at the end on disk. */
int unpack_later_times(struct unpack *u, const char *path, const struct unpack_attr *a,
                       struct err **reterr);
int unpack_write_times(struct unpack *u, struct err **reterr);
/* Names that mean something inside a container and that it may have. */
bool layer_xattr_is_kept(const char *name);
/* Copies the extended attributes of @from to @to; either may be O_PATH. 0 or -errno. */
int layer_copy_xattrs(int from, int to, bool keep_own);
/* The same for what is copied from a lower layer; u->info says afterwards what came along. */
int unpack_copy_xattrs(struct unpack *u, int from, int to);
int unpack_fail(struct unpack *u, int errnum, const char *doing,
                struct err **reterr); /* "WHAT: 'name': doing: why" */

/* ---- layer_acl.c ---- */
#define FILE_CAPS   "security.capability"
#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
/* Replaces the ids of the entries for named users and groups. */
typedef uint32_t (*layer_acl_fn)(void *arg, bool group, uint32_t id);
void layer_acl_map(unsigned char *acl, size_t n, layer_acl_fn fn, void *arg);
/* U's id → what it is on the host → the id of the archive that was stored as that → where @maps put it; ID_NONE: no owner of the layer. */
uint32_t layer_reown_id(const struct layer_info *info, const struct layer_maps *maps, bool group,
                        uint32_t id);
/* Gives a copy the ACLs of the original, with the ids of @maps; either may be O_PATH. 0 or -errno. */
int layer_acl_reown(int from, int to, const struct layer_info *info, const struct layer_maps *maps);

/* ---- layer_entry.c ---- */
int unpack_entry(struct unpack *u, const struct tar_entry *e, struct err **reterr);
