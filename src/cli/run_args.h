/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * run_args — the options that run and create share, and the way from there to struct run_options.
 */
#include "base/opt.h"
#include "base/str.h"
#include "cli/preserve.h"

#include <stdbool.h>

struct err;
struct cli;
struct run_options;

struct run_args {
        struct run_options
            *options; /* owned; the table of the container's options writes there directly */
        struct strv env, env_files, labels,
            label_files; /* merged into options by run_args_finish() */
        struct strv attach;
        struct strv env_merge, unsetenv; /* run_opts.c */
        bool env_host, unsetenv_all;
        int http_proxy; /* enum opt_tri */
        char *arch, *os, *variant;
        bool rootfs; /* the first operand is a directory, not an image */
        bool detach, sig_proxy, rmi;
        char *detach_keys;
        int64_t stop_timeout;
        struct preserve_args preserve; /* run alone */
        int *preserved;
        size_t n_preserved;
};
extern const struct opt run_container_opts[]; /* struct run_options */
extern const struct opt run_create_opts[];    /* struct run_args; both verbs */
extern const struct opt run_only_opts[];      /* struct run_args; run alone */

void run_args_init(void *args);
void run_args_release(void *args);
/* Operands, environment and label files, and everything that only the command line can judge. @detached: create, run -d. */
int run_args_finish(struct run_args *a, const struct strv *operands, bool detached,
                    struct err **reterr);
/* Creates the container; warnings go to standard error; --cidfile is written. */
int run_args_create(struct cli *cli, const struct run_args *a, char ret_id[65],
                    struct err **reterr);

/* Replaces a path by what it is from here: nobody who uses it later is here any more. */
int run_args_make_absolute(char **path, struct err **reterr);

/* -v of a struct run_options, for other tables. */
int run_take_volume(void *field, const char *value, struct err **reterr);
/* --label and --label-file; what is typed wins. */
int labels_merge(const struct strv *labels, const struct strv *files, struct strv *ret,
                 struct err **reterr);
/* "NAME=value", or NAME from our environment (dropped when it is not there). */
int env_add(struct strv *env, const char *assignment, struct err **reterr);
/* Docker's env file: one assignment per line, '#' comments, no quoting. @from_environment: a bare NAME is looked up, else it gets an
 * empty value (label files). */
int env_add_file(struct strv *env, const char *path, bool from_environment, struct err **reterr);
