/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * record — the facts that a monitor leaves in a container's directory: run.json (the latest start) and exit.json (the latest end). Together
 * with the lock they are all that the state is derived from (docs/state.md). An exit record whose start is not that of the run record is one
 * of an earlier run, in a container that its policy has started again: it counts no more.
 *
 * The exit of a container that is removed at once is written into its lock file instead: whoever waits for the lock has that
 * file open, and can read it after the container's directory is gone.
 */
#include "base/process.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

#define RECORD_RUN     "run.json"
#define RECORD_EXIT    "exit.json"
#define RECORD_LOCK    "lock"
#define RECORD_RESTART "restart.lock" /* held by who stops it in order to start it again */
#define RECORD_STOPPED                                                                             \
        "stopped" /* there: a command has stopped it, so that no policy starts it again */
#define RECORD_HEALTH     "health.json" /* Docker's State.Health of the latest start */
#define RECORD_EXECS      "exec"
#define RECORD_MAX        (64U * 1024)
#define RECORD_EXECS_KEPT 64

/* It holds output of the container, of which a byte takes up to six in JSON. */
#define RECORD_HEALTH_MAX (256U * 1024)

struct run_record {
        struct process_id process, monitor;
        int64_t started_ns;
        uint64_t restarts; /* by its policy, since a command started it */
        int last_code;     /* how the run before this one ended; of the first: 0 */
        uint64_t
            mount_ns; /* mount_ns_id(); to find what is left of a container that shares the host's processes. 0: own PID namespace */
};
struct exit_record {
        int code;
        bool oom;
        char *error;        /* owned; NULL none */
        int64_t started_ns; /* of the start that it ends; 0: the start failed */
        int64_t finished_ns;
        uint64_t restarts; /* by its policy; the one that is waited for counts */
        bool restarting;   /* the monitor waits to start it again */
};
/* Reading: 1 there is one, 0 none, < 0 it cannot be read (ERR_INVALID: damaged). */
/* The mount namespace of a process. Where the kernel numbers them once and for all (Linux 6.11), that number; else the inode's, which the next
 * namespace may get when this one is gone. 0: not to be found out. */
uint64_t mount_ns_id(pid_t pid);
int run_record_write(int dirfd, const struct run_record *r, struct err **reterr);
int run_record_read(int dirfd, struct run_record *ret, struct err **reterr);
int exit_record_write(int dirfd, const struct exit_record *r, bool durable, struct err **reterr);
int exit_record_read(int dirfd, struct exit_record *ret, struct err **reterr);
/* @fd: an open lock file. */
int exit_record_write_lock(int dirfd, const struct exit_record *r, struct err **reterr);
int exit_record_read_lock(int fd, struct exit_record *ret, struct err **reterr);
void exit_record_release(struct exit_record *r);

/* For the parser's tests. */
int run_record_parse(const char *data, size_t n, struct run_record *ret, struct err **reterr);
int exit_record_parse(const char *data, size_t n, struct exit_record *ret, struct err **reterr);

/* Does the session of this record (in RECORD_EXECS) still run? One whose monitor was killed does not, whatever it says. */
bool exec_record_runs(int records_fd, const char *name);
