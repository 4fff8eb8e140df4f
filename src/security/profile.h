/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * profile — a seccomp profile in JSON, as Docker writes it (archMap, includes, excludes) or as the OCI runtime-spec does
 * (architectures, flags), reduced to the rules that hold on one host for one set of capabilities; and its compilation.
 *
 * Process: kelp-seccomp, tests and fuzzing. The profile is a user's file, or an image's: sizes are limited, every error names
 * the place in the file.
 */
#include "base/macros.h"
#include "base/str.h"
#include "security/filter.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct json_object;

#define PROFILE_FILE_MAX  (4U << 20)
#define PROFILE_RULES_MAX 4096
#define PROFILE_NAMES_MAX 4096
#define PROFILE_ARGS_MAX  32

/* What decides about conditional rules. */
struct profile_host {
        uint64_t caps;
        const char *arch; /* Go's name: "amd64" */
        uint32_t kernel_major, kernel_minor;
        /* Of a bundle: SCMP_ACT_NOTIFY has somebody to listen, and architectures may leave out the host's own, which is meant all the same. */
        bool bundle;
};

struct profile_arg {
        uint32_t index; /* 0–5 */
        uint32_t op;    /* enum scmp_compare */
        uint64_t value, value_two;
};
struct profile_rule {
        struct strv names;
        uint32_t action; /* SCMP_ACT_* with its datum */
        struct profile_arg *args;
        size_t n_args;
};
struct profile {
        uint32_t default_action;
        uint32_t flags;     /* SECCOMP_FILTER_FLAG_* for loading */
        struct strv arches; /* SCMP_ARCH_*; empty: the native one */
        bool add_native;    /* although .arches does not name it */
        struct profile_rule *rules;
        size_t n_rules;
};

/* The running host; false when its architecture is unknown to profiles (no conditional rule for one applies then). */
bool profile_host_get(uint64_t caps, struct profile_host *ret);
int profile_parse(struct json_object *obj, const char *what, const struct profile_host *host,
                  struct profile *ret, struct err **reterr);
void profile_release(struct profile *p);
/* libseccomp's number of "SCMP_ARCH_X86_64"; 0 when unknown. */
uint32_t profile_arch(const char *name);
/* System calls that this libseccomp does not know are passed over: the default action is theirs. */
int profile_compile(const struct profile *p, struct seccomp_filter *ret, struct err **reterr);
