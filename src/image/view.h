/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * view — the merged tree of stacked fs directories (overlay's forms of whiteouts and opaque directories, fuse-overlayfs' too), looked at from
 * outside: nothing is mounted, so it works whatever the storage driver, running or not, and in a process that may not mount.
 *
 * Process: kelp-image. The directories may be a container's own and change meanwhile: no link is followed, no mount is entered unless that is asked for, and what
 * vanishes is simply not there.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct err;

struct view {
        const int *fds; /* topmost first; borrowed */
        size_t n;
        bool
            fuse; /* the topmost is written by fuse-overlayfs: ".wh.NAME" may be a whiteout there */
        bool mounts; /* what is mounted in it is entered */
        bool plain;  /* an ordinary tree: nothing in the topmost hides anything */
};

/* One directory: the places in the stack that contribute to it. */
struct view_dir {
        const struct view *view;
        char *path;      /* below each fs directory; "" is the root */
        uint32_t *layer; /* places in view->fds, topmost first */
        int *fds;        /* -EBADF until they are needed */
        size_t n;
        bool opaque; /* the topmost hides those below, if there are any */
};
struct view_dir *view_root(const struct view *v);
/* The directory @name of @dir, NULL when there is none (or something else). @path: its path. */
struct view_dir *view_enter(struct view_dir *dir, const char *name, const char *path);
/* 1: *ret_st, and *ret_layer (NULL ok) is the place in view->fds that has it; 0: there is nothing. */
int view_lookup(struct view_dir *dir, const char *name, struct stat *ret_st, uint32_t *ret_layer);
/* Descriptor of @dir's i-th place, -errno. Owned by @dir. */
int view_dir_fd(struct view_dir *dir, size_t i);
/* Descriptors are opened again when they are needed: a walk does not hold those of the way it came. */
void view_dir_rest(struct view_dir *dir);
struct view_dir *view_dir_free(struct view_dir *dir);
DEFINE_CLEANUP(struct view_dir *, view_dir_free);

/* Is this entry of the directory's i-th place a whiteout, in any of its forms? */
bool view_is_whiteout(struct view_dir *dir, size_t i, const char *name, const struct stat *st);
/* Does that place hide @name by an entry of another name? */
bool view_hides_by_name(struct view_dir *dir, size_t i, const char *name);

/* Where @path (absolute, links are followed inside the view) leads: "" for the root, else without a slash in front. Components that are missing
 * are taken as they are. NULL: it leads round in circles, or is too long. Caller owns. */
char *view_resolve(const struct view *v, const char *path);

/* ---- names of a directory, sorted ---- */
struct view_name {
        uint32_t at;    /* in the arena */
        uint32_t order; /* smaller wins */
};
struct view_names {
        char *arena;
        size_t len, cap;
        struct view_name *v;
        size_t n, cap_v;
};
/* Adds the names of @fd (a directory) with this order. 0 or -errno. */
int view_names_add(struct view_names *names, int fd, uint32_t order);
void view_names_sort(struct view_names *names); /* and drops all but the first of equal ones */
void view_names_release(struct view_names *names);
