/* SPDX-License-Identifier: Apache-2.0 */
/* The image verbs; each lives in its own cmd_*.c. */
#include "cli/verb.h"
#include "cli/verbs.h"

const struct verb *const verbs_image[] = {
    &verb_history, &verb_images, &verb_import,        &verb_load,        &verb_rmi,
    &verb_save,    &verb_tag,    &verb_image_inspect, &verb_image_prune, NULL,
};
