/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* time_arg — moments as options name them. */
#include <stdint.h>

struct err;

/* What moment_parse() takes. @s NULL: *ret is left alone. ERR_USAGE names --@option. */
int time_arg_parse(const char *option, const char *s, int64_t *ret, struct err **reterr);
