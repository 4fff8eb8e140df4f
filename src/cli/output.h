/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * output — listings and JSON on standard output.
 *
 * A listing's rows are JSON objects whose keys are the fields that --format may name. Formats: "json" (one object per
 * line), "table" (the default columns), "table TEMPLATE" (with headings, aligned), TEMPLATE (text per row). Templates are
 * template.h's, with \t and \n as text; docs/format.md is what users are told.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct err;
struct json_object;
struct strbuf;

/* ---- listings ---- */
struct column {
        const char *field;   /* "ID" */
        const char *heading; /* "CONTAINER ID" */
};
struct output_opts {
        const char *format;           /* --format; NULL: table */
        bool quiet;                   /* -q: only @quiet_field, one per line */
        bool no_heading;              /* a table without its first line */
        const char *quiet_field;      /* "ID" */
        const char *table;            /* default columns: "{{.ID}}\t{{.Image}}" */
        const struct column *columns; /* headings of every field; ends with a NULL field */
        /* Value of a label of the present row, for .Label "name"; NULL: rows have none. */
        const char *(*label)(const char *name, const void *arg);
        const void *arg;
};
struct output;
int output_new(const struct output_opts *o, struct output **ret, struct err **reterr);
/* Whether a row needs the field, which may be costly to find out. */
bool output_uses(const struct output *out, const char *field);
int output_row(struct output *out, struct json_object *row,
               struct err **reterr); /* row is borrowed */
int output_finish(struct output *out,
                  struct err **reterr); /* prints what a table had to hold back */
struct output *output_free(struct output *out);
DEFINE_CLEANUP(struct output *, output_free);

/* ---- inspect ---- */
/* A pretty array of @values, or, with @format, the template (or "json": one line) once per value. */
int output_inspect(struct json_object *const *values, size_t n, const char *format,
                   struct err **reterr);

/* ---- words ---- */
/* Whole buffer to standard output; EPIPE is quiet (the reader has seen enough). */
int output_text(const char *s, size_t n, struct err **reterr);
/* What a template made of values that are not ours. On a terminal only its newlines and tabs move the cursor, as strbuf_add_printable()
 * has it; in a file or pipe it is what it is. */
int output_rendered(const struct strbuf *text, struct err **reterr);
/* printf to standard output, with the same errors. */
int output_printf(struct err **reterr, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define OUTPUT_SIZE_MAX 32
char *output_size(uint64_t bytes,
                  char buf[OUTPUT_SIZE_MAX]); /* decimal, 3 digits: "1.09MB", "170MB" */
/* The first 12 digits of an id, "sha256:" cut off; with @full all of it. Caller owns. */
char *output_id(const char *id, bool full);
/* At most @max characters (not bytes), "…" at the end of what was cut. Caller owns. */
char *output_ellipsis(const char *s, size_t max);
