/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* digest — "sha256:<64 hex>" (sha512 too), checked before it becomes a file name. Hashing itself lives in kelp-image (libcrypto). */
#include <stdbool.h>
#include <stddef.h>

#define DIGEST_MAX   136 /* "sha512:" + 128 + NUL */
#define DIGEST_SHORT 12
bool digest_is_valid(const char *s);   /* algorithm known, lower-case hex, exact length */
const char *digest_hex(const char *s); /* behind the colon; NULL when invalid */
bool digest_is_hex_prefix(
    const char *s); /* 1–64 lower-case hex digits, optionally behind "sha256:" */
