/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* run_internal — one run of a container: run.c (its life and end) and run_start.c (up to the program running). */
#include "launch/launch.h"
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
        struct loop_source *kill_timer;
        int stop_signal;
        uint32_t stop_timeout, timeout;
        bool rm;        /* the end removes it */
        bool own_pids;  /* a PID namespace of its own: nothing outlives pid 1 */
        bool delivered; /* every client has got all */
        int64_t started_ns;
        int code;
        /* For events and for the removal: run_event.c */
        char *name, *image_name;
        struct strv labels;
        uint64_t config_ino; /* of the config.json that @name is from */
};

/* What the container is called now: it may have been renamed since it was started. */
const char *run_name(struct run *run);
/* Tells the log of events. @attributes: key, value, …, NULL; may be NULL. */
void run_event(struct run *run, const char *action, const char *const *attributes);
/* "die", with the exit code and how long it ran. */
void run_event_die(struct run *run, int code);

/* Everything up to run.json. On failure the caller ends what was started. */
int run_start(struct run *run, struct err **reterr);
/* run_socket.c: further clients find it, and no longer. */
int run_listen(struct run *run, struct err **reterr);
void run_remove_socket(const struct run *run);
