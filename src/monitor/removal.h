/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * removal — taking a container away (docs/state.md, "Creation and removal"). The rename into tmp/ commits: from then on it does not
 * exist, and whoever sweeps may delete what is left.
 */
struct dirs;
struct err;

/* containers/<id> → tmp/<id>, and its name. -ENOENT (ERR_NOT_FOUND): somebody else was first. @name may be NULL. */
int removal_commit(const struct dirs *d, const char *id, const char *name, struct err **reterr);
/* Deletes tmp/<id>. Needs to run inside U where the tree holds ids of others. */
int removal_delete(const struct dirs *d, const char *id, struct err **reterr);
/* Unlinks names/<name> if it still means @id. */
void removal_unlink_name(const struct dirs *d, const char *id, const char *name);
