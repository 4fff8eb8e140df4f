/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* global_args — the options before the verb. */
#include "base/opt.h"

struct global_args {
        char *root, *log_level;
        bool debug, version;
};
extern const struct opt_section global_arg_sections[];
