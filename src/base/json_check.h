/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* json_check — the strictness that json-c lacks, as one pass over the text before json-c sees it. Only for json.c. */
#include <stddef.h>

/* NULL, or what is wrong, in words; *ret_offset is where. */
const char *json_check(const char *data, size_t n, size_t *ret_offset);
