/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * sha256 — FIPS 180-4, for short texts in programs that don't link libcrypto: names that somebody must not be able to make collide. What
 * has megabytes goes through libcrypto (image/hash.h, image/decompress.h), which uses the processor's instructions.
 */
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32u

struct sha256 {
        uint32_t state[8];
        uint64_t bytes;
        unsigned char block[64];
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t n);
void sha256_end(struct sha256 *s, unsigned char ret[SHA256_SIZE]); /* @s has to be started anew */
