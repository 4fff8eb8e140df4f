/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * convert — the limits of a spec in the words of cgroup v2: a list of files and of what to write into them, in that order. Pure.
 *
 * A limit that cgroup v2 has no word for is an error (runtime-spec: "if the conversion is not possible the runtime MUST generate an error"),
 * but for those that the spec itself gives up (kernel memory), which are warnings.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct spec_resources;
struct strv;

struct cgroup_setting {
        char *file, *value;
        char *other_file, *other_value; /* where the kernel has no @file; NULL: none */
        bool optional;                  /* where it has neither, that is no failure */
};
struct cgroup_settings {
        struct cgroup_setting *v;
        size_t n, cap;
};

/* @warnings may be NULL. */
int cgroup_convert(const struct spec_resources *res, struct cgroup_settings *ret,
                   struct strv *warnings, struct err **reterr);
void cgroup_settings_release(struct cgroup_settings *s);
/* Controllers that the settings need, each once: "memory", "cpu", … */
void cgroup_settings_controllers(const struct cgroup_settings *s, struct strv *ret);
/* cpu.shares (2–262144, 1024 by default) as cpu.weight (1–10000, 100 by default). */
uint64_t cgroup_weight_from_shares(uint64_t shares);
