/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* run_internal — a container from its start to its end: run.c (its life and end), run_start.c (up to the program running), run_again.c (restarts). */
#include "launch/launch.h"
#include "monitor/health.h"
#include "monitor/monitor.h"
#include "monitor/notify.h"
#include "monitor/record.h"
#include "monitor/session.h"
#include "spec/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct loop;
struct loop_source;
struct log_writer;

struct run {
        struct run_args *a;
        struct dirs *d;
        int dir_fd, lock_fd;
        struct loop *loop;
        struct session *session;
        struct log_writer *log;
        struct notify *notify; /* NULL: nobody wants to hear */
        struct launched p;
        int targets[SPEC_NS_COUNT]; /* pidfds of those whose namespaces it shares */
        size_t n_targets;
        struct loop_source *kill_timer, *idle_timer;
        struct health *health;
        int anchor; /* pidfd of the process whose end is the container's; -EBADF: there is none */
        struct loop_source *anchor_watch;
        int stop_signal;
        uint32_t stop_timeout, timeout;
        bool rm;             /* the end removes it */
        bool own_pids;       /* a PID namespace of its own: nothing outlives pid 1 */
        bool delivered;      /* every client has got all */
        uint16_t rows, cols; /* of the terminal to begin with; 0: unknown */
        int64_t started_ns;
        int code;
        struct run_again {
                uint64_t restarts, pause_ns; /* so far; the latest pause */
                struct exit_record last;     /* how the latest run ended */
                struct loop_source *timer;
                bool waiting; /* no program runs: it is started when the timer says so */
                bool forced;  /* its end is one for a restart, whatever the policy */
                bool over;    /* somebody ends us: nothing is started any more */
        } again;
        /* For events and for the removal: run_event.c */
        char *name, *image_name;
        struct strv labels;
        struct strv volumes; /* name, destination, "true" when writable, again and again */
        uint64_t config_ino; /* of the config.json that @name is from */
};

/* What the container is called now: it may have been renamed since it was started. */
const char *run_name(struct run *run);
/* What the events say, taken from the spec. */
void run_remember(struct run *run, struct spec *s);
/* Tells the log of events. @attributes: key, value, …, NULL; may be NULL. */
void run_event(struct run *run, const char *action, const char *const *attributes);
/* Of each of its volumes: "mount" or "unmount". */
void run_event_volumes(struct run *run, const char *action);
/* "die", with the exit code and how long it ran. */
void run_event_die(struct run *run, int code);

/* run_join.c: names the namespaces of --join in the spec. Once they are open, whether those who had them still run is looked at again. */
int run_join(struct run *run, struct spec *s, struct err **reterr);
int run_joined_still_run(struct run *run, struct err **reterr);
void run_let_go_of_joined(struct run *run);
/* run_pod.c: after its end was recorded. The last member of a pod with the exit policy "stop" ends the pod. */
void run_end_pod(const struct run *run);

/* Everything up to run.json. On failure the caller ends what was started. */
int run_start(struct run *run, struct err **reterr);
/* run_socket.c: further clients find it, and no longer. */
int run_listen(struct run *run, struct err **reterr);
void run_remove_socket(const struct run *run);
/* The program once more, for the same session. The same of failures; run->started_ns is then still that of the run before. */
int run_start_again(struct run *run, struct err **reterr);

/* run.c, for run_again.c: the program runs; its run is over, for good or not; what a start has left that failed goes. */
void run_started(struct run *run);
void run_ended(struct run *run);
void run_clear(struct run *run);
void run_ask_to_end(struct run *run); /* its stop signal, later SIGKILL */
void run_stop(struct run *run);       /* the same as of a command: nothing starts it again */
void run_idle_soon(struct run *run);  /* what was just done is not done often: memory goes back */
void run_end(struct run *run);        /* the same for good: nothing is started again */
/* run_lifetime.c: run_end() when the process of --lives-with ends. */
int run_live_with(struct run *run, struct err **reterr);

/* run_again.c. True: run->again.last is recorded, and the program will be started again; run_ended() is called if it is not. */
bool run_goes_on(struct run *run);
/* A command has stopped the container (RECORD_STOPPED), perhaps between two runs. */
void run_look_again(struct run *run);
