/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preserve — the caller's descriptors on their way into a container. They come to us in order from MONITOR_FD_PRESERVED on; "--preserve="
 * has the numbers that they are to have inside. We keep none: a pipe that we held would never report its end.
 */
#include "base/fd.h"
#include "base/parse.h"
#include "launch/launch.h"
#include "monitor/monitor.h"
#include "monitor/protocol.h"

#define FIRST 3

bool preserve_parse(const char *list, struct preserve *p)
{
        AUTO_STRV numbers = {0};
        uint32_t previous = FIRST - 1, number;

        strv_split(&numbers, list, ',');
        for (size_t i = 0; i < numbers.n; i++) {
                int fd = MONITOR_FD_PRESERVED + (int)i;

                if (parse_u32(numbers.v[i], &number) < 0 || number <= previous ||
                    number >= FIRST + LAUNCH_PRESERVE_MAX || fd_set_cloexec(fd, true, NULL) < 0)
                        return false;
                while (++previous < number)
                        p->fd[p->n++] = -EBADF;
                p->fd[p->n++] = fd;
        }
        return true;
}

void preserve_close(struct preserve *p)
{
        for (size_t i = 0; i < p->n; i++)
                p->fd[i] = fd_close(p->fd[i]);
        p->n = 0;
}
