/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * cgroup — a container's place in the cgroup v2 hierarchy: made, limited, frozen, killed, measured, removed.
 *
 * Process:  every function runs in the engine or the runtime; the child never sees this header.
 * Lifetime: struct cgroup is a handle, cgroup_free() leaves the cgroup itself alone. What a later process needs to find it again is
 *           cgroup_to_json(). NULL stands for "the container has no cgroup of its own" in every function that says so.
 * Kernel:   v2. Where v1 has the controllers (a hybrid host), the v2 hierarchy beside it has what needs none: freezing, killing, the list of
 *           processes. A limit that cannot be set is an error that names the controller and the ancestor that lacks it, never ignored.
 * docs/cgroups.md has the whole.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup; /* opaque */
struct err;
struct json_object;
struct spec_resources;
struct strv;

enum cgroup_manager { CGROUP_CGROUPFS, CGROUP_SYSTEMD, CGROUP_DISABLED, CGROUP_MANAGER_COUNT };
const char *cgroup_manager_name(enum cgroup_manager m);
int cgroup_manager_from_name(const char *name); /* -EINVAL */

struct cgroup_opts {
        enum cgroup_manager manager;
        const char *path; /* cgroupsPath: "/a/b", "a/b" (below ours), NULL: no cgroup */
        const char *id;   /* of the container, for messages */
        const struct spec_resources *resources; /* NULL: none */
        /* That we may not make one is no failure as long as nothing is limited (runtimes of ordinary users). */
        bool lenient;
};
/*
 * Makes the cgroup and sets its limits. *ret is NULL where there is to be none, or (lenient) where there can be none. ERR_BUSY: there are
 * processes in it already. ERR_UNSUPPORTED: a limit cannot be set here. On failure nothing is left behind. @warnings may be NULL.
 */
int cgroup_create(const struct cgroup_opts *o, struct cgroup **ret, struct strv *warnings,
                  struct err **reterr);
/* For clone3 (CLONE_INTO_CGROUP), which puts the child there before it runs; -EBADF: attach it. Borrowed. NULL ok. */
int cgroup_fd(const struct cgroup *cg);
/* Where the child could not be born in it: moves @pid, which runs nothing yet. NULL ok. */
int cgroup_attach(struct cgroup *cg, pid_t pid, struct err **reterr);
/* Path from the root of the hierarchy, "/user.slice/x"; NULL for NULL. Borrowed. */
const char *cgroup_path(const struct cgroup *cg);
struct cgroup *cgroup_free(struct cgroup *cg); /* NULL ok; returns NULL */
DEFINE_CLEANUP(struct cgroup *, cgroup_free);

/* {"path":…}; NULL for NULL. from: a null gives NULL. The cgroup need not exist any more: each function says what that means. */
struct json_object *cgroup_to_json(const struct cgroup *cg);
int cgroup_from_json(struct json_object *obj, const char *what, struct cgroup **ret,
                     struct err **reterr);

/* Changes limits of what runs. What @res leaves open stays as it is. */
int cgroup_update(struct cgroup *cg, const struct spec_resources *res, struct strv *warnings,
                  struct err **reterr);

/* ---- control.c ---- */

/* Returns when every process stands still, or runs again; -ETIMEDOUT after ten seconds. */
int cgroup_freeze(struct cgroup *cg, bool on, struct err **reterr);
bool cgroup_is_frozen(const struct cgroup *cg); /* false where there is none */
/* Signals all processes, those of cgroups below included. A cgroup that is gone has none. */
int cgroup_kill(struct cgroup *cg, int sig, struct err **reterr);
/* Every process, those of cgroups below included, as pids of ours (0: of another pid namespace, left out). Caller frees *ret. */
int cgroup_pids(const struct cgroup *cg, pid_t **ret, size_t *ret_n, struct err **reterr);
/* Kills what is in it and removes it with all cgroups below. Gone already: ok. NULL ok. */
int cgroup_remove(struct cgroup *cg, struct err **reterr);

/* How many of its processes the kernel killed for want of memory; 0 without the memory controller. */
uint64_t cgroup_oom_kills(const struct cgroup *cg);
/* Waits until that number may have changed, the last process has gone, or @timeout_ms is over. false: no process is left. */
bool cgroup_wait(const struct cgroup *cg, int timeout_ms);
