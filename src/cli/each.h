/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* each — verbs that take several containers: one failure does not keep the others from being done. */
struct cli;
struct container;
struct err;
struct strv;

/* Acts on one; what is printed for it (its name as typed) follows on success. */
typedef int (*each_fn)(struct cli *cli, struct container *c, void *arg, struct err **reterr);
/* Returns 0, or the exit code of the last failure, all of which have been printed with @verb in front. */
int each_container(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                   void *arg);
/* The same with one child process per container, since each may wait for long; names are printed in the order given. */
int each_container_parallel(struct cli *cli, const char *verb, const struct strv *names, each_fn fn,
                            void *arg);
