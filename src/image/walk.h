/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * walk — the tree of a container, in order (a directory before what is in it, names sorted), one entry at a time: what it has changed against its
 * layers, at the cost of what it has written; or all of it.
 *
 * Process: kelp-image. The tree may be hostile, and change meanwhile (view.h).
 */
#include "base/macros.h"
#include "image/view.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct err;
struct walk;

enum walk_kind { WALK_ADDED, WALK_CHANGED, WALK_DELETED };
struct walk_entry {
        enum walk_kind kind;
        const char *
            path; /* without a slash in front; "" the root. Valid until the next call, as everything here */
        struct stat st;     /* not of what was deleted */
        bool mounts;        /* it may lie on another mount */
        int root_fd;        /* the fs directory where it is: open @path below it */
        bool hides;         /* a directory: what the layers have at its place shows no more */
        bool in_old;        /* something was there before; */
        struct stat old;    /* this, */
        uint32_t old_layer; /* in that place of old.fds */
};

struct walk_opts {
        struct view
            now; /* the container's own fs directory; with its layers below it: everything is walked */
        struct view old; /* its layers, to compare with. n 0: everything counts as added */
        bool
            whole; /* now is a whole tree (storage driver "copy"): look at all of it, and compare */
        bool hides_as_one; /* do not list what an opaque directory hides: .hides says it */
        /* Absolute names of what a start puts into the tree by itself: mount points. They and the directories on the way to them do not
         * count, as long as nothing else was done there. NULL-terminated; NULL: everything counts. */
        char *const *mount_points;
        uint32_t root_uid, root_gid; /* the container's root, as on disk: who makes mount points */
        const char *only;            /* of what is in the root directory; NULL: all */
        bool root;                   /* give the root directory itself, if it has changed */
};
int walk_new(const struct walk_opts *o, struct walk **ret, struct err **reterr);
/* 1: *ret; 0: the end. ERR_INVALID: a name is longer than an archive or a system call takes. */
int walk_next(struct walk *w, const struct walk_entry **ret, struct err **reterr);
struct walk *walk_free(struct walk *w);
DEFINE_CLEANUP(struct walk *, walk_free);

/* Opens what an entry names, without following a link. -errno. */
int walk_open(const struct walk_entry *e, int flags);
