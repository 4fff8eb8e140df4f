/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * filter — from a JSON seccomp profile to a loadable filter, by way of a cache of compiled BPF.
 *
 * Process: the monitor. Nothing here links libseccomp: a filter that is not in the cache yet is compiled by the program
 * kelp-seccomp, once per profile, capability mask, architecture, kernel release and version of ours.
 * The cache is trusted no further than a file of the caller's own, mode 0600: it is read whole, and its header, key, length
 * and checksum must all agree before one instruction is used. Anything else counts as a miss.
 */
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct seccomp_filter {
        struct sock_filter *insns; /* owned */
        size_t n;
        uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
};
void seccomp_filter_release(struct seccomp_filter *f);

/* @profile: absolute path of a JSON profile. @caps: the container's capabilities, which decide about
 * conditional rules. @cache_fd: directory of compiled filters. */
int seccomp_filter_get(const char *profile, uint64_t caps, int cache_fd, struct seccomp_filter *ret,
                       struct err **reterr);
/* The same of @text, the profile of a bundle. It may ask for a listener: then .flags has SECCOMP_FILTER_FLAG_NEW_LISTENER. */
int seccomp_filter_get_text(const char *text, size_t len, int cache_fd, struct seccomp_filter *ret,
                            struct err **reterr);
/* The profile that containers get without --security-opt seccomp=…: $XDG_CONFIG_HOME/containers/seccomp.json, else
 * /etc/containers/seccomp.json, else the one that Kelp brings (@ret_own). Caller owns. */
char *seccomp_default_profile(bool *ret_own);
