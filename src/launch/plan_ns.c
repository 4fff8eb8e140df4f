/* SPDX-License-Identifier: Apache-2.0 */
/* plan_ns.c — which namespaces are made, and which are joined. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "launch/launch_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sys/ioctl.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const struct {
        int flag;
        const char *name;
} plan_ns[] = {
    [SPEC_NS_USER] = {CLONE_NEWUSER, "user"},       [SPEC_NS_MOUNT] = {CLONE_NEWNS, "mount"},
    [SPEC_NS_PID] = {CLONE_NEWPID, "pid"},          [SPEC_NS_NET] = {CLONE_NEWNET, "network"},
    [SPEC_NS_IPC] = {CLONE_NEWIPC, "ipc"},          [SPEC_NS_UTS] = {CLONE_NEWUTS, "uts"},
    [SPEC_NS_CGROUP] = {CLONE_NEWCGROUP, "cgroup"}, [SPEC_NS_TIME] = {CLONE_NEWTIME, "time"},
};
static_assert(ARRAY_SIZE(plan_ns) == SPEC_NS_COUNT, "a flag for every namespace");

int launch_ns_flag(enum spec_ns ns)
{
        return plan_ns[ns].flag;
}

/* setns would say no more than "invalid argument". */
static int check_type(int fd, enum spec_ns ns, const char *path, struct err **reterr)
{
        int type = ioctl(fd, NS_GET_NSTYPE);

        if (type == plan_ns[ns].flag)
                return 0;
        for (int i = 0; type >= 0 && i < SPEC_NS_COUNT; i++) {
                if (type == plan_ns[i].flag)
                        return err_new(reterr, ERR_INVALID,
                                       "join %s namespace '%s': it is a %s namespace",
                                       plan_ns[ns].name, path, plan_ns[i].name);
        }
        return err_new(reterr, ERR_INVALID, "join %s namespace '%s': it is not a namespace",
                       plan_ns[ns].name, path);
}

static int plan_join(struct launch_plan *p, enum spec_ns ns, struct err **reterr)
{
        const char *path = p->spec->ns[ns].path;
        AUTO_CLOSE int fd = -EBADF;
        int r;

        if (ns == SPEC_NS_MOUNT && !p->spec->oci) {
                (void)err_new(reterr, ERR_UNSUPPORTED, "join mount namespace '%s'", path);
                return err_hint(
                    reterr, -EOPNOTSUPP,
                    "a container gets its own root file system; use exec to run a program in "
                    "another container's");
        }
        /* A pipe must not block us. */
        fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return err_sys(reterr, errno, "join %s namespace '%s'", plan_ns[ns].name, path);
        r = check_type(fd, ns, path, reterr);
        if (r < 0)
                return r;
        p->joins[p->n_joins++] = (struct launch_join){
            .fd = TAKE_FD(fd),
            .nstype = plan_ns[ns].flag,
            .name = plan_ns[ns].name,
        };
        return 0;
}

/* As /proc/PID/timens_offsets takes it. */
static char *time_offsets(const struct spec *s)
{
        AUTO_STRBUF b = {0};

        if (s->monotonic.set)
                strbuf_addf(&b, "monotonic %" PRId64 " %" PRIu32 "\n", s->monotonic.secs,
                            s->monotonic.nanosecs);
        if (s->boottime.set)
                strbuf_addf(&b, "boottime %" PRId64 " %" PRIu32 "\n", s->boottime.secs,
                            s->boottime.nanosecs);
        return b.len > 0 ? strbuf_take(&b) : NULL;
}

static int plan_each(struct launch_plan *p, struct err **reterr)
{
        const struct spec *s = p->spec;

        for (int i = 0; i < SPEC_NS_COUNT; i++) {
                int r;

                if (!s->ns[i].enabled)
                        continue;
                if (s->ns[i].path) {
                        r = plan_join(p, (enum spec_ns)i, reterr);
                        if (r < 0)
                                return r;
                } else if (i == SPEC_NS_TIME) {
                        p->new_time = true;
                        p->time_offsets = time_offsets(s);
                } else {
                        p->clone_flags |= (uint64_t)plan_ns[i].flag;
                }
        }
        return 0;
}

int launch_plan_namespaces(struct launch_plan *p, struct err **reterr)
{
        const struct spec *s = p->spec;
        int r;

        if (!s->ns[SPEC_NS_MOUNT].enabled && !s->oci)
                return err_new(reterr, ERR_INVALID, "a container needs a mount namespace");
        r = plan_each(p, reterr);
        if (r < 0)
                return r;
        if (p->place && (p->clone_flags & CLONE_NEWCGROUP)) {
                p->new_cgroup = true;
                p->clone_flags &= ~(uint64_t)CLONE_NEWCGROUP;
        }
        p->write_maps = (p->clone_flags & CLONE_NEWUSER) != 0;
        p->loopback = (p->clone_flags & CLONE_NEWNET) != 0;
        if (p->write_maps && (s->uid_map.n == 0 || s->gid_map.n == 0)) {
                r = err_new(reterr, ERR_INVALID, "the container's user namespace has no id map");
                return s->oci ? err_hint(reterr, r, "give linux.uidMappings and linux.gidMappings")
                              : r;
        }
        return 0;
}
