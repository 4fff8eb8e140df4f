/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* hash — sha256 of what passes by (libcrypto). */
#include "base/macros.h"

#include <stddef.h>

#define HASH_DIGEST_SIZE 72 /* "sha256:" + 64 + NUL */
struct hash;
struct hash *hash_new(void);
void hash_add(struct hash *h, const void *data, size_t n);
void hash_end(struct hash *h, char ret[HASH_DIGEST_SIZE]); /* "sha256:<hex>" */
struct hash *hash_free(struct hash *h);
DEFINE_CLEANUP(struct hash *, hash_free);
void hash_bytes(const void *data, size_t n, char ret[HASH_DIGEST_SIZE]);
