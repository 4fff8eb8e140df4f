/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * holder — holder.json, the record by which U is found. Internal to idmap/ (library and kelp-userns).
 *
 * A record is only a hint: whoever reads it checks that the file is ours, that the process is the one meant, that its namespace is the one
 * meant and that we own it, and that what the maps were made from has not changed.
 */
#include "base/process.h"
#include "idmap/idmap.h"

#define HOLDER_FILE      "holder.json"
#define HOLDER_LOCK      "holder.lock"
#define HOLDER_PROGRAM   "kelp-userns"
#define HOLDER_NONCE_LEN 16
#define HOLDER_FILE_MAX  (64U * 1024)
#define HOLDER_HEAD      128 /* the nonce stands within so many bytes of the file's start */

/* Descriptors that kelp-userns is started with. */
enum { HOLDER_FD_LOCK = 3, HOLDER_FD_RUNTIME = 4, HOLDER_FD_COUNT };

struct holder_record {
        char nonce[HOLDER_NONCE_LEN + 1];
        struct process_id process;
        uint32_t uid, gid;    /* effective ids of who made it */
        char *parent_ns, *ns; /* "dev:inode" of the namespace U was made in, and of U */
        char *identity;       /* holder_identity() from before the ranges were read */
        uint64_t made;        /* CLOCK_BOOTTIME, ns */
        enum idmap_tier tier;
        char *why, *remedy;
        struct id_map uid_map, gid_map;
};
void holder_record_release(struct holder_record *r);

struct json_object *holder_record_to_json(const struct holder_record *r);
int holder_record_from_json(struct json_object *obj, struct holder_record *ret,
                            struct err **reterr);
/* Reads the record if it is a regular file of our own that only we can write; also returns its descriptor, to be touched. */
int holder_record_read(int runtime_fd, struct holder_record *ret, int *ret_fd, struct err **reterr);
/* Opens U of the record (nsfs) after checking that it is the one meant. */
int holder_open_ns(const struct holder_record *r, struct err **reterr);

/*
 * What U's maps depend on, as one string to compare: the range files and, below the full tiers, whether the mapping programs
 * are there and can gain privilege. Cheap enough for every start: a few stat(2).
 */
char *holder_identity(enum idmap_tier tier);
/* "dev:inode" of a namespace file; NULL when it cannot be read. Caller owns. */
char *holder_ns_name(int dirfd, const char *path);
