/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * oci — the parts of a spec that only a bundle's config.json has (spec.oci), and the reader of that file. Kelp's own containers leave
 * all of it empty. The structs are plain; spec_free() frees what they hold. Pure: nothing here touches the system.
 */
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct json_object;
struct spec;
struct spec_process;

/* Versions of the specification that a bundle may be of: all of 1.x, whose later ones only add. We know all of the last. */
#define SPEC_OCI_VERSION_MIN "1.0.0"
#define SPEC_OCI_VERSION_MAX "1.3.0"

/* The six points, in the order of a container's life. The first two run in the runtime's namespaces, the next two in the container's, the
 * last two in the runtime's again. */
enum spec_hook {
        SPEC_HOOK_PRESTART,
        SPEC_HOOK_CREATE_RUNTIME,
        SPEC_HOOK_CREATE_CONTAINER,
        SPEC_HOOK_START_CONTAINER,
        SPEC_HOOK_POSTSTART,
        SPEC_HOOK_POSTSTOP,
        SPEC_HOOK_COUNT
};
struct spec_hook_entry {
        char *path;            /* absolute */
        struct strv args, env; /* args empty: the path is argv[0] */
        uint32_t timeout;      /* seconds; 0: none */
};
struct spec_hooks {
        struct spec_hook_entry *v;
        size_t n;
};
const char *spec_hook_name(enum spec_hook h); /* "createRuntime" */

/* sched_setattr(2). */
struct spec_scheduler {
        bool set;
        int policy;   /* SCHED_… */
        int32_t nice; /* OTHER, BATCH */
        int32_t priority;
        uint64_t flags;                     /* SCHED_FLAG_… */
        uint64_t runtime, deadline, period; /* DEADLINE: nanoseconds */
};
/* ioprio_set(2). */
struct spec_io_priority {
        bool set;
        int class, priority; /* IOPRIO_CLASS_…, 0 to 7 */
};
/* time_namespaces(7): what a clock of a new time namespace is ahead of ours. */
struct spec_time_offset {
        bool set;
        int64_t secs;
        uint32_t nanosecs;
};
/* A group of resctrl(5). */
struct spec_rdt {
        bool set;
        char *clos_id;
        char *l3, *mem_bw; /* whole schemata lines, of one resource each */
        struct strv schemata;
        bool monitoring;
};

/*
 * The state of a container, as hooks and seccomp agents are given it and as other members are added to: of the spec's id, bundle and annotations.
 * @pid: as seen by the runtime; 0: none. Caller owns.
 */
struct json_object *spec_oci_state_json(const struct spec *s, const char *status, pid_t pid);
char *spec_oci_state(const struct spec *s, const char *status, pid_t pid); /* its text */

void spec_hooks_release(struct spec_hooks *h);
void spec_rdt_release(struct spec_rdt *r);

/* A config.json is at most so large. */
#define SPEC_CONFIG_MAX (16U * 1024 * 1024)
/*
 * A whole config.json. @bundle: absolute; relative paths of the file are meant from it. @warnings: lines for the log are appended, about what
 * the specification wants passed over. ERR_INVALID names the JSON path: what is malformed, what contradicts a MUST, what cannot be had here.
 */
int spec_from_bundle(struct json_object *config, const char *what, const char *bundle,
                     struct spec **ret, struct strv *warnings, struct err **reterr);
/* "process" alone, as exec gets it. *ret is one that spec_process_init() made, and may be half filled on failure. */
int spec_process_from_oci(struct json_object *process, const char *what, struct spec_process *ret,
                          struct strv *warnings, struct err **reterr);
