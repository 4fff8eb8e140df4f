/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* monitor — what the modes of kelp-monitor share, and their entry points. Each returns the program's exit code. */
#include "base/process.h"
#include "base/str.h"
#include "launch/launch.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct dirs;
struct err;
struct launch_io;
struct launched;
struct session;
struct spec;

/* The caller's descriptors, as launch_io has them: fd[i] becomes 3 + i, -EBADF nothing. */
struct preserve {
        int fd[LAUNCH_PRESERVE_MAX];
        size_t n;
};
/* "3,5,6": ascending. False: it is none, or one of the descriptors is not there. */
bool preserve_parse(const char *list, struct preserve *p);
void preserve_close(struct preserve *p);

struct run_args {
        const char *root, *id, *name, *log_driver, *pidfile;
        struct strv log_opts;
        const char *pod; /* id of the infra container that ends with its last member; NULL: none */
        struct strv joins; /* "NS:ID": namespace (enum spec_ns) of another container */
        uint16_t rows, cols;
        bool rm, stdin_once, health;
        struct process_id lives_with; /* pid 0: nobody */
        struct preserve preserve;
};
int monitor_run(struct run_args *a);
int monitor_exec(const char *root, const char *id, struct preserve *preserve);
int monitor_remove(const char *root, char *const *names);
int monitor_pause(const char *root, const char *id);
/* Becomes @command inside U; its errors are printed as kelp's. */
int monitor_unshare(const char *root, char *const *command);
int monitor_lend(const char *root, const char *id, bool write);
/* Prints the bytes on disk of every path below the data root, a line each. */
int monitor_usage(const char *root, char *const *paths);

/* Enters the user's namespace U, for good. */
int monitor_enter(const struct dirs *d, struct err **reterr);
/* spec.json, with the paths that are relative to the data root made absolute. */
int monitor_read_spec(const struct dirs *d, int dir_fd, struct spec **ret, struct err **reterr);

/* The ends of a program's standard streams. */
struct streams {
        int child[3]; /* for launch_io; closed once the program has them */
        int parent[3];
};
#define STREAMS_NONE                                                                               \
        {                                                                                          \
                {-EBADF, -EBADF, -EBADF},                                                          \
                {                                                                                  \
                        -EBADF, -EBADF, -EBADF                                                     \
                }                                                                                  \
        }
int streams_open(struct streams *s, bool with_input, struct err **reterr);
void streams_close(struct streams *s);
/* Gives the session what the program's other ends are. */
int streams_give(struct streams *s, struct session *session, struct launched *p,
                 struct err **reterr);
/* The same of the first program; adds the first client when descriptor 4 is one. */
int streams_connect(struct streams *s, struct session *session, struct launched *p,
                    struct err **reterr);

/* Exit code of a status of waitpid(2). */
int monitor_exit_code(int status);
/* Ends fuse-overlayfs, if there is one. The container must be dead. */
void monitor_end_helper(struct launched *p);
/* Kills what is in the session of @pid, that of a child of ours in another PID namespace, or a descendant of any such. */
void monitor_kill_session(pid_t pid);
/* Kills every child, and theirs as they become ours (subreaper). SIGCHLD must be blocked. */
void monitor_kill_children(void);
