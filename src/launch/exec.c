/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "launch/launch_internal.h"

#include <errno.h>
#include <linux/sched.h>

/* What the container has of its own: its other namespaces are ours as well, or the host's, which we may not enter. Its user
 * namespace is never ours, unless we are in U: without one of its own it is U, which gives the right to the others. */
static int exec_namespaces(const struct spec *s, bool in_u)
{
        int all = in_u ? 0 : CLONE_NEWUSER;

        for (int i = 0; i < SPEC_NS_COUNT; i++)
                all |= s->ns[i].enabled ? launch_ns_flag((enum spec_ns)i) : 0;
        return all;
}

int launch_exec(const struct launch_exec_opts *opts, int root_fd, int cache_fd,
                const struct launch_io *io, struct launched *ret, struct err **reterr)
{
        AUTO(launch_plan_freep)
        struct launch_plan *p = launch_plan_alloc(opts->spec, opts->process);
        int r;

        (void)root_fd; /* nothing of the data root is needed: the root file system is there */
        *ret = (struct launched){
            .pidfd = -EBADF, .terminal = -EBADF, .keeper = -EBADF, .helper_pidfd = -EBADF};
        p->join_process = true;
        p->orphan = opts->orphan;
        p->joins[0] = (struct launch_join){
            .fd = opts->container_pidfd,
            .nstype = exec_namespaces(opts->spec, opts->in_u),
            .name = "container",
        };
        p->n_joins = 1;
        r = launch_plan_process(p, opts->privileged, cache_fd, reterr);
        if (r < 0)
                return r;
        r = launch_plan_hide_args(p, reterr);
        if (r < 0)
                return r;
        r = launch_plan_protect_exe(p, reterr);
        if (r < 0)
                return r;
        p->order = p->no_new_privs ? launch_order_exec : launch_order_exec_early_filter;
        return launch_spawn(p, io, ret, reterr);
}
