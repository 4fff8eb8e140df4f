/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* usage — what everything takes on disk, and what of it could go: `system df`. Counted as du counts, in blocks. */
#include "base/macros.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct dirs;
struct image;
struct container;
struct volume;

struct usage_sum {
        size_t total,
            active; /* images with a container, containers that run, volumes that a container has */
        uint64_t bytes, reclaimable;
};
struct usage_image {
        struct image *image; /* borrowed of the list; so below */
        size_t containers;
        uint64_t size, shared;
};
struct usage_container {
        struct container *container;
        uint64_t bytes; /* of its writable layer */
};
struct usage_volume {
        struct volume *volume;
        uint64_t bytes;
        size_t links; /* containers that have it */
};
struct usage {
        struct usage_image *images; /* newest first */
        struct usage_container *containers;
        struct usage_volume *volumes; /* by name */
        struct usage_sum image_sum, container_sum, volume_sum;
        /* Whose they are. */
        struct image **image_list;
        struct container **container_list;
        struct volume **volume_list;
};
int usage_read(const struct dirs *d, struct usage **ret, struct err **reterr);
struct usage *usage_free(struct usage *u);
DEFINE_CLEANUP(struct usage *, usage_free);
