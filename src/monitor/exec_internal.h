/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* exec_internal — one exec session: exec.c (its life) and exec_record.c (what others see of it). */
#include "launch/launch.h"

#include <stdbool.h>

struct err;
struct preserve;
struct json_object;

struct request {
        struct json_object *doc; /* owned */
        const char *eid;
        const char *name; /* the container's, when the session was asked for */
        struct spec *spec;
        bool privileged, interactive, detach;
};

struct exec {
        struct preserve *preserve;
        struct dirs *d;
        const char *id;
        int dir_fd, records_fd;
        struct request req;
        char *record_name;
        struct loop *loop;
        struct session *session;
        struct launched p;
        int container; /* pidfd of pid 1 */
        struct loop_source *container_watch;
        int code;
        bool finished;
        bool delivered; /* every client has got all */
        bool own_pids;  /* the container has a PID namespace: nothing outlives its pid 1 */
};

int exec_request_read(struct request *q, struct err **reterr);

/* containers/<id>/exec/<eid>.json */
int exec_record_open(struct exec *x, struct err **reterr);
/* The session is over: a detached one's code is kept, of others nothing. */
void exec_record_close(struct exec *x);
