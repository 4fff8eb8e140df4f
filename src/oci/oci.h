/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * oci — the commands of kelp-oci, and what they share: the state directory (state.c), the making of a container and its end (lifecycle.c), and
 * the log for callers (log.c).
 *
 * A container is the directory ROOT/ID: config.json as it was when it was made, state.json (replaced whole), and "start", the socket on
 * which its first process waits. Making the directory makes the id ours. create, start, run (until its program runs) and delete hold a lock on it; state and kill never wait for one.
 */
#include "base/macros.h"
#include "base/opt.h"
#include "base/process.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct cgroup;
struct err;
struct json_object;
struct spec;

struct oci_globals {
        char *root, *log, *log_format, *log_level, *cgroup_manager, *rootless;
        bool debug, systemd_cgroup, version;
        char *criu; /* callers pass it with every command */
};
extern const struct opt_section oci_global_sections[];

struct oci {
        const struct oci_globals *globals;
        int root_fd; /* the state directory; opened by oci_open_root() */
};

/* ---- log.c ---- */

/* On standard error, and as one record in the file of --log. */
void oci_log_error(const struct oci_globals *g, const struct err *e);
/* On standard error alone: some callers parse the whole file of --log as the one error that it should hold. */
void oci_warn(const struct strv *warnings);
int oci_log_check(const struct oci_globals *g, struct err **reterr);

/* ---- state.c ---- */

#define OCI_START_SOCKET "start"

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED, OCI_STOPPED };
const char *oci_status_name(enum oci_status s);

struct oci_container {
        char *id, *bundle, *rootfs;
        int dir_fd;
        int lock_fd;            /* -EBADF: not ours */
        struct process_id init; /* pid 0: it has none (yet) */
        int64_t created_ns;
        uid_t owner;
        struct cgroup *cgroup; /* NULL: none */
        struct spec *spec;     /* of config.json, read by oci_container_spec() */
};
struct oci_container *oci_container_free(struct oci_container *c);
DEFINE_CLEANUP(struct oci_container *, oci_container_free);

int oci_open_root(struct oci *o, struct err **reterr);
int oci_check_id(const char *id, struct err **reterr);
/* Takes the id, and the lock. ERR_EXISTS. */
int oci_container_new(const struct oci *o, const char *id, struct oci_container **ret,
                      struct err **reterr);
/* ERR_NOT_FOUND. @lock: waits for whoever creates, starts or deletes it. */
int oci_container_find(const struct oci *o, const char *id, bool lock, struct oci_container **ret,
                       struct err **reterr);
int oci_container_save(const struct oci_container *c, struct err **reterr);
int oci_container_spec(struct oci_container *c, struct strv *warnings, struct err **reterr);
/* As it is now. @ret_pidfd may be NULL; else the first process, owned by the caller, or -EBADF. */
enum oci_status oci_container_status(const struct oci_container *c, int *ret_pidfd);
/* What "state" prints. Caller owns. */
struct json_object *oci_container_state(struct oci_container *c, struct err **reterr);
/* Every id, sorted by name. */
int oci_list(const struct oci *o, struct strv *ret, struct err **reterr);
/* Removes its directory: the last step of its life. */
int oci_container_forget(const struct oci *o, struct oci_container *c, struct err **reterr);

/* ---- lifecycle.c ---- */

struct oci_create_opts {
        const char *bundle;
        const char *pid_file, *console_socket; /* NULL: none */
        uint32_t preserve_fds; /* checked by the caller, before anything was opened */
};
/* Up to where its first process waits. On failure nothing is left of it. *ret_pidfd: our child. */
int oci_create(const struct oci *o, const char *id, const struct oci_create_opts *opts,
               struct oci_container **ret, int *ret_pidfd, struct err **reterr);
/* Lets its program begin, and runs the poststart hooks; one that fails ends the container. Holds the lock. */
int oci_start(struct oci_container *c, struct err **reterr);
/* Kills what is left of it when @force, runs the poststop hooks, whose failures are warnings, and forgets it. Holds the lock. */
int oci_delete(const struct oci *o, struct oci_container *c, bool force, struct err **reterr);

/* ---- process.c ---- */

#define OCI_FIRST_PRESERVED 3

/* Before we open anything: a number that the caller has not open must not become a descriptor of ours. */
int oci_check_preserved(uint32_t n, struct err **reterr);
/* Hands the terminal over; @path NULL: there is nobody to have it. */
int oci_send_console(const char *path, int terminal, struct err **reterr);
int oci_write_pid_file(const char *path, pid_t pid, struct err **reterr); /* @path NULL: none */
/* From now on signals wait for oci_await_end(). */
void oci_hold_signals(void);
/* Of our child, to which it passes our signals on: its exit code, or 128 and the number of the signal. */
int oci_await_end(pid_t pid, int pidfd, struct err **reterr);

/* ---- the commands ---- */

struct oci_command {
        const char *name;
        const char *operands; /* "ID [SIGNAL]" */
        const char *help;
        size_t min, max; /* of operands */
        bool options_first;
        const struct opt_section *sections;
        size_t args_size;
        int (*run)(struct oci *o, void *args, const struct strv *operands, struct err **reterr);
};
extern const struct oci_command oci_cmd_create, oci_cmd_start, oci_cmd_exec, oci_cmd_state,
    oci_cmd_kill, oci_cmd_delete, oci_cmd_run, oci_cmd_list, oci_cmd_spec, oci_cmd_features,
    oci_cmd_pause, oci_cmd_resume;

/* Prints a document for other programs. */
int oci_print_json(struct json_object *o, struct err **reterr);
