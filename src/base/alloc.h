/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* alloc — allocation that aborts on failure. Sizes that come from hostile input are capped before they get here. */
#include "base/macros.h"

#include <stdarg.h>
#include <stdlib.h>

void *xmalloc(size_t size) MUST_USE __attribute__((malloc));
void *xcalloc(size_t n, size_t size) MUST_USE __attribute__((malloc));
void *xrealloc(void *p, size_t n, size_t size) MUST_USE; /* overflow of n * size aborts */
char *xstrdup(const char *s) MUST_USE;                   /* NULL in, NULL out */
char *xstrndup(const char *s, size_t n) MUST_USE;
char *xasprintf(const char *fmt, ...) MUST_USE PRINTF_LIKE(1, 2);
char *xvasprintf(const char *fmt, va_list ap) MUST_USE PRINTF_LIKE(1, 0);

static inline void auto_freep(void *p)
{
        free(*(void **)p);
}
#define AUTO_FREE  AUTO(auto_freep)
#define xnew(type) ((type *)xcalloc(1, sizeof(type)))
