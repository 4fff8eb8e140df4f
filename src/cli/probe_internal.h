/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* probe_internal — what the files of the probes share. */
#include "cli/probe.h"

#include <stdint.h>

/* Runs in a child of ours; returns 0 or -errno, *step names what failed (a string literal). */
typedef int (*probe_child_fn)(const char **step);
/* The child's result; *ret_step is "" when it was killed or could not be started. A child that hangs is killed. */
int probe_in_child(probe_child_fn fn, char *ret_step, size_t step_size);

void probe_ok(struct probe_result *ret, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Cause and remedy, separately. */
void probe_fail(struct probe_result *ret, enum probe_state state, const char *cause,
                const char *remedy);
/* Cause from the failed step of a child. */
void probe_fail_step(struct probe_result *ret, enum probe_state state, const char *step, int r,
                     const char *remedy);

/* namespaces and mounts (probe_namespaces.c) */
void probe_user_namespace(struct cli *cli, struct probe_result *ret);
void probe_namespaces(struct cli *cli, struct probe_result *ret);
void probe_mount(struct cli *cli, struct probe_result *ret);
void probe_proc(struct cli *cli, struct probe_result *ret);
void probe_ids(struct cli *cli, struct probe_result *ret);
/* single system calls and devices (probe_kernel.c) */
void probe_seccomp(struct cli *cli, struct probe_result *ret);
void probe_landlock(struct cli *cli, struct probe_result *ret);
void probe_pidfd(struct cli *cli, struct probe_result *ret);
void probe_clone3(struct cli *cli, struct probe_result *ret);
void probe_openat2(struct cli *cli, struct probe_result *ret);
void probe_mount_setattr(struct cli *cli, struct probe_result *ret);
void probe_pty(struct cli *cli, struct probe_result *ret);
void probe_tun(struct cli *cli, struct probe_result *ret);
/* places and programs (probe_host.c) */
void probe_storage(struct cli *cli, struct probe_result *ret);
void probe_fuse(struct cli *cli, struct probe_result *ret);
bool probe_has_cgroup2(void);
void probe_cgroup(struct cli *cli, struct probe_result *ret);
void probe_space(struct cli *cli, struct probe_result *ret);
void probe_runtime_dir(struct cli *cli, struct probe_result *ret);
void probe_programs(struct cli *cli, struct probe_result *ret);
