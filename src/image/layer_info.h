/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * layer_info — layers/<name>/info.json and the names of layer directories. Links libc and json-c only: the run path reads it.
 *
 * A layer directory is named by its diff-id's hex. Where the unpacked files depend on the layers below (a parent directory that the
 * archive does not hold, a hard link to a lower file), the same archive on another base gives other files; such a layer
 * is named <hex>-<32 hex digits of the chain below it> and says "needs_lower" in its info. Reusing a layer means looking for both.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct id_map;
struct json_object;

#define LAYER_HEX_LEN   64
#define LAYER_CHAIN_LEN 32
#define LAYER_NAME_MAX  (LAYER_HEX_LEN + 1 + LAYER_CHAIN_LEN + 1)
#define LAYER_DIR_MAX   24 /* "fs", "fs.<16 hex digits>" */
#define LAYER_MAX_OWNERS                                                                           \
        65536u /* distinct uids (and gids) in one layer; more is refused at unpacking */

/* <hex>-<chain> for a layer whose lower layers have @lowers as directory names, lowest first (@n may be 0). */
void layer_chain_name(const char *diff_hex, char *const *lowers, size_t n,
                      char ret[LAYER_NAME_MAX]);
bool layer_name_is_valid(const char *name);

/* Ids [id, id + count) of the archive are stored as [host, host + count), ids of the caller's namespace. */
struct layer_owner {
        uint32_t id, host, count;
};
struct layer_owners {
        struct layer_owner *v; /* sorted by id */
        size_t n;
};
uint32_t layer_owners_host(const struct layer_owners *o,
                           uint32_t id); /* ID_NONE when the layer has no such owner */

struct layer_info {
        char diff_id[72];     /* "sha256:…" */
        char blob_digest[72]; /* of the bytes it came as; = diff_id when it was not compressed */
        uint64_t blob_size;
        char format[8];      /* stream_format_name() of those bytes */
        uint64_t tar_size;   /* uncompressed */
        uint64_t bytes;      /* content of regular files */
        uint64_t disk_bytes; /* st_blocks of fs/ */
        uint64_t inodes, entries;
        bool setuid; /* holds setuid/setgid programs or file capabilities */
        bool needs_lower;
        bool acls;        /* POSIX ACLs: ids inside extended attributes */
        bool folded;      /* at least one owner had no place in the maps it was unpacked with */
        uint32_t skipped; /* device nodes and sockets: only in the recipe */
        struct layer_owners uids, gids;
};
void layer_info_release(struct layer_info *i);
int layer_info_read(int layer_fd, struct layer_info *ret, struct err **reterr);
int layer_info_write(int layer_fd, const struct layer_info *i, struct err **reterr);

/* Directory for containers with these maps (container → caller's namespace): "fs" when every used id has the host id it is stored
 * as, else "fs.<hash>", which may have to be made first (layer_reown()). Pure. An id outside the map counts as the container's root. */
void layer_info_dir(const struct layer_info *i, const struct id_map *uid, const struct id_map *gid,
                    char ret[LAYER_DIR_MAX]);
/* Bytes on disk of the inodes that the variant @dir ("fs.<hash>") did not copy, but has in common with fs or an older variant. */
uint64_t layer_variant_shared(int layer_fd, const char *dir);
/* Before the variant is published; 0 or -errno. */
int layer_variant_note_shared(int layer_fd, const char *dir, uint64_t bytes);
