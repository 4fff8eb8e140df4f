/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * output — listings and JSON on standard output.
 *
 * A listing's rows are JSON objects whose keys are the fields that --format may name. Formats: "json" (one object per
 * line), "table" (the default columns), "table TEMPLATE" (with headings, aligned), TEMPLATE (text per row). A template is text with
 * {{.Field.Sub}}, {{.}}, {{json .Field}}, {{index .Field "key"}}, {{upper/lower/len .Field}}, {{join .Field ","}}; the escapes \t and \n
 * are understood. Anything else is ERR_USAGE that names the column and what is not understood.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct err;
struct json_object;
struct strbuf;

/* ---- templates ---- */
struct format;
int format_parse(const char *text, struct format **ret, struct err **reterr);
struct format *format_free(struct format *f);
DEFINE_CLEANUP(struct format *, format_free);
/* Appends @value rendered; a field that is not there is ERR_USAGE and lists those that are. */
int format_render(const struct format *f, struct json_object *value, struct strbuf *out,
                  struct err **reterr);

/* ---- listings ---- */
struct column {
        const char *field;   /* "ID" */
        const char *heading; /* "CONTAINER ID" */
};
struct output_opts {
        const char *format;           /* --format; NULL: table */
        bool quiet;                   /* -q: only @quiet_field, one per line */
        const char *quiet_field;      /* "ID" */
        const char *table;            /* default columns: "{{.ID}}\t{{.Image}}" */
        const struct column *columns; /* headings of every field; ends with a NULL field */
};
struct output;
int output_new(const struct output_opts *o, struct output **ret, struct err **reterr);
int output_row(struct output *out, struct json_object *row,
               struct err **reterr); /* row is borrowed */
int output_finish(struct output *out,
                  struct err **reterr); /* prints what a table had to hold back */
struct output *output_free(struct output *out);
DEFINE_CLEANUP(struct output *, output_free);

/* ---- JSON ---- */
/* indent 0: one line; else as many spaces per level, as Docker's inspect (4). No escaped slashes, no trailing newline. */
void output_json(struct strbuf *out, struct json_object *value, unsigned indent);
/* inspect: a pretty array of @values, or, with @format, the template (or "json") once per value. */
int output_inspect(struct json_object *const *values, size_t n, const char *format,
                   struct err **reterr);

/* ---- words ---- */
/* Whole buffer to standard output; EPIPE is quiet (the reader has seen enough). */
int output_text(const char *s, size_t n, struct err **reterr);
/* printf to standard output, with the same errors. */
int output_printf(struct err **reterr, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define OUTPUT_SIZE_MAX 32
char *output_size(uint64_t bytes,
                  char buf[OUTPUT_SIZE_MAX]); /* decimal, 3 digits: "1.09MB", "170MB" */
/* The first 12 digits of an id, "sha256:" cut off; with @full all of it. Caller owns. */
char *output_id(const char *id, bool full);
/* At most @max characters (not bytes), "…" at the end of what was cut. Caller owns. */
char *output_ellipsis(const char *s, size_t max);
