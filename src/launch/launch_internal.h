/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What plan.c (parent, builds), spawn.c (parent, runs) and child*.c (after clone) share. Everything in struct launch_plan is decided before the
 * clone; the child owns its copy of the memory and keeps its own state in struct child.
 */
#include "base/str.h"
#include "launch/launch.h"
#include "launch/stage.h"
#include "launch/user.h"
#include "security/apply.h"
#include "security/filter.h"
#include "spec/spec.h"

#include <limits.h>
#include <signal.h>

struct rootfs;

/* A namespace to enter before the child is made: a descriptor of the namespace, or (exec) of a process. */
struct launch_join {
        int fd, nstype;
        const char *name; /* for messages */
};

/* sched_setaffinity(2). */
#define LAUNCH_CPUS_MAX 8192
struct launch_cpus {
        bool set;
        uint64_t mask[LAUNCH_CPUS_MAX / 64];
};

/* For a security module: what is written to which file of /proc. */
struct launch_label {
        const char *attr, *value;
};
#define LAUNCH_LABELS_MAX 2

struct launch_plan {
        const struct spec *spec; /* the caller's, alive as long as the plan */
        const struct spec_process *process;
        const enum stage *order; /* the child's stages, ending with STAGE_EXEC */
        uint64_t clone_flags;
        bool write_maps;
        bool new_time; /* not among the flags: child_new_time() */
        char *time_offsets;
        struct launch_join joins[SPEC_NS_COUNT]; /* user first */
        size_t n_joins;
        bool join_process;     /* joins[0].fd is a pidfd */
        int shm_ns;            /* mount namespace whose /dev/shm is to be shared; -EBADF: none */
        struct rootfs *rootfs; /* NULL when a container's is joined */

        bool orphan; /* no death signal */
        int hold_fd; /* where the child waits before the program; borrowed; -EBADF: it does not */
        int (*place)(pid_t pid, void *arg, struct err **reterr); /* NULL: it stays in our cgroup */
        void *place_arg;
        bool new_cgroup;  /* not among the flags: its root is where the child is at that moment */
        bool hooks;       /* some of those that launch_start() or the child runs */
        bool give_mounts; /* the option U: some mounts become the user's */
        bool loopback, new_keyring, keep_groups, no_setgroups, no_new_privs;
        char **argv, **envp;
        char *
            home; /* "HOME=" and room for a path; in envp when the container's passwd file decides */
        const char *path_list; /* value of PATH */
        uint64_t caps_known;
        struct apply_caps caps;
        struct apply_rlimit *rlimits;
        struct seccomp_filter filter;
        char *oom_score; /* NULL: leave */

        /* Of bundles. */
        bool by_number; /* the user is these, and nothing but a home is looked up */
        uint32_t uid, gid, *groups;
        size_t n_groups;
        struct launch_cpus cpus_initial,
            cpus_final; /* before the control group is entered, and after */
        struct launch_label labels[LAUNCH_LABELS_MAX];
        size_t n_labels;
        char *warning; /* for the user; NULL: none */

        char *
            init_path; /* kelp-init: as pid 1, or to keep our own program out of the container's sight */
        bool
            init_alone; /* kelp-init is the program itself: nothing is looked for in the container */
        char **init_argv; /* NULL: the program is executed directly; the last part is argv */

        char *
            args; /* the monitor's command line, wiped in the child where others could read it; NULL: none can */
        size_t args_len;

        int fail_stage; /* tests: this stage fails with ECANCELED; -1 none */
        struct strv strings;
};

/* What hooks are given: descriptors that come with GO_ON. */
enum hook_fd {
        HOOK_FD_CREATING, /* the state, in either status */
        HOOK_FD_CREATED,
        HOOK_FD_OUT,
        HOOK_FD_ERR, /* may be missing: then their last line is kept */
        HOOK_FD_COUNT
};
static_assert(HOOK_FD_COUNT <= SYNC_FDS, "they come with one message");
struct launch_hook_io {
        int state_fd, out_fd, err_fd;
        const char *directory; /* to run in; NULL: where we are */
};

/* The child's own state. */
struct child {
        struct launch_plan *plan;
        struct child_note *note;
        int sync, in, out, err;
        int preserve[LAUNCH_PRESERVE_MAX];
        size_t n_preserve;
        int init_fd;
        int hold_fd; /* -EBADF: no hold, or released */
        int master, slave, keeper;
        int hook_fds[SYNC_FDS]; /* enum hook_fd */
        bool retry_directory;   /* the directory could not be entered as root: again as the user */
        bool no_setgroups;      /* the user namespace forbids it */
        int label_fds[LAUNCH_LABELS_MAX];
        struct user_result user;
};

/* plan.c */
struct launch_plan *launch_plan_alloc(const struct spec *s, const struct spec_process *process);
/* Program, environment, privileges: what run and exec have in common. */
int launch_plan_process(struct launch_plan *p, bool all_caps, int cache_fd, struct err **reterr);
/* For a child in a pid namespace with others in it: the monitor's arguments, paths of the host, are not theirs to read. */
int launch_plan_hide_args(struct launch_plan *p, struct err **reterr);
int launch_plan_protect_exe(struct launch_plan *p, struct err **reterr);
extern const enum stage launch_order_exec[], launch_order_exec_early_filter[];

/* plan_ns.c */
int launch_ns_flag(enum spec_ns ns); /* CLONE_NEW… */
int launch_plan_namespaces(struct launch_plan *p, struct err **reterr);
/* plan_bundle.c: what the process of a bundle has besides. */
int launch_plan_bundle(struct launch_plan *p, struct err **reterr);

/* shm.c: /dev/shm of the container whose IPC namespace is joined; only when the plan has it mounted. */
int launch_shm_plan(struct launch_plan *p, struct err **reterr);
int launch_shm_take(struct launch_plan *p, struct err **reterr);

/* hooks.c */
bool launch_hooks_wanted(const struct spec *s);
/* The child waits at STAGE_HOOKS_RUNTIME: runs the runtime's, then sends it what its own are to be given. */
int launch_hooks_create(const struct spec *s, pid_t pid, int sock, struct err **reterr);
/* @note: what child_hook_run() left. */
int launch_hook_failed(enum spec_hook point, const struct child_note *note, int errnum,
                       struct err **reterr);

/* spawn.c */
/* In words, with a hint: a child's last report, and that there was none. */
int launch_report_failed(const struct child_report *report, struct err **reterr);
int launch_receive_failed(int r, struct err **reterr);
int launch_spawn(struct launch_plan *p, const struct launch_io *io, struct launched *ret,
                 struct err **reterr);

/* child.c. Does not return. */
void child_main(struct launch_plan *p, const struct launch_io *io, int sync)
    __attribute__((noreturn));
/* Reports and ends. */
void child_fail(const struct child *c, enum stage stage, int errnum) __attribute__((noreturn));
/* NEXT_IS_EXEC or HELD, with the terminal, which the child then has no longer; 0 or -errno. */
int child_report_ready(struct child *c, enum report_what what, enum stage stage);
int child_ask_death_signal(const struct child *c);
/* The process between the monitor and a child that joins namespaces. Does not return, in either of the two. */
void child_join_main(struct launch_plan *p, const struct launch_io *io, int sync)
    __attribute__((noreturn));

/* child_*.c: stages that are long enough to have a file of their own; 0 or -errno. */
int child_stage_hooks_runtime(struct child *c);
int child_stage_hooks_create(struct child *c);
int child_stage_hooks_start(struct child *c);
int child_stage_terminal(struct child *c);
int child_stage_hold(struct child *c);
int child_stage_exec(struct child *c);
/* Whether STAGE_EXEC could find its program; the note says what it looked for. */
int child_probe_program(struct child *c);
int child_open_init(struct child *c);
/* Default dispositions, empty mask: for a program that is none of ours. */
void child_reset_signals(void);
void child_number(int n, char ret[12]); /* decimal, n ≥ 0 */
/* Runs a hook and waits for it. -errno: it could not be run; -ECHILD: it failed, or took too long, which @note tells. */
int child_hook_run(const struct spec_hook_entry *h, const struct launch_hook_io *io,
                   struct child_note *note);
int child_oom_score(const char *path, const char *score);
int child_new_time(struct child *c);
int child_set_cpus(struct child *c, const char *what, const struct launch_cpus *cpus);
int child_schedule(struct child *c);
int child_open_labels(struct child *c);
int child_set_labels(struct child *c);
