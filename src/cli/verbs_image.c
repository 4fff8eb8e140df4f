/* SPDX-License-Identifier: Apache-2.0 */
/* The image verbs; each lives in its own cmd_*.c. */
#include "cli/verb.h"

const struct verb *const verbs_image[] = {
    NULL,
};
