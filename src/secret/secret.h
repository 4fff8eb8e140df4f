/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * secret — small pieces of data that containers are given and that nothing shows (docs/state.md, "Secrets").
 *
 *   secrets/<name>/info.json   id, times, labels
 *   secrets/<name>/data        the secret; mode 0600 in a directory of mode 0700, not encrypted
 *
 * Both are written in tmp/ and published by one rename, so that a reader who has opened the directory has the two that belong together.
 * A container gets a copy of its own when it is made: replacing or removing a secret changes no container that is there.
 *
 * No message, event or log ever has a part of the data in it.
 */
#include "base/macros.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dirs;
struct err;
struct json_object;
struct spec;

#define SECRETS       "secrets"
#define SECRET_DRIVER "file"
#define SECRET_MAX    512000    /* bytes, Podman's */
#define SECRET_ID_LEN 25        /* digits, Podman's */
#define SECRET_GIVEN  "secrets" /* in a container's directory: its copies, by number */
#define SECRET_DIR    "/run/secrets"

struct secret {
        char *name, *id;
        int64_t created_ns, updated_ns;
        struct strv labels; /* "k=v" */
};
struct secret *secret_free(struct secret *s);
DEFINE_CLEANUP(struct secret *, secret_free);

/* [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most 253 characters. ERR_USAGE. */
int secret_check_name(const char *name, struct err **reterr);

struct secret_create_opts {
        const char *name;
        const char *driver; /* NULL: file, the only one */
        const struct strv *labels;
        const char *data;
        size_t len;
        bool replace; /* one of that name is replaced, */
        bool ignore;  /* or left as it is */
};
/* *ret_id: caller owns. ERR_EXISTS when there is one of that name. */
int secret_create(const struct dirs *d, const struct secret_create_opts *o, char **ret_id,
                  struct err **reterr);
/* By name, id or unique prefix of the id. ERR_NOT_FOUND "no such secret: X". */
int secret_find(const struct dirs *d, const char *name, struct secret **ret, struct err **reterr);
/* The same with its data. Caller frees both. */
int secret_read(const struct dirs *d, const char *name, struct secret **ret, char **ret_data,
                size_t *ret_len, struct err **reterr);
/* By name. Damaged ones are left out. */
int secret_list(const struct dirs *d, struct secret ***ret, size_t *ret_n, struct err **reterr);
void secret_list_free(struct secret **v, size_t n);
/* The rename into tmp/ commits. @name as in secret_find(); *ret_id (caller owns): whose it was. */
int secret_remove(const struct dirs *d, const char *name, char **ret_id, struct err **reterr);
/* Podman's JSON: ID CreatedAt UpdatedAt Spec. Without the data. Caller owns. */
struct json_object *secret_inspect(const struct dirs *d, const struct secret *s);

/* ---- what a container has been given (given.c) ---- */
/* Sets the variables that @s takes from its copies, in @env. @dir_fd: the container's directory. */
int secret_add_env(int dir_fd, const struct spec *s, struct strv *env, struct err **reterr);
