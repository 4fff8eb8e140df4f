/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * volumes — what is done to whole volumes (src/volume) and needs more than their directory: files of subordinate ids, filters, images. For
 * the command line and, later, the API. Nothing is printed here.
 */
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct dirs;
struct err;
struct json_object;
struct volume;

/* ERR_NOT_FOUND, ERR_BUSY (names the containers that have it). Its files are gone when it returns. */
int volumes_remove(const struct dirs *d, const char *name, struct err **reterr);

/* Filters "dangling=true", "driver=local", "label=k[=v]", "label!=k[=v]", "name=part", and for prune "all=true". Several of one key: any
 * (labels: all). */
struct volume_filter;
int volume_filter_parse(const struct dirs *d, char *const *filters, bool prune,
                        struct volume_filter **ret, struct err **reterr);
bool volume_filter_match(const struct volume_filter *f, const struct volume *v);
struct volume_filter *volume_filter_free(struct volume_filter *f);
DEFINE_CLEANUP(struct volume_filter *, volume_filter_free);

/* volume_list(), after what killed commands left has been swept: anonymous volumes whose container is gone are gone too. */
int volumes_list(const struct dirs *d, struct volume ***ret, size_t *ret_n, struct err **reterr);

/* Removes those that no container has: anonymous ones, or with @all any. @ret: names of the removed; *ret_bytes: what they held on disk. */
int volumes_prune(const struct dirs *d, bool all, char *const *filters, struct strv *ret,
                  uint64_t *ret_bytes, struct err **reterr);

/* Progress and warnings of long work; NULL ok, and so are its members. */
struct volumes_job {
        void (*progress)(void *arg, const char *item, uint64_t done, uint64_t total);
        void (*warning)(void *arg, const char *text);
        void *arg;
};
/* The files of the archive @in (a tar, compressed or not; @what: its name in messages) over those that the volume has: all or nothing. ERR_BUSY:
 * a container that has it runs. */
int volumes_import(const struct dirs *d, const char *name, int in, const char *what,
                   const struct volumes_job *job, struct err **reterr);

/* Its files as a tar, written to @out; owners are those of a container with the default map. While containers run it is what they have at the time, file by
 * file. ERR_BUSY when it was removed or imported into meanwhile. */
int volumes_export(const struct dirs *d, const char *name, int out, const struct volumes_job *job,
                   struct err **reterr);

/* Bytes on disk of each of @names, in that order (UINT64_MAX: it is gone); hard-linked files count once. Inside U where need be. Caller
 * owns *ret. */
int volumes_size(const struct dirs *d, const struct strv *names, uint64_t **ret,
                 struct err **reterr);
