/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * process — processes are pidfds; a stored pid is always paired with its start time (field 22 of /proc/PID/stat) and the
 * boot id, so that a reused pid is never taken for ours.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct process_id {
        pid_t pid;
        uint64_t start_time; /* clock ticks since boot */
        char boot_id[37];
};

int process_identify(pid_t pid, struct process_id *ret, struct err **reterr);
/* pidfd of the process if it is still the same one and no zombie; -ESRCH when it is gone (reterr is set, ERR_NOT_FOUND). */
int process_open(const struct process_id *id, struct err **reterr);
const char *process_boot_id(void); /* cached; "" when unreadable */

struct process_spawn_opts {
        const char *path; /* absolute, no PATH search */
        char *const *argv;
        char *const *envp; /* NULL: ours */
        /* fds[i] becomes descriptor i; everything else is closed. -EBADF: /dev/null for 0–2, closed above. */
        const int *fds;
        size_t n_fds;
        bool new_session;   /* setsid */
        bool reset_signals; /* default dispositions, empty mask */
        int death_signal;   /* PDEATHSIG, 0 none */
};
/* Starts a program (clone CLONE_VM|CLONE_VFORK, so cost does not grow with our memory). *ret_pidfd is owned by the caller;
 * ret_pid may be NULL. An exec failure is reported as this function's error. */
int process_spawn(const struct process_spawn_opts *opts, pid_t *ret_pid, int *ret_pidfd,
                  struct err **reterr);
/* Waits; returns 0–255 for an exit, 128 + n for a signal. */
int process_wait(int pidfd, struct err **reterr);
/* Spawns with /dev/null as stdin, captures at most @max bytes of stdout (more: -EFBIG), waits. An exit code other than 0 is
 * ERR_REMOTE with the program's stderr in the message. ret_out may be NULL; caller owns. */
int process_run_capture(const char *path, char *const *argv, size_t max, char **ret_out,
                        struct err **reterr);
/* Directory of our helper programs: $KELP_LIBEXEC, else beside the running binary in a build tree, else the installed
 * libexecdir. Caller owns. */
char *process_helper_path(const char *name);
/* A program that others have installed: the first in $PATH, of absolute entries, then in /usr/local/bin, /usr/bin and /bin. NULL: there is
 * none. Caller owns. */
char *process_find_program(const char *name);
