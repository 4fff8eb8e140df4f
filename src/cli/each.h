/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * each — verbs that take several objects: one failure does not keep the others from being done.
 *
 * Every failure is printed as it happens, with the verb in front. All of these return 0, EACH_FAILED when the verb failed for one
 * of the objects, or < 0 with *reterr set when it failed before the first (a data root that cannot be opened): 125 by the error's kind.
 */
#include <stdbool.h>

struct cli;
struct container;
struct dirs;
struct err;
struct json_object;
struct selection;
struct strv;

/* What Docker's command line ends with when an object could not be acted on, whatever the reason. */
#define EACH_FAILED 1

/* Acts on the object of that name, and prints what is to be printed for it. */
typedef int (*each_name_fn)(struct dirs *d, const char *name, const void *arg, struct err **reterr);
int each_name(struct cli *cli, const char *verb, const struct strv *names, each_name_fn fn,
              const void *arg, struct err **reterr);

/* What `inspect` prints of the object of that name: *ret, which the caller owns. */
typedef int (*each_inspect_fn)(const struct dirs *d, const char *name, const void *arg,
                               struct json_object **ret, struct err **reterr);
/* Prints them as output_inspect() does: those that are there, whatever else was asked for. */
int each_inspect(struct cli *cli, const char *verb, const struct strv *names, each_inspect_fn fn,
                 const void *arg, const char *format, struct err **reterr);

/* Acts on one container; its name as typed is printed on success. */
typedef int (*each_fn)(struct cli *cli, struct container *c, void *arg, struct err **reterr);
int each_container(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                   void *arg, struct err **reterr);
/* The same for what select.h has found; one that is not there is passed over where that is no error. */
int each_selected(struct cli *cli, const char *verb, const struct selection *s, each_fn fn,
                  void *arg, bool parallel, struct err **reterr);
/* The same with one child process per container, since each may wait for long; names are printed in the order given. */
int each_container_parallel(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                            void *arg, struct err **reterr);
/* The containers of something that is one to the user: only failures are printed, and one that is gone is none. The data root is open. */
int each_quietly(struct cli *cli, const char *verb, const struct strv *ids, each_fn fn, void *arg,
                 bool parallel);
