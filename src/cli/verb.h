/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * verb — the table of verbs: how a command line finds its function, and what --help, the manual and the shells' completion
 * say about it.
 *
 * A verb file defines `const struct verb verb_x` and is listed in verbs.c (image verbs: verbs_image.c). The dispatcher
 * makes a zeroed args struct of args_size, calls init, parses, checks the number of operands, runs, releases.
 */
#include "base/macros.h"
#include "base/opt.h"
#include "cli/complete.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct dirs;
struct strv;

/* What every verb gets. */
struct cli {
        const char *root; /* --root or NULL */
        bool debug;
        struct dirs *dirs; /* opened by the first cli_dirs() */
        char *const *argv; /* the verb's own arguments, as typed; NULL-terminated */
};

enum verb_group { VERB_GROUP_CONTAINER, VERB_GROUP_IMAGE, VERB_GROUP_SYSTEM, VERB_GROUP_COUNT };

struct verb {
        /* The first is the verb's own name, the others aliases; each is one word ("ps") or noun and verb ("container ls"). */
        const char *names[6];
        enum verb_group group;
        const char *operands; /* "[OPTIONS] CONTAINER [CONTAINER…]" without the OPTIONS */
        const char *summary;  /* one line, imperative, capital, no full stop */
        const char *details;  /* further lines of --help; may be NULL */
        const struct opt_section *sections; /* NULL: no options */
        const struct opt_absent *absent;    /* options of other engines; may be NULL */
        size_t args_size;
        void (*init)(void *args);    /* defaults that are not zero; may be NULL */
        void (*release)(void *args); /* what opt_release() does not free; may be NULL */
        bool options_first;
        size_t min_operands, max_operands; /* max 0: any number */
        /* What the shell offers for the first operand, and for the others; the second may be left out: the first again. */
        enum complete_kind completes[2];
        /* The exit code, or < 0 with *reterr set: printed, and the code comes from the error's kind. */
        int (*run)(struct cli *cli, void *args, const struct strv *operands, struct err **reterr);
};

extern const struct verb *const verbs_container[]; /* NULL-terminated */
extern const struct verb *const verbs_image[];
extern const struct verb *const verbs_system[];

/* The verb that @argv begins with; *ret_used counts its words (1 or 2). ERR_USAGE with the closest verb as hint. */
int verb_find(char *const *argv, const struct verb **ret, size_t *ret_used, struct err **reterr);
/* Parses, runs; the exit code or < 0. @argv: behind the verb's words. */
int verb_run(const struct verb *v, struct cli *cli, char *const *argv, struct err **reterr);
void verb_print_help(const struct verb *v, FILE *f);
void verb_print_list(FILE *f); /* kelp --help */
const struct verb *verb_at(
    size_t i);                       /* all of them, in the order of --help; NULL behind the last */
bool verb_is_noun(const char *word); /* "container", "image", … */
void verb_print_noun(const char *noun, FILE *f); /* kelp image --help */

/* The data root, opened on first use: verbs that need no files cost none. */
int cli_dirs(struct cli *cli, struct dirs **ret, struct err **reterr);
/* "run IMAGE -it sh": where the error is that the command does not exist, says that options come before @what. Returns r. */
int cli_hint_misplaced(const struct strv *operands, const char *what, int r, struct err **reterr);
/* For verbs that go on after a failure (rm a b c): prints *err, frees and empties it; returns the exit code of its kind. */
int cli_report(const struct cli *cli, struct err **err);
