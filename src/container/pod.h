/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * pod — containers that share namespaces (docs/state.md, "Pods").
 *
 * A pod is its infra container: a container whose one process is kelp-init in an empty root, and which holds the namespaces. The pod has
 * its id, its name, its labels and its life; who is a member says so in its own config.json. Nothing is written down twice, and what a pod's
 * state is, is seen by looking at its containers.
 */
#include "base/macros.h"
#include "base/str.h"
#include "container/container.h"

struct json_object;

enum pod_status {
        POD_CREATED,  /* nothing of it was started */
        POD_RUNNING,  /* all of it runs, */
        POD_DEGRADED, /* or a part */
        POD_STOPPED,  /* nothing runs; some were never started */
        POD_EXITED,
        POD_STATUS_COUNT
};
const char *pod_status_name(enum pod_status s); /* Podman's words: "Created", "Running", … */

struct pod {
        struct container *infra;
        struct container **members; /* oldest first */
        size_t n;
};
struct pod *pod_free(struct pod *p);
DEFINE_CLEANUP(struct pod *, pod_free);
enum pod_status pod_status(const struct pod *p);
bool pod_status_is(const char *name); /* in any case */

/* By name, id or unique prefix of the id. ERR_NOT_FOUND "no such pod: X". */
int pod_find(const struct dirs *d, const char *name, struct pod **ret, struct err **reterr);
/* Newest first. */
int pod_list(const struct dirs *d, struct pod ***ret, size_t *ret_n, struct err **reterr);
void pod_list_free(struct pod **v, size_t n);
/* Podman's JSON. Caller owns. */
struct json_object *pod_inspect(struct pod *p);

/* What the options of its infra container do not say. */
struct pod_create_opts {
        const struct strv *share; /* "ipc", "net", "uts", "pid"; none: nothing is shared */
        bool exit_stop;           /* the exit policy "stop" */
};
/* @o: options of the infra container; name, labels, names, mounts, security. */
int pod_create(const struct dirs *d, const struct run_options *o, const struct pod_create_opts *p,
               char ret_id[65], struct strv *warnings, struct err **reterr);

/* Its infra container, when it does not run; a member's start does it by itself. */
int pod_start_infra(const struct dirs *d, const char *id, struct err **reterr);
/* All its containers go, the infra container last but for members that were made meanwhile. ERR_BUSY when a member runs and not @force. */
int pod_remove(const struct dirs *d, struct pod *p, bool force, int64_t timeout_s,
               struct err **reterr);
