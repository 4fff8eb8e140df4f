/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* health — asking for the health of a container. */
struct container;
struct dirs;
struct err;

/* Has its monitor check its health now, and waits for the result: 0 healthy, 1 not. ERR_UNSUPPORTED: nothing says how. */
int container_check_health(const struct dirs *d, struct container *c, struct err **reterr);
