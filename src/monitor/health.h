/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * health — the health checks of one container, run by its monitor's own timers. What they have found stands in RECORD_HEALTH, replaced by rename:
 * Docker's State.Health.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <sys/types.h>

struct err;
struct health;
struct run;

/* From config.json. NULL: nothing is checked. */
struct health *health_new(struct run *run);
struct health *health_free(struct health *h); /* NULL ok; returns NULL */

/* NULL is fine in all of these. */
void health_started(struct health *h); /* the program runs */
void health_ended(struct health *h);   /* it is dead, and what checks it is to die */
void health_check_now(struct health *h);
/* True: @pid was the check. */
bool health_reap(struct health *h, pid_t pid, int status);
