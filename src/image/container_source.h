/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * container_source — the files of a container, as the verbs that look at them get them in their request (image_protocol.h): "changes", "commit",
 * "export".
 */
#include "base/str.h"
#include "idmap/idmap.h"
#include "image/walk.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct json_at;
struct tool;

struct container_source {
        const char *id; /* "" without a container in the store */
        int *fds;       /* the container's own directory, then its layers, topmost first; owned */
        size_t n;
        bool fuse, whole;
        struct id_map uid, gid; /* container → U; empty: the same */
        struct strv mounts;
        struct strv layers; /* names of the layers, lowest first */
};
int container_source_open(struct tool *t, struct container_source *ret, struct err **reterr);
/* A map of container → U in a request, as id_map_to_json() writes it. Absent: empty. */
int container_source_map(const struct json_at *root, const char *key, struct id_map *ret,
                         struct err **reterr);
void container_source_release(struct container_source *s);
/* Fills what is the same for all: now is the container's own directory, old its layers. */
void container_source_walk(const struct container_source *s, struct walk_opts *o);
/* The other way to look: everything, merged. */
void container_source_walk_all(const struct container_source *s, struct walk_opts *o);
/* ERR_NOT_FOUND when it was removed since it was opened: what was read then is no whole. */
int container_source_check(struct tool *t, const struct container_source *s, struct err **reterr);
