/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* copy — files between a container and the host, two containers, or a container and a tar archive. */
#include <errno.h>
#include <stdbool.h>

struct container;
struct container_job;
struct dirs;
struct err;

struct container_copy_end {
        struct container *container; /* NULL: the host */
        const char *path;            /* as typed: what stands behind it, "/" or "/.", counts */
        int stream_fd; /* a tar archive instead of either: it is read, or written; borrowed */
};
#define CONTAINER_COPY_END_NONE                                                                    \
        {                                                                                          \
                .stream_fd = -EBADF                                                                \
        }
struct container_copy_opts {
        bool archive, follow, overwrite;
};
/* As Docker's cp: through what is mounted in the containers, running or not. A file has its name when it is complete. */
int container_copy(const struct dirs *d, const struct container_copy_end *source,
                   const struct container_copy_end *destination,
                   const struct container_copy_opts *o, const struct container_job *job,
                   struct err **reterr);
