/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * launch — from a spec to a running pid 1, or to a further process in a running container.
 *
 * Process: the monitor, single-threaded, already inside U (idmap_userns_enter). The caller is the parent of what is started.
 * Protocol with the child: stage.h. Everything fails with the stage's words and the object it failed on; a failing exec is
 * ERR_EXEC_DENIED (126) or ERR_EXEC_MISSING (127).
 */
#include "base/macros.h"
#include "spec/oci.h"

#include <stdbool.h>
#include <sys/types.h>

struct err;
struct spec;
struct spec_process;
struct launch_plan;
struct strv;

#define LAUNCH_PRESERVE_MAX 64
struct launch_io {
        int in, out,
            err; /* become 0, 1, 2 of the process; borrowed. -EBADF: /dev/null. Ignored with a terminal */
        const int *preserve; /* become 3…, -EBADF: a number that stays free; borrowed */
        size_t n_preserve;
};
struct launched {
        pid_t pid; /* as seen by the caller */
        int pidfd; /* owned by the caller */
        int terminal; /* pty master when spec.process.terminal, non-blocking; owned by the caller; else -EBADF */
        int keeper; /* the other side of the terminal, so that it does not hang up while the program has it closed; as above */
        char *
            warning; /* one line for the user, about what he may not have meant; owned by the caller; NULL: none */
        pid_t helper; /* fuse-overlayfs, our child; 0 none */
        int helper_pidfd;
};
/* Step 1: everything that can be decided, opened and compiled. @root_fd: data root that relative layer paths refer to. @cache_fd: filter cache. */
/* @s is borrowed, and must live as long as the plan. */
int launch_plan_new(const struct spec *s, int root_fd, int cache_fd, struct launch_plan **ret,
                    struct err **reterr);
struct launch_opts {
        bool orphan; /* the child may outlive us: it asks for no death signal */
        /* A bound SOCK_SEQPACKET socket of AF_UNIX that does not listen yet; borrowed. Once all is set up, and the program was found, the child listens
         * on it and launch_start() returns; launch_release() lets it go on. SO_PEERCRED of who connects there names the child. The caller closes his own
         * descriptor after launch_start(): whoever has it open keeps a socket alive on which nobody may listen any more. -EBADF: no hold. */
        int hold_fd;
        /* In the parent, while the child @pid runs nothing of the container's and has no cgroup namespace of its own yet: to put it where that is to
         * have its root. A failure is the launch's. NULL: none. */
        int (*place)(pid_t pid, void *arg, struct err **reterr);
        void *place_arg;
};
/* @o NULL: as launch_plan_new(). With a hold, a process that is absent is accepted: the child cannot be released then. */
int launch_plan_new_with(const struct spec *s, int root_fd, int cache_fd,
                         const struct launch_opts *o, struct launch_plan **ret,
                         struct err **reterr);
struct launch_plan *launch_plan_free(struct launch_plan *p);
DEFINE_CLEANUP(struct launch_plan *, launch_plan_free);
/* Step 2: clone, maps, stages; returns once the program runs (EOF after NEXT_IS_EXEC). On failure nothing is left behind. */
int launch_start(struct launch_plan *p, const struct launch_io *io, struct launched *ret,
                 struct err **reterr);

/*
 * Step 3, of a child that is held, from any process: connects to the socket @name in @dir_fd and follows the child until the program runs.
 * ERR_BUSY and -ECONNREFUSED: nobody waits there, or another release was faster. Else as launch_start(); the child has ended, but for a process that
 * is absent (ERR_USAGE), where it goes on waiting.
 */
int launch_release(int dir_fd, const char *name, struct err **reterr);
bool launch_is_held(int dir_fd, const char *name); /* somebody listens there */

/*
 * The hooks of a bundle that the runtime runs itself, in its own namespaces, one after the other: POSTSTART and POSTSTOP (launch_start() runs those
 * before them). @pid: of the container, 0: none any more. The first that fails is the error, ERR_REMOTE with what it said last on its standard error;
 * with @warnings failures become lines there, and the others run all the same.
 */
int launch_hooks_run(const struct spec *s, enum spec_hook point, const char *status, pid_t pid,
                     struct strv *warnings, struct err **reterr);

/* A further process: joins every namespace of @container_pidfd (all that differ from ours), then the same last stages. @s gives the
 * container's security (capabilities, seccomp, masked environment); @process what to run. Caller need not be in U: enters through the pidfd. */
struct launch_exec_opts {
        const struct spec *spec;            /* the container's */
        const struct spec_process *process; /* what to execute */
        int container_pidfd;
        bool privileged;
        bool orphan; /* as in launch_opts */
        bool
            in_u; /* the caller is: then the user namespace of a container without one of its own is not entered */
};
int launch_exec(const struct launch_exec_opts *opts, int root_fd, int cache_fd,
                const struct launch_io *io, struct launched *ret, struct err **reterr);
