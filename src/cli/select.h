/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * select — which containers a verb acts on: those that are named, the latest, all, those that match a filter, those whose ids
 * stand in files. A verb puts a struct select_args into its args and one of the tables into its sections.
 */
#include "base/opt.h"
#include "base/str.h"

#include <stdbool.h>

struct cli;
struct err;

struct select_args {
        bool all, latest, ignore;
        struct strv cidfiles, filters;
};
/* --all, --latest, --filter, --cidfile; the second without the letters, for verbs that use them otherwise; of one: --latest, --cidfile. */
extern const struct opt select_opts[], select_opts_long[], select_opts_one[];
extern const struct opt select_ignore_opts[]; /* --ignore */

/* Whom --all and --filter mean. */
enum select_scope { SELECT_ANY, SELECT_RUNNING, SELECT_STOPPED };

struct selection {
        struct strv names; /* as typed, else ids */
        bool missing_ok;   /* one that is not there, or not any more, is no error */
};
void selection_release(struct selection *s);

/* @names: the operands. ERR_USAGE when nobody is meant; none that matches is no error. */
int select_containers(struct cli *cli, const struct select_args *a, const struct strv *names,
                      enum select_scope scope, struct selection *ret, struct err **reterr);
/* Exactly one: the first operand, or by option. *ret_operands: how many operands that has taken, 0 or 1. Caller owns *ret. */
int select_one(struct cli *cli, const struct select_args *a, const struct strv *operands,
               char **ret, size_t *ret_operands, struct err **reterr);
