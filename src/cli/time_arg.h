/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* time_arg — moments as options name them. */
#include <stdint.h>

struct err;

/* RFC 3339 with or without offset (then it is local), a date, seconds since 1970 with a fraction, or a duration before now ("10m").
 * @s NULL: *ret is left alone. ERR_USAGE names --@option. */
int time_arg_parse(const char *option, const char *s, int64_t *ret, struct err **reterr);
