/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* log — log_debug() everywhere (stderr, only with --debug or KELP_DEBUG); log_warn() only in cli/, monitor/, api/ and mains. */
#include "base/macros.h"

#include <stdbool.h>

void log_set_debug(bool on);
bool log_is_debug(void);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2); /* "kelp: warning: …" */
