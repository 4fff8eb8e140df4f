/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * apply — the child's half of security: what a process gives up before its exec. Every function is safe between clone and
 * exec (raw system calls, no allocation) and returns 0 or -errno.
 *
 * Landlock is deliberately absent from this list. It can only take away paths and ports that the process could name, and a
 * container's mount namespace already holds nothing but what the user put there; its rules would have to repeat the mount
 * table, would be set aside by every later "exec", and a ruleset forbids mount(2) and pivot_root(2) wholesale, which breaks
 * nested sandboxes. It earns its place where there is no mount namespace of our own: in the programs that parse hostile
 * input (kelp-image) and in the sandbox verb.
 */
#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

struct apply_caps {
        uint64_t bounding, effective, permitted, inheritable, ambient;
};
struct apply_rlimit {
        int resource;
        uint64_t soft, hard;
};

/* Drops from the bounding set what @keep lacks. Needs CAP_SETPCAP. */
int apply_bounding(uint64_t keep, uint64_t known);
/* Capabilities survive the change from uid 0 to another until the next exec. */
int apply_keep_caps(void);
/* Makes every permitted capability effective again: a change to another uid clears the effective set. */
int apply_raise_effective(void);
/* The final sets. What the process does not have cannot be given: such bits are cut off, as an exec would. */
int apply_caps(const struct apply_caps *caps);
int apply_no_new_privs(void);
int apply_seccomp(const struct sock_filter *filter, size_t n, unsigned flags);
/* *ret_failed names the resource on failure. */
int apply_rlimits(const struct apply_rlimit *limits, size_t n, int *ret_failed);
/* A session keyring of its own, so that the keys of the caller's login are out of reach. Only needed where no filter
 * denies keyctl(2): each one counts against the user's key quota. */
int apply_new_keyring(void);
