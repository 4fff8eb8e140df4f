/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* update — changes to a container that exists. */
struct container;
struct dirs;
struct err;
struct restart_policy;

/* Gives it another restart policy, at any time: it holds from the next end on. */
int container_update(const struct dirs *d, struct container *c, const struct restart_policy *p,
                     struct err **reterr);
