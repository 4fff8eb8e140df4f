/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * progress — bars for long work, on standard error, and only when that is a terminal. One line for each item, drawn over while it is
 * the current one.
 */
#include <stdbool.h>
#include <stdint.h>

struct progress {
        bool on;
        const char *verb; /* "Loading layer" */
        char item[72];
        bool open; /* the line has no end yet */
};
/* @wanted false: never draws. */
void progress_init(struct progress *p, const char *verb, bool wanted);
void progress_show(void *progress, const char *item, uint64_t done,
                   uint64_t total); /* an image_job callback */
/* A line for the user in between: "kelp: warning: …". */
void progress_warn(void *progress, const char *text);
void progress_end(struct progress *p);
