/* SPDX-License-Identifier: Apache-2.0 */
/* What kelp-changes does: of all verbs the one that needs none of the libraries, whose loading would take longer than its work. */
#include "image/tool.h"

const struct tool_verb tool_verbs[] = {
    {"changes", tool_changes},
    {0},
};
