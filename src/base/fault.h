/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * fault — places where tests make Kelp die or fail. Only in builds with -Dfault=true; otherwise nothing of it is compiled.
 *
 *   KELP_FAULT_KILL=NAME        FAULT_POINT("NAME") kills the process as kill -9 would
 *   KELP_FAULT_LOG=FILE         is made before that, so that a test knows that the point was reached
 *   KELP_FAULT_ERR=NAME:ERRNO   fault_error("NAME") returns -ERRNO (a number), else 0
 */
#include "config.h"

#if KELP_FAULT
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static inline void fault_point(const char *name)
{
        const char *want = getenv("KELP_FAULT_KILL"), *log = getenv("KELP_FAULT_LOG");

        if (!want || strcmp(want, name) != 0)
                return;
        if (log)
                (void)open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        (void)raise(SIGKILL);
}
static inline int fault_error(const char *name)
{
        const char *want = getenv("KELP_FAULT_ERR");
        size_t n = strlen(name);

        if (!want || strncmp(want, name, n) != 0 || want[n] != ':')
                return 0;
        return -(int)strtol(want + n + 1, NULL, 10); /* lint-allow: strtol: test builds only */
}
#define FAULT_POINT(name) fault_point(name)
#else
static inline int fault_error(const char *name)
{
        (void)name;
        return 0;
}
#define FAULT_POINT(name) ((void)0)
#endif
