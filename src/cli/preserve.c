/* SPDX-License-Identifier: Apache-2.0 */
/* preserve — see preserve.h. */
#include "cli/preserve.h"

#include "base/err.h"
#include "base/parse.h"
#include "container/container.h"

#include <fcntl.h>

#define FIRST 3 /* behind the standard streams */

const struct opt preserve_opts[] = {
    {"preserve-fds", 0, OPT_U32, offsetof(struct preserve_args, first), "N",
     "Pass on so many of your descriptors, from 3 on"},
    {"preserve-fd", 0, OPT_CSV, offsetof(struct preserve_args, list), "FD",
     "Pass on this descriptor of yours, under its number"},
    {0},
};

/* Those of ours close with an exec, and so cannot be what we were given. */
static bool is_callers(uint32_t fd)
{
        int flags = fcntl((int)fd, F_GETFD);

        return flags >= 0 && !(flags & FD_CLOEXEC);
}

static int mark(const char *option, uint32_t fd, bool *wanted, struct err **reterr)
{
        if (fd < FIRST || fd >= FIRST + CONTAINER_PRESERVE_MAX)
                return err_new(reterr, ERR_USAGE,
                               "option '--%s': descriptor %u is not between %d "
                               "and %d",
                               option, fd, FIRST, FIRST + CONTAINER_PRESERVE_MAX - 1);
        if (!is_callers(fd))
                return err_hint(reterr,
                                err_new(reterr, ERR_USAGE,
                                        "option '--%s': descriptor %u is not open", option, fd),
                                "the shell opens it with, for example, %u<FILE", fd);
        wanted[fd] = true;
        return 0;
}

int preserve_collect(const struct preserve_args *a, int **ret, size_t *ret_n, struct err **reterr)
{
        bool wanted[FIRST + CONTAINER_PRESERVE_MAX] = {0};
        int r = 0;

        if (a->first > CONTAINER_PRESERVE_MAX)
                return err_new(reterr, ERR_USAGE, "option '--preserve-fds': at most %d, got %u",
                               CONTAINER_PRESERVE_MAX, a->first);
        for (uint32_t i = 0; i < a->first && r >= 0; i++)
                r = mark("preserve-fds", FIRST + i, wanted, reterr);
        for (size_t i = 0; i < a->list.n && r >= 0; i++) {
                uint32_t fd;

                if (parse_u32(a->list.v[i], &fd) < 0)
                        return err_new(reterr, ERR_USAGE,
                                       "option '--preserve-fd': '%s' is no descriptor",
                                       a->list.v[i]);
                r = mark("preserve-fd", fd, wanted, reterr);
        }
        if (r < 0)
                return r;
        *ret = xcalloc(CONTAINER_PRESERVE_MAX, sizeof(**ret));
        *ret_n = 0;
        for (int fd = FIRST; fd < FIRST + CONTAINER_PRESERVE_MAX; fd++) {
                if (wanted[fd])
                        (*ret)[(*ret_n)++] = fd;
        }
        return 0;
}
