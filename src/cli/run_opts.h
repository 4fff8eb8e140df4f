/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* run_opts — the further options of run and create: those that few people need, and those that have one value here. */
#include "base/opt.h"

struct err;
struct run_args;

extern const struct opt run_further_opts[]; /* struct run_options */
extern const struct opt run_env_opts[];     /* struct run_args */

/* --gpus (gpus.c); @field: struct run_options. */
int run_opts_take_gpus(void *field, const char *value, struct err **reterr);
/* What these options come to, once all of the command line is known. */
int run_opts_finish(struct run_args *a, struct err **reterr);
