/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* glob — files that match a pattern. Not glob(3): for "~" that drags the C library's user lookup into a static program. */
#include <stddef.h>

struct strv;

/* @pattern: absolute. *ret_base: how many bytes of every match are the directory above its first wildcard, without the slash. Matches are
 * added to @ret, sorted; none is no error. 0 or -errno. */
int glob_expand(const char *pattern, struct strv *ret, size_t *ret_base);
