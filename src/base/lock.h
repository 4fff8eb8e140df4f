/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * lock — flock(2) on a file. Held by the open file description: gone with its last descriptor, also after kill -9.
 * lock_try: -EWOULDBLOCK without words when another holds it.
 */
#include <stdbool.h>

struct err;

/* Waits; returns the lock's descriptor. @name is made when missing (0600); it may be a directory, "." too. */
int lock_acquire(int dirfd, const char *name, bool exclusive, struct err **reterr);
/* Never waits. */
int lock_try(int dirfd, const char *name, bool exclusive, struct err **reterr);
/* Tries for about a fifth of a second: for locks that their holders let go of at once. -EWOULDBLOCK as above. */
int lock_try_for(int dirfd, const char *name, struct err **reterr);
/* True when somebody holds the lock exclusively. A missing file is not held. Opens read-only and takes nothing that an owner
 * could trip over (shared, non-blocking, released at once): an owner that acquires with lock_acquire is only delayed. */
bool lock_is_held(int dirfd, const char *name);
