/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* copy_internal — the parts of kelp cp (image_protocol.h, "copy"). */
#include "idmap/idmap.h"
#include "image/transfer.h"

#include <sys/stat.h>

/* Where a name leads: a directory, and a name in it that is no link, or "." for the directory itself. */
struct copy_place {
        int dir;
        char *name;
};
struct copy_side {
        int root;
        const char *what, *path, *name; /* @name: what it is called at the destination */
        bool container, directory, contents, follow;
        bool stream; /* an archive, and nothing of the above but @what */
        struct id_map uid, gid;
        struct transfer_place *volumes; /* of Kelp's, that are mounted in it */
        size_t n_volumes;
        struct copy_place place;
};
struct copy {
        struct copy_side from, to;
        struct transfer x;
};
/* Sets s->place. What is there can be copied. */
int copy_find_source(struct copy_side *s, struct stat *ret, struct err **reterr);
/* Sets s->place. 1: it is a directory, 0: anything else, or nothing. */
int copy_find_destination(struct copy_side *s, bool dir_comes, struct err **reterr);
/* @name in the place found. */
int copy_open_directory(const struct copy_side *s, const char *name, struct err **reterr);
/* copy_stream.c */
int copy_to_stream(struct copy *c, struct err **reterr);
int copy_from_stream(struct copy *c, struct err **reterr);
