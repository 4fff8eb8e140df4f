/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * merged — a directory of an image by its name, looked up in the stack of its layers as the kernel's overlay would: whiteouts, opaque
 * directories, and symbolic links that stay inside the image wherever they point.
 */
#include <stddef.h>

/* @layers: fs directories, lowest first. ret_fds (room for @n): those that make up the directory, lowest first; the caller closes them. -ENOENT:
 * there is none; -ENOTDIR: it is a file; -EACCES: a layer's directory is closed to us (outside U); -errno. */
int merged_lookup(const int *layers, size_t n, const char *path, int *ret_fds, size_t *ret_n);
