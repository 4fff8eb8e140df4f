/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * launch_fixture — real launches of the probe program on a plain directory, for tests of src/launch. All of it is for the child of a test,
 * unit_fork(): what goes wrong ends it.
 */
#include "unit.h"

#include "launch/launch_internal.h"

#include <stdio.h>

/* In the child of a test a cmocka assertion does not work: the first complaint ends it. */
#define CHECK(cond)                                                                                \
        do {                                                                                       \
                if (!(cond)) {                                                                     \
                        (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);           \
                        _exit(1);                                                                  \
                }                                                                                  \
        } while (0)

struct fixture {
        char root[64]; /* the container's root file system */
        int cache_fd;
        struct spec *spec;
};

bool write_file(const char *path, const char *text);
/* @namespace: in a user namespace of ours with one id, as after idmap_userns_enter(). */
void setup_in(struct fixture *f, bool namespace);
void setup(struct fixture *f);
int teardown(struct fixture *f);
void remove_all(const char *path);
/* As the reader of a config.json leaves it. */
void make_bundle(struct fixture *f);
void set_command(struct fixture *f, const char *words);
/* @fail_stage: that one fails; -1: none. */
int start_with(struct fixture *f, const struct launch_opts *opts, int fail_stage, int out,
               struct launched *l, struct err **e);
int start(struct fixture *f, int fail_stage, int out, struct launched *l, struct err **e);
/* Waits for its end; the exit code. */
int finish(struct launched *l);
/* What a command prints, and its exit code. Caller frees. */
char *output(struct fixture *f, const char *words, int want_code);
/* @words: the arguments, with a space between; "-c" takes all the rest. */
struct spec_hook_entry *add_hook(struct fixture *f, enum spec_hook point, const char *path,
                                 const char *words);
