/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * template — Go's text/template over JSON values, as --format takes it.
 *
 * docs/format.md is the language's description. A template is parsed once and executed as often as there are values; both
 * stop at limits (below), so that neither a hostile template nor hostile values cost more than those.
 *
 * Values: an object of JSON is a *struct* of Go, whose unknown fields are errors, unless it stands under a name that
 * opts->maps lists: that is a *map*, whose missing keys are no error but "<no value>". A struct's field is found by its exact name,
 * else without regard to case where that is unambiguous (Docker's users write .Id and .ID). JSON's null prints "<nil>".
 *
 * Errors are ERR_USAGE; they name LINE:COLUMN, and the hint shows that line with a caret under the place.
 * Lifetime: the template owns all it needs; values that are passed are borrowed. Process: any; no state of its own.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct json_object;
struct strbuf;
struct template;

#define TEMPLATE_SOURCE_MAX (64 * 1024) /* bytes of a template */
#define TEMPLATE_OUTPUT_MAX                                                                        \
        (64 * 1024 * 1024)                   /* bytes one execution may write, or hold on its way */
#define TEMPLATE_STEPS_MAX (4 * 1000 * 1000) /* nodes one execution may visit */
#define TEMPLATE_DEPTH_MAX                                                                         \
        200 /* blocks and parentheses in each other; templates that call each other */

enum template_flags {
        TEMPLATE_ESCAPES =
            1 << 0, /* \t and \n in the text between actions, as they are typed into shells */
};
int template_parse(const char *text, unsigned flags, struct template **ret, struct err **reterr);
struct template *template_free(struct template *t);
DEFINE_CLEANUP(struct template *, template_free);
/* Whether any action names the field @name: something that is costly to find out may be left out otherwise. */
bool template_uses(const struct template *t, const char *name);

/* What a row can do besides having fields: .Label "x" asks for the method Label of the value that is executed over. */
struct template_method {
        const char *name;
        size_t n_args; /* strings */
        /* *ret: a new reference, NULL is null. */
        int (*call)(struct json_object *receiver, const char *const *args, void *arg,
                    struct json_object **ret, struct err **reterr);
};

struct template_opts {
        const struct template_method *methods; /* ends with a NULL name; NULL: none */
        void *arg;                             /* for the methods */
        const char *const *maps; /* names of members that are maps, ends with NULL; NULL: none */
        /* The value is headings: what changes a cell (json, upper, truncate, …) leaves its heading alone. */
        bool headings;
        size_t output_max, steps_max; /* 0: the limits above */
};
/* Appends to @out, which keeps what was there; after a failure it may hold a part. @opts: NULL for none. */
int template_execute(const struct template *t, struct json_object *value,
                     const struct template_opts *opts, struct strbuf *out, struct err **reterr);
/* The names of Docker's and the OCI's documents that hold maps of the user's making. */
extern const char *const template_docker_maps[];
