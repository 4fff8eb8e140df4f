/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Nothing sensible can be done without memory, and stdio or err would want some: say it with one write. */
static NORETURN void alloc_fail(void)
{
        static const char message[] = "kelp: out of memory\n";

        (void)!write(STDERR_FILENO, message, sizeof(message) - 1);
        abort();
}

void *xmalloc(size_t size)
{
        void *p = malloc(size ? size : 1);

        if (!p)
                alloc_fail();
        return p;
}

void *xcalloc(size_t n, size_t size)
{
        void *p = calloc(n ? n : 1, size ? size : 1);

        if (!p)
                alloc_fail();
        return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
        size_t total;

        if (__builtin_mul_overflow(n, size, &total))
                alloc_fail();
        p = realloc(p, total ? total : 1);
        if (!p)
                alloc_fail();
        return p;
}

char *xstrdup(const char *s)
{
        return s ? xstrndup(s, strlen(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
        size_t len = strnlen(s, n);
        char *copy = xmalloc(len + 1);

        memcpy(copy, s, len);
        copy[len] = '\0';
        return copy;
}

char *xvasprintf(const char *fmt, va_list ap)
{
        char *s = NULL;

        if (vasprintf(&s, fmt, ap) < 0)
                alloc_fail();
        return s;
}

char *xasprintf(const char *fmt, ...)
{
        va_list ap;
        char *s;

        va_start(ap, fmt);
        s = xvasprintf(fmt, ap);
        va_end(ap);
        return s;
}
