/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* commit_internal — the image that a container was made from, and the config of the one that it becomes. */
#include "base/str.h"
#include "image/manifest.h"

#include <stdbool.h>
#include <stdint.h>

struct container_source;
struct err;
struct json_object;
struct tool;

struct commit_request {
        const char *image, *created_by, *author, *message, *name;
        struct strv changes;
        bool docker, squash;
};
void commit_request_release(struct commit_request *q);
int commit_request_read(const struct tool *t, struct commit_request *q, struct err **reterr);

/* The layers below the new one. */
struct commit_base {
        struct json_object *config; /* NULL: the image is gone, only its layers are there */
        struct strv diff_ids;
        struct descriptor_list
            descriptors; /* as its manifest has them; else one for each diff-id */
};
void commit_base_release(struct commit_base *b);
int commit_base_read(const struct tool *t, const struct commit_request *q,
                     const struct container_source *s, struct commit_base *ret,
                     struct err **reterr);
/* Everything but rootfs: what was typed is checked here, before any work. */
int commit_config_make(const struct tool *t, const struct commit_request *q,
                       const struct commit_base *base, struct json_object **ret,
                       struct err **reterr);
