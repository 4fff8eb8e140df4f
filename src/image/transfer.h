/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * transfer — files from one tree into another: kelp cp's way of copying.
 *
 * Process: kelp-image, confined. One of the trees, or both, belong to a container that may change them meanwhile: every step starts from a
 * descriptor of the directory it is in, names are single components that are never followed, and never "..", so whatever is put
 * in the way, nothing outside the two trees is read or written.
 *
 * A file gets its name when it is complete: what had the name before stays until then. Sockets and devices are left out and counted. Holes and
 * times are kept; a file that is being written to is copied up to the size it had in the beginning.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct id_map;
struct tool;

enum transfer_left {
        TRANSFER_SOCKET,
        TRANSFER_DEVICE,
        TRANSFER_OWNER,
        TRANSFER_KERNEL,
        TRANSFER_LEFT_COUNT
};
/* A directory, whatever it is called. */
struct transfer_place {
        uint64_t dev, ino;
};
struct transfer {
        struct tool *t;
        bool overwrite; /* a directory may make room for what is none, and the other way */
        bool keep;      /* owners, setuid bits, extended attributes as in the source */
        bool own; /* without .keep: give everything to .uid and .gid; else it is whoever makes it */
        /* With .keep: setuid and setgid bits stay on the mount of .to_root and on mounts that begin at one of .volumes; -EBADF: nowhere. */
        int to_root;
        const struct transfer_place *volumes; /* borrowed */
        size_t n_volumes;
        uint32_t uid, gid;
        /* With .keep: ids as the source's container has them become those of the destination's; NULL: the same. */
        const struct id_map *from_uid, *from_gid, *to_uid, *to_gid;
        uint64_t bytes; /* copied so far */
        uint64_t left[TRANSFER_LEFT_COUNT];
        char first[TRANSFER_LEFT_COUNT][256];
        dev_t into_dev; /* a directory that is not copied: the one that is copied into */
        ino_t into_ino;
};
/* @from_dir/@name becomes @to_dir/@to_name. Both directories may be O_PATH. @what: how the user calls the source, for messages. */
int transfer_one(struct transfer *x, int from_dir, const char *name, int to_dir,
                 const char *to_name, const char *what, struct err **reterr);
/* Everything in @from_dir goes into @to_dir, which keeps its attributes. */
int transfer_contents(struct transfer *x, int from_dir, int to_dir, const char *what,
                      struct err **reterr);
/* Tells the user what was left out. */
void transfer_warnings(const struct transfer *x);
