/* SPDX-License-Identifier: Apache-2.0 */
/* What kelp-image does. */
#include "image/tool.h"

const struct tool_verb tool_verbs[] = {
    {"load", tool_load},
    {"import", tool_import},
    {"save", tool_save},
    {"reown", tool_reown},
    {"flatten", tool_flatten},
    {"image-user", tool_image_user},
    {"remove-trees", tool_remove_trees},
    {"volume-fill", tool_volume_fill},
    {"volume-import", tool_volume_import},
    {"export", tool_export},
    {"commit", tool_commit},
    {"copy", tool_copy},
    {0},
};
