/* SPDX-License-Identifier: Apache-2.0 */
/* global_args — see global_args.h. */
#include "cli/global_args.h"

#define FIELD(f) offsetof(struct global_args, f)
static const struct opt opts[] = {
    {"root", 0, OPT_STRING, FIELD(root), "DIR", "Keep images and containers below DIR (KELP_ROOT)",
     .values = "@dir"},
    {"debug", 'D', OPT_BOOL, FIELD(debug), NULL, "Say what is done, and where errors come from"},
    {"log-level", 0, OPT_STRING, FIELD(log_level), "LEVEL",
     "debug, info, warn (the default), error", .values = "debug info warn error"},
    {"version", 'v', OPT_BOOL, FIELD(version), NULL, "Print the version and exit"},
    {0},
};
const struct opt_section global_arg_sections[] = {{opts, "Global options", 0, false}, {0}};
