/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* store_usage — what images take on disk, counted as du counts: in blocks. */
#include <stddef.h>
#include <stdint.h>

struct err;
struct dirs;
struct image;
struct strv;

struct store_image_usage {
        uint64_t size, shared; /* shared: of it, what other images have too */
};
struct store_usage {
        uint64_t total;       /* everything below layers/ and images/ */
        uint64_t reclaimable; /* of it, what would go if every image without users went */
};
struct store_users {
        struct image *const *images;
        const size_t *users; /* how many containers use each of them */
        size_t n;
        const struct strv *layers; /* names of layers that containers have */
};
/*
 * @ret_images has room for @of->n. No layer is walked: what its files take is written down in its info.json. What vanishes meanwhile is not
 * counted.
 */
int store_usage(const struct dirs *d, const struct store_users *of,
                struct store_image_usage *ret_images, struct store_usage *ret, struct err **reterr);
