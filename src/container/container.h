/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * container — state, life cycle and queries of containers: the façade that the command line and, later, the API share. No printing here.
 *
 * State is derived from kernel facts on every look (docs/state.md): the monitor's lock, the pid record, the exit record. Nothing
 * here waits for another container's lock.
 */
#include "base/macros.h"
#include "base/process.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct dirs;
struct run_options;
struct json_object;

enum container_status {
        CONTAINER_CREATED,
        CONTAINER_RUNNING,
        CONTAINER_PAUSED,
        CONTAINER_RESTARTING,
        CONTAINER_REMOVING,
        CONTAINER_EXITED,
        CONTAINER_DEAD,
        CONTAINER_STATUS_COUNT
};
const char *container_status_name(
    enum container_status s); /* Docker's words: "created", "running", … */

struct container {
        char id[65];
        char *name, *image_name, *image_id;
        char pod_id[65]; /* of the infra container of its pod; "": it is in none */
        bool is_infra;
        int dir_fd; /* containers/<id> */
        struct json_object
            *config;       /* config.json, whole; NULL in a listing until container_config() */
        char *config_text; /* the same as text */
        enum container_status status;
        struct process_id process; /* pid 1 as recorded; pid 0 when never started */
        struct process_id monitor;
        int exit_code;
        bool oom_killed;
        char *
            health; /* "starting", "healthy", "unhealthy" of one that runs; NULL: it is not checked */
        bool stopped;      /* by a command, since it was started */
        uint64_t restarts; /* by its policy; the one that is waited for counts */
        int last_code;     /* how the run before this one ended */
        char *error;       /* why it failed or died */
        int64_t created_ns, started_ns, finished_ns; /* 0: never */
};
struct container *container_free(struct container *c);
/* It runs, or its policy is about to start it again. */
bool container_is_up(const struct container *c);
DEFINE_CLEANUP(struct container *, container_free);

/* By name, id or unique prefix of the id. ERR_NOT_FOUND "no such container: X". */
int container_find(const struct dirs *d, const char *name, struct container **ret,
                   struct err **reterr);
/* All of them, newest first; damaged or half-made ones are left out and swept when no live writer owns them. */
int container_list(const struct dirs *d, struct container ***ret, size_t *ret_n,
                   struct err **reterr);
/* The same of those that run: of the others not even their configuration is read. */
int container_list_running(const struct dirs *d, struct container ***ret, size_t *ret_n,
                           struct err **reterr);
/* Their names alone, unsorted, from one directory: no record is read and nothing swept. Running or not is that of a glance. */
enum container_names_of { CONTAINER_NAMES_ALL, CONTAINER_NAMES_RUNNING, CONTAINER_NAMES_STOPPED };
int container_names(const struct dirs *d, enum container_names_of which, struct strv *ret);
void container_list_free(struct container **v, size_t n);
/* A listing keeps configurations as text: parsed, a thousand of them cost more page faults than the whole listing. config() parses
 * (NULL when damaged; owned by @c), config_drop() lets the parsed form go. */
struct json_object *container_config(struct container *c);
void container_config_drop(struct container *c);

/* create: validates everything that can be validated before a start, reserves the name, writes config and spec. */
int container_create(const struct dirs *d, const struct run_options *o, char ret_id[65],
                     struct strv *warnings, struct err **reterr);

struct container_io {
        int status_fd; /* STATUS socket; owned by the caller afterwards */
        int attach_fd; /* our end of ATTACH; -EBADF when detached */
};
#define CONTAINER_PRESERVE_MAX 64
struct container_start_opts {
        bool attach;           /* make an ATTACH channel */
        uint16_t rows, cols;   /* terminal size to begin with; 0 unknown */
        bool passthrough;      /* log driver passthrough: give our 0–2 */
        bool waits;            /* the caller stays until its end, though not attached */
        struct strv *warnings; /* lines for the user are added; NULL ok */
        const int *
            preserve; /* our descriptors that the program gets under their numbers; ascending, from 3 on */
        size_t n_preserve;
};
/* Does it write to the streams of who starts it (log driver passthrough)? */
bool container_passes_through(const struct container *c);
/* Starts the monitor. Returns once it answered: started, or the error it reports. */
int container_start(const struct dirs *d, struct container *c, const struct container_start_opts *o,
                    struct container_io *ret, struct err **reterr);
/* Reads the STATUS socket until "exited". Returns the exit code (0–255) or < 0; a killed monitor is ERR_SYS with 137 semantics. */
int container_await_exit(struct container_io *io, struct err **reterr);

int container_kill(const struct dirs *d, struct container *c, int sig, struct err **reterr);
/* @signal (0: the container's own), wait @timeout_s (-1: the container's), SIGKILL, wait for the exit record. */
int container_stop(const struct dirs *d, struct container *c, int signal, int64_t timeout_s,
                   struct err **reterr);
/* Stops it as container_stop() does if it runs, and starts it; one that its end would remove stays. */
int container_restart(const struct dirs *d, struct container *c, int signal, int64_t timeout_s,
                      struct err **reterr);
/* 1: @name led to a container whose description cannot be read, which is removed now; 0: it does not. ERR_BUSY: that runs. */
int container_remove_damaged(const struct dirs *d, const char *name, struct err **reterr);
/* Waits until it is not running (or, @removed, gone); the exit code. Works from any number of processes. */
int container_wait(const struct dirs *d, struct container *c, bool removed, struct err **reterr);
struct container_remove_opts {
        bool force, volumes;
        bool of_pod;       /* also an infra container: its pod is being removed */
        int64_t timeout_s; /* -1: the container's; only with force */
};
int container_remove(const struct dirs *d, struct container *c,
                     const struct container_remove_opts *o, struct err **reterr);

/* Removes those that are not running and match @filters. The ids of the removed are added to @ret_ids, also when it fails then; *ret_bytes: what
 * they had written. Volumes stay. */
int containers_prune(const struct dirs *d, char *const *filters, struct strv *ret_ids,
                     uint64_t *ret_bytes, struct err **reterr);

/* At any time, running or not. ERR_EXISTS: another container has that name. */
int container_rename(const struct dirs *d, struct container *c, const char *name,
                     struct err **reterr);

struct exec_options {
        struct strv command, env, groups;
        char *user, *workdir;
        bool tty, interactive, detach, privileged;
        uint16_t rows, cols;
        const int *preserve; /* as in container_start_opts */
        size_t n_preserve;
};
int container_exec(const struct dirs *d, struct container *c, const struct exec_options *o,
                   struct container_io *ret, struct err **reterr);
/* Docker's JSON of one container (compat.md §2). Caller owns. */
int container_inspect(const struct dirs *d, struct container *c, bool size,
                      struct json_object **ret, struct err **reterr);
/* "Up 5 minutes", "Exited (0) 3 minutes ago", "Created"; caller owns. */
char *container_status_text(const struct container *c, int64_t now_ns);

/* Filters of ps: "status=running", "name=x", "label=k=v", "ancestor=…", "exited=0", "id=…", "before=…", "since=…", "publish=80/tcp", …
 * ERR_USAGE names those there are. */
struct container_filter;
int container_filter_parse(const struct dirs *d, char *const *filters,
                           struct container_filter **ret, struct err **reterr);
/* Those of prune: "label=k[=v]", "label!=k[=v]", "until=TIME|DURATION". */
int container_prune_filter_parse(const struct dirs *d, char *const *filters,
                                 struct container_filter **ret, struct err **reterr);
bool container_filter_match(const struct container_filter *f, struct container *c);
struct container_filter *container_filter_free(struct container_filter *f);
DEFINE_CLEANUP(struct container_filter *, container_filter_free);

struct container_job {
        void (*progress)(void *arg, const char *item, uint64_t done, uint64_t total); /* NULL ok */
        void (*warning)(void *arg, const char *text);                                 /* NULL ok */
        void *arg;
};
/* What it has changed against its image: Docker's kinds ('A', 'C', 'D') and absolute names, in order. Costs what has changed. Mount points
 * that a start has made are no changes. ERR_UNSUPPORTED: it has no image. */
typedef int (*container_change_fn)(void *arg, char kind, const char *path, struct err **reterr);
int container_changes(const struct dirs *d, struct container *c, container_change_fn fn, void *arg,
                      struct err **reterr);
/* All its files as an archive, without what is mounted. */
int container_export(const struct dirs *d, struct container *c, int out_fd,
                     const struct container_job *job, struct err **reterr);
struct container_commit_opts {
        const char *author, *message; /* NULL: none */
        const struct strv *changes;   /* Dockerfile instructions */
        const char *name;             /* formatted reference; NULL: none */
        bool docker;                  /* Docker's manifest instead of OCI's */
        bool squash;                  /* one layer, with everything in it */
        /* Stop its processes meanwhile. @pause_wanted: that they cannot be stopped is an error, not a warning. */
        bool pause, pause_wanted;
};
/* Makes an image of what it has written. *ret_id: "sha256:…", owned by the caller. */
int container_commit(const struct dirs *d, struct container *c,
                     const struct container_commit_opts *o, const struct container_job *job,
                     char **ret_id, struct err **reterr);
