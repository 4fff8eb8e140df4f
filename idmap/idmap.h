/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * idmap — subordinate ids, map planning and the user's namespace U (docs/architecture.md, "User namespaces").
 *
 * U maps 0 → the caller and 1…n → the subordinate ranges, in order. It is made by the helper program kelp-userns (the only one
 * that loads libsubid and runs newuidmap/newgidmap), which stays as its holder for a few idle minutes. Everybody else enters U
 * with setns(2). A container's own namespace C lies below U; its maps are written directly, with ids relative to U.
 *
 * Process: idmap_userns_open() in any engine process outside U; enter once, single-threaded; planning is pure.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct dirs;
struct json_object;

/* [inside, inside+count) → [outside, outside+count) of the parent namespace */
struct id_extent {
        uint32_t inside, outside, count;
};
struct id_map {
        struct id_extent *v;
        size_t n;
};
#define ID_MAP_MAX_EXTENTS 340 /* user_namespaces(7), Linux ≥ 4.15 */
#define ID_NONE            UINT32_MAX

/* ≥ 65536 ids; fewer; one */
enum idmap_tier { IDMAP_TIER_FULL, IDMAP_TIER_SHORT, IDMAP_TIER_ONE, IDMAP_TIER_COUNT };
const char *idmap_tier_name(enum idmap_tier t); /* "full", "short", "one" */

/* The user's namespace as it is right now. Maps are relative to the namespace of the caller (normally the initial one). */
struct idmap_userns {
        int fd; /* nsfs descriptor of U, usable with setns(CLONE_NEWUSER) */
        enum idmap_tier tier;
        struct id_map uid, gid;
        bool inside;  /* we are in it already */
        char *why;    /* why the tier is not full, in words; NULL when full */
        char *remedy; /* what can be done about it, as a hint; NULL when full */
};
/* Finds the live holder, or starts one. The ranges are looked at again when /etc/subuid or /etc/subgid changed. Never waits for
 * anything but another caller's start of the same holder. */
int idmap_userns_open(const struct dirs *dirs, struct idmap_userns **ret, struct err **reterr);
struct idmap_userns *idmap_userns_free(struct idmap_userns *u);
DEFINE_CLEANUP(struct idmap_userns *, idmap_userns_free);
/* setns into U: afterwards we are uid 0 there with all capabilities (the kuid is still the caller's), dumpable again. */
int idmap_userns_enter(const struct idmap_userns *u, struct err **reterr);
/* What says so to Kelp's commands in `kelp unshare`, in the environment: the mark of the namespace that we are in. Caller owns; NULL: *reterr. */
#define IDMAP_INSIDE_ENV "KELP_UNSHARE"
char *idmap_inside_mark(struct err **reterr);
/* Ends the idle holder now (tests, "kelp system"). Running containers keep their own namespaces. */
int idmap_holder_stop(const struct dirs *dirs, struct err **reterr);

/* ---- planning (pure) ---- */
void id_map_add(struct id_map *m, uint32_t inside, uint32_t outside, uint32_t count);
void id_map_release(struct id_map *m);
uint32_t id_map_to_outside(const struct id_map *m, uint32_t inside); /* ID_NONE when unmapped */
uint32_t id_map_to_inside(const struct id_map *m, uint32_t outside);
uint64_t id_map_total(const struct id_map *m);
/* Container id → id of the caller's namespace: @inner (C → U) applied, then @outer (U → caller). Caller releases. */
struct id_map id_map_compose(const struct id_map *inner, const struct id_map *outer);
/* "0 1000 1\n1 100000 65536\n", as in /proc/PID/uid_map; caller owns */
char *id_map_format(const struct id_map *m);
int id_map_parse(const char *text, struct id_map *ret, struct err **reterr);
/* Same ids to same ids, however they are cut into lines. */
bool id_map_equal(const struct id_map *a, const struct id_map *b);

enum idmap_mode {
        IDMAP_MODE_PRIVATE,
        IDMAP_MODE_HOST,
        IDMAP_MODE_KEEP_ID,
        IDMAP_MODE_EXPLICIT,
        IDMAP_MODE_AUTO,
        IDMAP_MODE_NOMAP, /* all but the caller */
        IDMAP_MODE_COUNT
};
struct idmap_request {
        enum idmap_mode mode;
        /* KEEP_ID: the caller appears as these; ID_NONE: the caller's own numbers */
        uint32_t keep_uid, keep_gid;
        /* EXPLICIT: --uidmap and --gidmap, container → U; an empty one is as the other. AUTO: what goes before the range */
        struct id_map uid, gid;
        /* AUTO: how many ids (0: the caller is to say), and their first one in U, which the caller has reserved */
        uint32_t auto_size, auto_start;
};
/* Parses --userns and the --uidmap/--gidmap lists ("0:1:1000", amounts default 1). ERR_USAGE names the offending part. */
int idmap_request_parse(const char *userns, char *const *uidmaps, char *const *gidmaps,
                        struct idmap_request *ret, struct err **reterr);
void idmap_request_release(struct idmap_request *r);
/* Container maps C → U for a request: no line crosses an extent of U (the kernel refuses such lines), at most
 * ID_MAP_MAX_EXTENTS lines. @caller_uid/gid: the caller's ids, for keep-id without numbers. Ids that U does not hold are an error that
 * names them and the remedy. HOST: both maps stay empty (no namespace of its own). */
int idmap_plan(const struct idmap_request *r, const struct idmap_userns *u, uid_t caller_uid,
               gid_t caller_gid, struct id_map *ret_uid, struct id_map *ret_gid,
               struct err **reterr);
/* Splits every line of @want at the extents of @parent; lines outside it are an error. */
int id_map_split(const struct id_map *want, const struct id_map *parent, struct id_map *ret,
                 struct err **reterr);

/* Writes the maps of a child that is in a new user namespace below ours. */
int idmap_write(pid_t pid, const struct id_map *uid, const struct id_map *gid, struct err **reterr);
/*
 * The same where somebody else has chosen the maps, with outer ids of our own namespace: written directly where the kernel lets us (one's own
 * id, or the capability for more), cut at the extents of our own maps, else by newuidmap and newgidmap.
 */
int idmap_give(pid_t pid, const struct id_map *uid, const struct id_map *gid, struct err **reterr);
/* [{"containerID","hostID","size"}] as in runtime-spec */
struct json_object *id_map_to_json(const struct id_map *m);
