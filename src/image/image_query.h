/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * image_query — images as Docker shows them: JSON of one image, its history, and the filters of listings. For the command line and the API.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct dirs;
struct image;
struct json_object;

/* GET /images/{name}/json. ERR_NOT_FOUND when there is none. Caller owns *ret. */
int image_inspect(const struct dirs *d, const char *name, struct json_object **ret,
                  struct err **reterr);
/* mediaType, digest and size of its manifest. Caller owns; NULL: the manifest is not there. */
struct json_object *image_descriptor(const struct dirs *d, const struct image *i);
/* GET /images/{name}/history: array, newest first, of {Id, Created (seconds), CreatedBy, Tags, Size, Comment}. */
int image_history(const struct dirs *d, const char *name, struct json_object **ret,
                  struct err **reterr);

/* "dangling=true", "label=k[=v]", "label!=…", "before=IMAGE", "since=IMAGE", "reference=PATTERN", "until=TIME|DURATION". */
struct image_filter;
int image_filter_parse(const struct dirs *d, char *const *filters, struct image_filter **ret,
                       struct err **reterr);
struct image_filter *image_filter_free(struct image_filter *f);
DEFINE_CLEANUP(struct image_filter *, image_filter_free);
bool image_filter_match(const struct image_filter *f, const struct image *i);
/* Whether a listing shows this name (formatted) of a matching image. */
bool image_filter_match_name(const struct image_filter *f, const char *formatted);
/* Adds a reference pattern: the operand of `images`: "debian", "debian:12", "*:latest". */
void image_filter_add_reference(struct image_filter *f, const char *pattern);
/* The value of "until=…". ERR_USAGE. */
int image_filter_until(const char *value, int64_t *ret_ns, struct err **reterr);
