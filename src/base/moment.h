/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* moment — points in time as people and Docker's clients name them. */
#include <stdint.h>

/* RFC 3339 with or without offset (then it is local), a date, seconds since 1970 with a fraction, or a duration before now ("10m").
 * -EINVAL; *ret is untouched then. */
int moment_parse(const char *s, int64_t *ret_ns);
#define MOMENT_HINT                                                                                \
        "2026-01-31T12:00:00Z, 2026-01-31, seconds since 1970, or a duration such as 10m"
