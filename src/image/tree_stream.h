/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * tree_stream — a walk as the bytes of an archive, to be read piece by piece: what was deleted becomes ".wh.NAME", a directory that hides what
 * was below it gets ".wh..wh..opq".
 *
 * Files that change while they are read keep the size they had in the beginning, cut or filled with zeros. Hard links among what the walk gives
 * are kept, holes too. Sockets and devices are left out, with a warning. Memory: buffers, and the names of files with several links.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct walk;
struct walk_entry;
struct id_map;
struct tree_stream;

struct tree_owner {
        uint32_t uid, gid;
};
struct tree_stream_opts {
        struct walk *walk;              /* borrowed */
        const struct id_map *uid, *gid; /* container → ids as we see them; empty: the same */
        bool layer; /* for a layer: names that would be whiteouts in it are left out */
        /* Where the map has folded the true owner of a lower file, it comes back: *o is changed. NULL ok. */
        void (*true_owner)(void *userdata, const struct walk_entry *e, struct tree_owner *o);
        void *userdata;
};
struct tree_stream *tree_stream_new(const struct tree_stream_opts *o);
/* A stream_read_fn: bytes, 0 at the end, -errno; the words are in tree_stream_error(). */
ssize_t tree_stream_read(void *tree_stream, void *buf, size_t n);
/* Once reading has ended: moves what went wrong to @reterr. 0 when nothing did. */
int tree_stream_error(struct tree_stream *s, struct err **reterr);
/* Lines for the user, at most one of each kind. */
void tree_stream_warnings(const struct tree_stream *s, void (*warn)(void *arg, const char *text),
                          void *arg);
uint64_t tree_stream_bytes(const struct tree_stream *s);
struct tree_stream *tree_stream_free(struct tree_stream *s);
DEFINE_CLEANUP(struct tree_stream *, tree_stream_free);
