/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * atomic_file — small files replaced whole: temporary name beside it, write, fsync when durable, rename. A reader sees the old
 * or the new content. A leftover temporary (".tmp-…") after kill -9 is garbage that atomic_file_sweep() removes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct json_object;

int atomic_file_write(int dirfd, const char *name, const void *data, size_t n, mode_t mode,
                      bool durable, struct err **reterr);
int atomic_file_write_json(int dirfd, const char *name, struct json_object *obj, bool durable,
                           struct err **reterr);
int atomic_file_sweep(int dirfd, struct err **reterr);
