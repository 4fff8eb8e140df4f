/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* pod_args — making a pod: `pod create`, and `run --pod new:NAME`; finding the one that a verb is about. */
#include <stdbool.h>

struct cli;
struct err;
struct pod;
struct pod_create_opts;
struct run_options;

/* @o: of the infra container; its host name becomes the pod's name when it has none. Warnings go to standard error. */
int pod_create_named(struct cli *cli, struct run_options *o, const struct pod_create_opts *p,
                     char ret_id[65], struct err **reterr);
/* The pod of --pod new:NAME, by whose id it is named afterwards. */
#define POD_NEW "new:"
int pod_new_for(struct cli *cli, struct run_options *o, char ret_id[65], struct err **reterr);

/* By @name, or the latest (@name NULL). Opens the data root. ERR_USAGE when it is neither or both. */
int pod_find_one(struct cli *cli, const char *name, bool latest, struct pod **ret,
                 struct err **reterr);
