/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* idmap_internal — what the sources of idmap/ and their tests share; nobody else includes it. */
#include "idmap/idmap.h"

/* One write(2) of less than a page is all the kernel accepts for a map; 4096 is the smallest page. */
#define ID_MAP_MAX_TEXT 4095
#define IDMAP_FULL_IDS  65536
#define PROC_MAP_MAX    (64U * 1024) /* of /proc/PID/uid_map */

int id_map_check_limits(const struct id_map *m, struct err **reterr);
/* @e is sane in itself and meets no extent of @m on either side. ERR_INVALID. */
int id_map_check_extent(const struct id_map *m, const struct id_extent *e, struct err **reterr);
struct id_map id_map_copy(const struct id_map *m);
void id_map_sort(struct id_map *m); /* by inside */
/* Sorted by inside, neighbours that continue each other joined. */
struct id_map id_map_normalise(const struct id_map *m);

/* plan.c: one "CONTAINER:INTERMEDIATE[:AMOUNT]" more; @option names it in errors. */
int idmap_parse_line(const char *option, const char *arg, struct id_map *ret, struct err **reterr);

/* tools.c. Writes the maps by newuidmap and newgidmap, which run at the same time, and looks whether they did. NULL: not this map. */
int idmap_run_tools(pid_t pid, const struct id_map *uid, const struct id_map *gid,
                    struct err **reterr);
/* The maps are what was asked for. */
int idmap_verify(pid_t pid, const struct id_map *uid, const struct id_map *gid,
                 struct err **reterr);

/* ---- --userns=auto (pure) ---- */
/* @options: what follows the word "auto": "" or ":…". */
int idmap_auto_parse(const char *options, struct idmap_request *r, struct err **reterr);
/* @own, then for every id below the size that it leaves out the one at the same place in the range. */
int idmap_auto_plan(const struct id_map *own, const struct id_map *parent,
                    const struct idmap_request *r, struct id_map *ret, struct err **reterr);

/* ---- the map of U (pure) ---- */

struct idmap_range {
        uint32_t start, count;
};
struct subid_ranges {
        struct idmap_range *v;
        size_t n;
};
void subid_ranges_add(struct subid_ranges *r, uint64_t start,
                      uint64_t count); /* what no id can be is cut off */
void subid_ranges_release(struct subid_ranges *r);

/*
 * 0 → @caller, then every id of @ranges once, in order: what an earlier range or the caller already has is left out. @parent is the
 * caller's own namespace (its /proc/self/uid_map): only ids it holds can be given on, and lines are cut at its extents. Ranges
 * beyond what one map can carry are left out.
 */
struct id_map subid_plan(uint32_t caller, const struct subid_ranges *ranges,
                         const struct id_map *parent);
/* 0 → @caller, then all other ids of @parent in order: what somebody may do who holds CAP_SETUID in @parent. */
struct id_map subid_plan_all(uint32_t caller, const struct id_map *parent);
enum idmap_tier idmap_tier_of(const struct id_map *uid, const struct id_map *gid);

/* The text of /etc/subuid or /etc/subgid: ranges of @name or, written as a number, @id. Malformed lines are skipped, as
 * newuidmap skips them. @name may be NULL. */
void subid_parse(const char *text, const char *name, uint32_t id, struct subid_ranges *ret);
/* First id at or above 100000 from which 65536 ids are nobody's in @text: for the remedy's example. 0 when there is none. */
uint32_t subid_first_free(const char *text);
