/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * lifetime — how long a container lives, as it was declared, and the process whose end is its end.
 *
 *   user     until somebody ends it, or the system ends the user's processes (the default)
 *   command  with the kelp that started it
 *   session  with the login session: logind's leader of $XDG_SESSION_ID, else the leader of the kernel's session (getsid(2))
 *   job      with the batch job: the topmost of our ancestors that has the job's variable, else our parent
 */
#include <stdbool.h>
#include <sys/types.h>

struct container;
struct err;
struct process_id;

#define LIFETIME_DEFAULT "user"

/* ERR_USAGE: there is no such lifetime. NULL is the default. */
int lifetime_check(const char *name, struct err **reterr);
/* As it was declared. */
const char *lifetime_name(const struct container *c);
/* 1 and the process that @c is to live with, 0 there is none. @stays: we wait for the container's end. ERR_USAGE: what it is to live with
 * is not there. */
int lifetime_anchor(const struct container *c, bool stays, struct process_id *ret,
                    struct err **reterr);
/* For its tests. The leader that logind's record of a session (/run/systemd/sessions/ID) names, if the session is @uid's; 0. */
pid_t lifetime_session_leader(const char *record, uid_t uid);
