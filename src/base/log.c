/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* In tests/lint/globals.allow: how talkative a process is belongs to the process. -1: the environment decides. */
static int log_debug_on = -1;

void log_set_debug(bool on)
{
        log_debug_on = on;
}

bool log_is_debug(void)
{
        if (log_debug_on < 0) {
                const char *env = getenv("KELP_DEBUG");

                log_debug_on = env && *env && env[0] != '0';
        }
        return log_debug_on;
}

/* One write per line, so that lines of several processes on one stderr do not mix. */
static PRINTF_LIKE(2, 0) void log_line(const char *prefix, const char *fmt, va_list ap)
{
        char line[1024];
        int n;

        n = vsnprintf(line, sizeof(line), fmt, ap);
        if (n < 0)
                return;
        fprintf(stderr, "%s%s\n", prefix, line);
}

void log_debug(const char *fmt, ...)
{
        va_list ap;

        if (!log_is_debug())
                return;
        va_start(ap, fmt);
        log_line("kelp: debug: ", fmt, ap);
        va_end(ap);
}

void log_warn(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        log_line("kelp: warning: ", fmt, ap);
        va_end(ap);
}
