/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * tool — what every verb of kelp-image and kelp-changes gets: the store, U, the request, and the way to talk to the caller (image_protocol.h).
 *
 * Process: kelp-image or kelp-changes, inside U, confined. Signals that ask it to end are blocked and read from .signal_fd: long loops ask
 * tool_interrupted(), so that an interrupted job cleans up behind itself.
 */
#include "base/macros.h"
#include "idmap/idmap.h"
#include "image/layer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct dirs;
struct json_object;

struct tool {
        struct dirs *dirs;
        struct idmap_userns *userns;
        struct json_object *request;
        struct layer_maps maps; /* ids of archives → U → caller */
        struct id_map uid, gid; /* the identity over U: what maps points to */
        int status_fd, signal_fd;
        /* the current item of progress */
        char item[64];
        uint64_t total;
        int64_t last_ns;
};

bool tool_interrupted(const struct tool *t);
int tool_interrupted_error(struct err **reterr);
void tool_warn(struct tool *t, const char *text);
void tool_begin(struct tool *t, const char *item, uint64_t total);
void tool_progress(struct tool *t, uint64_t done); /* says so at most ten times a second */
void tool_end(struct tool *t, uint64_t done);
/* Takes @msg, adds the event. */
int tool_send_take(struct tool *t, const char *event, struct json_object *msg, struct err **reterr);

/* A source of bytes that ends with -ECANCELED when the job is interrupted, also while it waits for a pipe. */
struct tool_source {
        int fd, signal_fd;
        bool seekable;
        off_t pos;     /* seekable: next byte */
        uint64_t left; /* UINT64_MAX: to the end of the file */
};
ssize_t tool_source_read(void *source, void *buf, size_t n);

/* import.c: unpacks the archive on the input into dir_fd/layer. */
int tool_unpack_input(struct tool *t, int dir_fd, const char *what, bool plain,
                      struct layer_result *res, struct err **reterr);

/* changes.c: writes the archive to the output, with progress, and says what was left out. */
struct tree_stream;
int tool_write_tree(struct tool *t, struct tree_stream *s, struct err **reterr);

/* flatten.c: layers/<name>. */
int tool_open_layer(const struct tool *t, const char *name, struct err **reterr);

/* ---- verbs: 0 or < 0 ---- */
/* Ends with one without a name. A program of this kind (image_main.c) is made of its table: only what that names is linked. */
struct tool_verb {
        const char *name;
        int (*run)(struct tool *t, struct err **reterr);
};
extern const struct tool_verb tool_verbs[];

int tool_load(struct tool *t, struct err **reterr);
int tool_import(struct tool *t, struct err **reterr);
int tool_save(struct tool *t, struct err **reterr);
int tool_reown(struct tool *t, struct err **reterr);
int tool_flatten(struct tool *t, struct err **reterr);
int tool_volume_import(struct tool *t, struct err **reterr);
int tool_volume_fill(struct tool *t, struct err **reterr);
int tool_image_user(struct tool *t, struct err **reterr);
int tool_remove_trees(struct tool *t, struct err **reterr);
int tool_changes(struct tool *t, struct err **reterr);
int tool_export(struct tool *t, struct err **reterr);
int tool_commit(struct tool *t, struct err **reterr);
int tool_copy(struct tool *t, struct err **reterr);
