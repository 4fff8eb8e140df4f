/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* rows — containers and images as listings show them: objects for output.h with the fields that --format may name, in Docker's order: sorted. */
#include <stdbool.h>

struct container;
struct image;
struct json_object;

/* @size: the text of Size. @pod_name: of its pod, "" without one; NULL leaves pods out. @full: ids, commands and mounts are not cut. Caller owns. */
struct json_object *container_row(struct container *c, const char *size, const char *pod_name,
                                  bool full);
/* For output_opts.label; @arg: the address of the row's container. */
const char *container_row_label(const char *name, const void *arg);
/* @name: formatted; NULL for an image without one. What only `system df` knows is "N/A". Caller owns. */
struct json_object *image_row(const struct image *i, const char *name, bool full);
