/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * image_job — runs kelp-image (or kelp-changes) and listens to it (image_protocol.h). For callers outside U: the command line, containers.
 */
#include "image/image_protocol.h"

#include <stdint.h>

struct err;
struct dirs;
struct strv;
struct id_map;
struct json_object;

struct image_job {
        const char *verb;
        const char *program;         /* IMAGE_PROGRAM; CHANGES_PROGRAM for "changes" */
        struct json_object *request; /* borrowed; NULL: {} */
        int in_fd, out_fd;           /* borrowed; -EBADF: /dev/null */
        void (*progress)(void *arg, const char *item, uint64_t done, uint64_t total); /* NULL ok */
        void (*warning)(void *arg, const char *text);                                 /* NULL ok */
        void *arg;
};
#define IMAGE_JOB_INIT(v)                                                                          \
        ((struct image_job){                                                                       \
            .verb = (v), .program = IMAGE_PROGRAM, .in_fd = -EBADF, .out_fd = -EBADF})

/* Waits for its end. *ret_results (NULL ok): array of the result messages, on failure too (what was finished before); the
 * caller owns it. */
int image_job_run(const struct dirs *d, const struct image_job *job,
                  struct json_object **ret_results, struct err **reterr);

/* Deletes entries of tmp/, inside U. */
int image_job_remove_trees(const struct dirs *d, const struct strv *names, struct err **reterr);
/* Makes the variants of layers for containers with these maps (store_layer_path() said -ENOENT). */
int image_job_reown(const struct dirs *d, const struct strv *layers, const struct id_map *uid,
                    const struct id_map *gid, struct err **reterr);
/* The ids of whom an image's programs are for (kelp-image's image_user.c): 1; 0: root. @volumes: its VOLUME directories. */
int image_job_user(const struct dirs *d, const struct strv *layers, const char *user,
                   const struct strv *volumes, uint32_t *ret_uid, uint32_t *ret_gid,
                   struct err **reterr);
/* Storage driver "copy": merges the layers, lowest first, into the empty directory @target (relative to the data root), with the owners
 * that a container with these maps needs. */
int image_job_flatten(const struct dirs *d, const struct strv *layers, const struct id_map *uid,
                      const struct id_map *gid, const char *target, struct err **reterr);
