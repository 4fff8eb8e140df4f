/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * json — json-c with limits and with errors that name the path of the offending value ("config.json: process.args[2]: expected
 * a string"). Parsing is strict UTF-8, depth ≤ 64, size ≤ the given maximum, no trailing garbage, numbers out of range are errors.
 *
 * Access: a struct json_at is a value plus the path that led to it, made with json_root() on the stack; the getters below set
 * *reterr on a type mismatch. "opt" getters accept an absent key or null and then leave *ret alone.
 */
#include "base/macros.h"

#include <json-c/json_object.h>
#include <json-c/json_object_iterator.h>
#include <json-c/linkhash.h> /* json_object_object_foreach */
#include <stdbool.h>
#include <stdint.h>

struct err;
struct strv;

struct json_at {
        struct json_object *obj;      /* borrowed; NULL is JSON null */
        const struct json_at *parent; /* NULL at the root */
        const char *name; /* document name at the root, else the key; NULL for an element */
        size_t index;
};

int json_parse(const char *data, size_t n, const char *what, struct json_object **ret,
               struct err **reterr);
int json_read_file(int dirfd, const char *path, size_t max, struct json_object **ret,
                   struct err **reterr);
/* The most that a document of our own making has: an image's config has at most 4 MiB. */
#define JSON_OWN_MAX (16U * 1024 * 1024)
/*
 * What json_read_file() would refuse must not be written: what is not UTF-8, or longer than JSON_OWN_MAX. *ret: the text, borrowed from @obj.
 * ERR_USAGE: names, arguments, labels and variables of the caller, or of an image, are in it.
 */
int json_to_text(struct json_object *obj, const char *what, const char **ret, struct err **reterr);
static inline struct json_at json_root(struct json_object *obj, const char *what)
{
        return (struct json_at){.obj = obj, .name = what};
}
/* Child by key; at->obj must be an object. Absent and null both give .obj == NULL. */
struct json_at json_key(const struct json_at *at, const char *key);
struct json_at json_elem(const struct json_at *at, size_t index);

int json_want_object(const struct json_at *at, struct err **reterr);
int json_want_array(const struct json_at *at, size_t max_len, size_t *ret_len, struct err **reterr);
/* *ret is borrowed and contains no NUL byte inside. */
int json_get_string(const struct json_at *at, const char *key, const char **ret,
                    struct err **reterr);
int json_opt_string(const struct json_at *at, const char *key, const char **ret,
                    struct err **reterr);
int json_opt_bool(const struct json_at *at, const char *key, bool *ret, struct err **reterr);
int json_get_u64(const struct json_at *at, const char *key, uint64_t *ret, struct err **reterr);
int json_opt_u64(const struct json_at *at, const char *key, uint64_t *ret, struct err **reterr);
int json_opt_i64(const struct json_at *at, const char *key, int64_t *ret, struct err **reterr);
int json_opt_u32(const struct json_at *at, const char *key, uint32_t *ret, struct err **reterr);
/* Array of strings, appended to what *ret holds; nothing is added on failure. */
int json_opt_strv(const struct json_at *at, const char *key, struct strv *ret, struct err **reterr);
/* An object of strings, appended as "key=value". */
int json_opt_pairs(const struct json_at *at, const char *key, struct strv *ret,
                   struct err **reterr);
int json_value_string(const struct json_at *at, const char **ret, struct err **reterr);
/* "a.b[3]: expected a string" etc. as ERR_INVALID. */
int json_fail(const struct json_at *at, struct err **reterr, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Building: json_object_object_add and friends, plus shorthands. NULL strings become JSON null. */
void json_add_string(struct json_object *o, const char *key, const char *value);
void json_add_bool(struct json_object *o, const char *key, bool value);
void json_add_int(struct json_object *o, const char *key, int64_t value);
void json_add_uint(struct json_object *o, const char *key, uint64_t value);
struct json_object *json_from_strv(const struct strv *s); /* array; [] when empty */
/* "key=value" strings as members; a key alone has an empty value. */
void json_add_pairs(struct json_object *o, const struct strv *pairs);
/* Each adds an empty container and returns it (borrowed). The macro, because json-c has a type of that name. */
struct json_object *json_array(struct json_object *o, const char *key);
struct json_object *json_add_object(struct json_object *o, const char *key);
#define json_object(o, key) json_add_object(o, key)

struct json_object *json_unref(struct json_object *o); /* NULL ok; returns NULL */
DEFINE_CLEANUP(struct json_object *, json_unref);
#define AUTO_JSON AUTO(json_unrefp) struct json_object
