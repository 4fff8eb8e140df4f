/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * layer — from an archive to a layer directory and back: fs/ (files, overlay form of whiteouts), recipe (all bytes of the archive that are
 * not file content), info.json. docs/architecture.md, "Ownership of layers" and "Recipes".
 *
 * Process: kelp-image, inside U with all capabilities there. Archives are hostile: names are resolved inside the layer's
 * root, the last component is never followed, sizes and counts have limits.
 * Layers are named by their directory, see layer_info.h: `result.name` is what to rename the directory to.
 * Durability: nothing here syncs; the caller does syncfs once per image, then renames into place.
 */
#include "base/macros.h"
#include "image/decompress.h"
#include "image/layer_info.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct id_map;

/* Ids on disk as seen in U are uid/gid (container → U) of the archive's ids; what does not fit becomes the container's root.
 * host_uid/host_gid (U → caller's namespace) turn them into the host ids that info.json records. */
struct layer_maps {
        const struct id_map *uid, *gid;
        const struct id_map *host_uid, *host_gid;
};

struct layer_limits {
        uint64_t entries;   /* headers in the archive */
        uint64_t inodes;    /* what they make, with the directories that only names imply */
        uint64_t bytes;     /* sum of the files' apparent sizes, holes included */
        uint64_t file_size; /* of one file */
};
#define LAYER_LIMITS_DEFAULT                                                                       \
        ((struct layer_limits){.entries = 16u << 20,                                               \
                               .inodes = 32u << 20,                                                \
                               .bytes = 1ull << 40,                                                \
                               .file_size = 1ull << 40})

struct layer_unpack_opts {
        struct layer_maps maps;
        /* The layers below, lowest first: directory names and descriptors of their fs directories. Entries are applied as if on the
         * merged tree: parents that this archive lacks are looked up there, hard links to lower files are copied up. */
        char *const *lower_names;
        const int *lower_fds;
        size_t n_lowers;
        struct layer_limits limits;
        bool plain; /* no layer but a tree: names of whiteouts are files as any others */
        /* A line for the user, at most one of each kind per layer ("left out 3 device nodes …"). NULL ok. */
        void (*warn)(void *userdata, const char *text);
        void *warn_data;
};
struct layer_result {
        char name[LAYER_NAME_MAX]; /* of the layer directory, once published */
        struct layer_info info;    /* release with layer_info_release() */
        bool has_root;             /* the archive said whose the root is, and its mode */
};
/* Makes dir_fd/@name (must not exist) from @s, to the end of the stream. On failure what was made stays in dir_fd for the caller's cleanup. */
int layer_unpack(struct stream *s, int dir_fd, const char *name, const struct layer_unpack_opts *o,
                 struct layer_result *ret, struct err **reterr);

/* Gives the archive's bytes again, the very same. @out gets them in order: 0 or -errno. Its digest is checked against info.json:
 * ERR_INVALID "damaged" when they differ (after everything was given out: the caller must not publish before this returns 0). */
typedef int (*layer_out_fn)(void *userdata, const void *data, size_t n);
int layer_pack(int layer_fd, layer_out_fn out, void *userdata, struct err **reterr);

/* Makes the variant of a layer for these maps (layer_info_dir() with container → caller's namespace), unless it is there. The copy is
 * made in @tmp_fd (a directory of the same file system, the caller's transaction) and renamed; two at once are fine. *ret_dir: its name. */
int layer_reown(int layer_fd, int tmp_fd, const struct layer_maps *maps,
                char ret_dir[LAYER_DIR_MAX], struct err **reterr);

/* Storage driver "copy": merges fs directories (lowest first, overlay form) into the empty directory @target_fd: a plain tree without whiteouts. */
int layer_copy_stack(const int *fs_fds, size_t n, int target_fd, struct err **reterr);
