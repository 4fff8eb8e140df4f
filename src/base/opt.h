/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * opt — command-line options from tables. One table drives parsing, --help, completion and the manual page, so that none
 * can know an option that the others do not.
 *
 * Spellings: --name=v, --name v, -xv, -x v, -x=v, clustered -it, --bool, --bool=false, "--" ends the options. An unknown
 * option is ERR_USAGE and names the closest known one.
 *
 * Lifetime: strings and vectors that options store are owned by the args struct; opt_release() frees them for the
 * sections that are not deref (a deref'd struct has a destructor of its own).
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct err;
struct strv;
struct opt;

enum opt_type {
        OPT_END = 0,
        OPT_BOOL,     /* bool */
        OPT_TRI,      /* int: one of enum opt_tri */
        OPT_STRING,   /* char *; the last one wins */
        OPT_STRV,     /* struct strv; every occurrence is added */
        OPT_CSV,      /* struct strv; every occurrence is split at commas */
        OPT_U32,      /* uint32_t */
        OPT_I64,      /* int64_t */
        OPT_SIZE,     /* uint64_t, bytes */
        OPT_DURATION, /* int64_t, nanoseconds */
        OPT_CALL,     /* the table's function takes the value */
        OPT_TYPE_COUNT,
};
enum opt_tri { OPT_UNSET = 0, OPT_TRUE = 1, OPT_FALSE = -1 };

typedef int (*opt_call_fn)(void *field, const char *value, struct err **reterr);

/* A table ends with an entry whose name is NULL. An entry without help is a hidden alias. */
struct opt {
        const char *name;
        char short_name; /* 0: none */
        enum opt_type type;
        size_t offset;       /* of the field in the section's struct */
        const char *metavar; /* NULL: named after the type */
        const char *help;
        opt_call_fn call; /* OPT_CALL */
        /* For completion: the words that it takes, with a space between; "@file" and the like stand for what there is of that kind
         * (complete.c). NULL: what the metavar says (FILE, SIGNAL, …), else nothing. */
        const char *values;
};

/* A list of sections ends with one whose opts is NULL. */
struct opt_section {
        const struct opt *opts;
        const char *title; /* heading in --help; NULL: "Options" */
        size_t offset;     /* of the section's struct in the args, */
        bool deref;        /* or of a pointer to it */
};

/* An option that users of other engines will try and that is not there, with what helps instead. A list ends with one whose name
 * is NULL. */
struct opt_absent {
        const char *name;
        char short_name; /* 0: none */
        const char *hint;
};

struct opt_parse_opts {
        const struct opt_section *sections;
        bool
            options_first; /* stop at the first operand: what follows belongs to the container's command */
        bool *ret_help; /* --help or -h (unless the tables use it) was met; parsing ends there */
        const struct opt_absent *absent; /* may be NULL */
};
/* @argv: NULL-terminated, without the verb. Operands go to @ret_rest, in order. */
int opt_parse(const struct opt_parse_opts *o, void *args, char *const *argv, struct strv *ret_rest,
              struct err **reterr);
void opt_release(const struct opt_section *sections, void *args);
/* By name (@len bytes) or letter; NULL when there is none. */
const struct opt *opt_find_long(const struct opt_section *sections, const char *name, size_t len);
const struct opt *opt_find_short(const struct opt_section *sections, char name);
/* What stands for its value in help; NULL when it takes none (or only as --name=value). */
const char *opt_metavar(const struct opt *o);
/* The option list of --help, at most 80 columns. */
void opt_print_help(const struct opt_section *sections, FILE *f);

/* The closest of @n words to @word, or NULL when none is near enough to be a typo. */
const char *opt_closest(const char *word, const char *const *words, size_t n);
