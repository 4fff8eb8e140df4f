/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * complete — what a shell may offer for the word at the cursor.
 *
 * The scripts of `kelp completion` call `kelp __complete -- WORD…` with the words behind "kelp", the last one being the one at the
 * cursor (perhaps ""), and get one candidate a line: the whole word, then perhaps a tab and what it means. Lines that begin with a
 * colon are for the script: ":files" and ":dirs" (offer those as well), ":nospace" (a candidate goes on: "name=").
 *
 * Nothing is created, locked or printed to standard error; a store that can't be read has no candidates.
 */
#include "base/macros.h"

#include <stdio.h>

#define COMPLETE_COMMAND "__complete"

enum complete_kind {
        COMPLETE_UNSET, /* the lint asks for a decision */
        COMPLETE_NONE,
        COMPLETE_IMAGE,
        COMPLETE_CONTAINER,
        COMPLETE_RUNNING, /* containers that run, */
        COMPLETE_STOPPED, /* and those that do not */
        COMPLETE_VOLUME,
        COMPLETE_SECRET,
        COMPLETE_POD,
        COMPLETE_OBJECT, /* container, image or volume */
        COMPLETE_FILE,
        COMPLETE_DIRECTORY,
        COMPLETE_COPY,  /* CONTAINER:PATH, or a file of the host */
        COMPLETE_SHELL, /* a shell that `kelp completion` knows */
        COMPLETE_KIND_COUNT
};

/* @argv: ["--"] WORD…; the exit code. */
int complete_words(char *const *argv, FILE *f);
