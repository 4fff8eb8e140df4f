/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* clock — wall time as the JSON of Docker writes it, and durations as people read them. */
#include <stddef.h>
#include <stdint.h>

#define CLOCK_RFC3339_MAX 40
#define CLOCK_ZERO        "0001-01-01T00:00:00Z" /* Go's zero time: "never"; clock_parse() refuses it */

int64_t clock_now_ns(void);       /* CLOCK_REALTIME */
int64_t clock_monotonic_ns(void); /* CLOCK_BOOTTIME */
/* UTC, nanoseconds without trailing zeros ("2026-11-24T06:41:44.5Z"), as Go's RFC3339Nano. Returns buf. */
char *clock_format(int64_t ns, char buf[CLOCK_RFC3339_MAX]);
/* RFC 3339 with any offset; -EINVAL, also for years that nanoseconds since 1970 cannot reach (1678–2261 can). */
int clock_parse(const char *s, int64_t *ret_ns);
/* "Less than a second", "5 minutes", "About an hour", "2 weeks": the words of Docker's listings. */
char *clock_human(int64_t duration_ns, char *buf, size_t size);
