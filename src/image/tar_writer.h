/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* tar_writer — deterministic ustar archives of images: owner 0, mtime 0, fixed modes; buffered. For names of at most 100 bytes. */
#include "base/macros.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct tool;
struct tar_writer;

struct tar_writer *tar_writer_new(struct tool *t, int fd); /* borrowed */
struct tar_writer *tar_writer_free(struct tar_writer *w);
DEFINE_CLEANUP(struct tar_writer *, tar_writer_free);

int tar_writer_dir(struct tar_writer *w, const char *name, struct err **reterr); /* "blobs/" */
/* Begins a file of exactly @size bytes; they come by tar_writer_data(). */
int tar_writer_file(struct tar_writer *w, const char *name, uint64_t size, struct err **reterr);
int tar_writer_data(void *writer, const void *data, size_t n); /* 0 or -errno: a layer_out_fn */
int tar_writer_file_end(struct tar_writer *w, struct err **reterr);
int tar_writer_end(struct tar_writer *w, struct err **reterr);
