/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* preserve — descriptors of the caller's that a program in a container gets as they are: --preserve-fds, --preserve-fd. */
#include "base/opt.h"
#include "base/str.h"

struct err;

struct preserve_args {
        uint32_t first; /* so many from 3 on */
        struct strv list;
};
extern const struct opt preserve_opts[];

/* Their numbers, ascending, each once. Must be called before anything is opened that would not be the caller's. Caller owns *ret. */
int preserve_collect(const struct preserve_args *a, int **ret, size_t *ret_n, struct err **reterr);
