/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The numbers of struct spec_resources by their place in the JSON, for both directions. */
#include "spec/resources.h"

#include <stddef.h>

struct resource_number {
        const char *object, *key;
        size_t offset;
        int64_t min, max;
};
extern const struct resource_number resource_numbers[];
extern const size_t n_resource_numbers;
extern const char *const resource_throttle_keys[SPEC_THROTTLE_COUNT];

int64_t *resource_number(struct spec_resources *r, const struct resource_number *f);
