/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * top — the processes of a running container, as the host's /proc tells of them. Nothing runs in the container, and nothing is asked of it
 * but its /etc/passwd and /etc/group.
 */
#include "base/macros.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct dirs;
struct container;

struct top_process {
        uint32_t hpid, hppid, pid, ppid, pgid; /* on the host; the others in the container */
        uint32_t uid, ruid, gid, rgid;         /* the host's */
        uint32_t tty;                          /* as stat has it; 0: none */
        int64_t nice;
        char state;
        uint64_t vsz_bytes, rss_bytes;
        uint64_t start_ticks;             /* since boot: with the pid it names the process */
        int64_t start_ns, age_ns, cpu_ns; /* since 1970; how long it has run; what it has used */
        uint32_t seccomp;                 /* as status has it */
        char *comm, *args; /* whatever the process says: not for a terminal as they are */
};
/* Names and numbers as the container has them; NULL: none has been read. */
struct top_accounts;

struct top {
        struct top_process *v; /* by host pid */
        size_t n;
        struct top_accounts *accounts;
};
/* ERR_BUSY: it is not running. */
int top_read(struct container *c, struct top *ret, struct err **reterr);
void top_release(struct top *t);
/* The container's name for an id of the host's, else its number there, else "host:N" for what has no place in it. Caller owns; not for a
 * terminal as it is. */
char *top_user(const struct top *t, uint32_t host_uid);
char *top_group(const struct top *t, uint32_t host_gid);
uint32_t top_uid(const struct top *t, uint32_t host_uid); /* UINT32_MAX: none */
