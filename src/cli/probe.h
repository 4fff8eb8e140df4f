/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * probe — what this host lets an ordinary user do, tried for real: each primitive in a child of its own, so that nothing
 * sticks to us. Versions are never asked.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>

struct cli;

enum probe_state { PROBE_OK, PROBE_DEGRADED, PROBE_MISSING, PROBE_STATE_COUNT };
const char *probe_state_name(enum probe_state s); /* "ok", "degraded", "missing" */

struct probe_result {
        enum probe_state state;
        char *detail; /* what was found, in a few words; may be NULL */
        char *cause;  /* why it is not ok; NULL when ok */
        char *remedy; /* a command or a file to change; NULL when ok */
};
void probe_result_release(struct probe_result *r);

struct probe {
        const char *name;    /* "user-namespace" */
        const char *purpose; /* what it is for */
        bool required;       /* without it no container runs */
        void (*run)(struct cli *cli, struct probe_result *ret);
};
extern const struct probe probes[]; /* ends with a NULL name */

/* True also when /proc does not say: refusing too much is the safer error. */
bool probe_is_initial_userns(void);
