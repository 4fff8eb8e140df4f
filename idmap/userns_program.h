/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * userns_program — the parts of kelp-userns. Internal to the program.
 *
 *   parent (userns_main.c)                     child (userns_child.c), later the holder
 *   fork                                  ───▶ unshare(CLONE_NEWUSER)
 *   reads ranges (userns_ranges.c)
 *                                         ◀─── UNSHARED{errno}
 *   newuidmap, newgidmap, verify          ───▶ GO
 *   (userns_maps.c)                            tries a capability, detaches: session, descriptors, title
 *                                         ◀─── READY{errno, step}
 *   holder.json, exit: end of file        ───▶ is holder.json ours? serve until idle, replaced or told to end
 *
 * Killing the parent at any point ends the child: it sees the end of file and that holder.json does not name it.
 */
#include "idmap/holder.h"
#include "idmap/idmap_internal.h"

struct holder_child {
        pid_t pid;
        int sock;
};
struct holder_child_opts {
        int runtime_fd;
        const char *nonce;
        char **argv; /* overwritten: the holder's title */
};
int holder_child_start(const struct holder_child_opts *o, struct holder_child *ret,
                       struct err **reterr);
/* Waits until the child is in its new namespace; says what forbids it otherwise. */
int holder_child_wait_unshared(const struct holder_child *c, struct err **reterr);
/* The maps are in place: waits until the child has detached. */
int holder_child_go(const struct holder_child *c, struct err **reterr);
void holder_child_kill(struct holder_child *c); /* and reaps; c is empty afterwards */

/* Who makes U, from where, and what for. */
struct userns_request {
        uint32_t uid, gid;
        char *user; /* NULL: no passwd entry */
        struct id_map parent_uid, parent_gid;
        bool nested;      /* not in the initial namespace, as far as the maps show */
        bool may_map_all; /* root in the parent namespace */
};
int userns_request_init(struct userns_request *q, struct err **reterr);
void userns_request_release(struct userns_request *q);

/* What U is to be. @why and @remedy say why it is not the full tier. */
struct userns_target {
        enum {
                TARGET_WRITE,
                TARGET_TOOLS
        } how; /* the kernel's files ourselves, or newuidmap and newgidmap */
        struct id_map uid, gid;
        char *why, *remedy;
};
void userns_target_release(struct userns_target *t);
/* The best that the ranges allow; never fails, the last resort is one id. */
void userns_target_plan(const struct userns_request *q, struct userns_target *t);
/* One id, because of @why (taken over, as is @remedy). */
void userns_target_one_take(const struct userns_request *q, struct userns_target *t, char *why,
                            char *remedy);
/* Gives the child its maps and looks whether they are what was asked for. */
int userns_target_apply(const struct userns_target *t, pid_t pid, struct err **reterr);

/* ---- words ---- */
int userns_advice_unshare(struct err **reterr, int errnum);
int userns_advice_capability(struct err **reterr, int errnum);
char *userns_remedy_ranges(const struct userns_request *q);
