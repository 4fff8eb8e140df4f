/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * events — what has happened: an append-only log below the data root, which every program of Kelp writes and "kelp events" reads.
 *
 * events/log holds one JSON object per line, Docker's: {"Type","Action","Actor":{"ID","Attributes"},"scope","time","timeNano"}. A line is
 * one write(2) with O_APPEND, so writers do not wait for each other; the file that has grown full becomes log.1, log.1 becomes log.2, and the
 * oldest goes.
 * A line torn by a full disk or a power cut is skipped by readers and does not damage its neighbours.
 *
 * The log is no source of state: nothing but "events" reads it, and an event that cannot be written is dropped.
 *
 * Process: any. The log belongs to the caller's user; inside U that is root.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dirs;
struct err;
struct json_object;
struct strv;

struct event {
        const char *type;          /* "container", "image", "volume", "network", "pod", … */
        const char *action;        /* "create", "exec_create: sh -c true", … */
        const char *id;            /* of the object; a name where it has no other */
        const struct strv *labels; /* "key=value", borrowed; may be NULL */
        const char *const
            *attributes; /* key, value, key, value, …, NULL; a NULL value is left out */
};
/* Never fails: who does the work does not depend on who watches. Not synced to disk. */
void event_emit(const struct dirs *d, const struct event *e);

#define EVENT_LINE_MAX (256U * 1024) /* labels that make a line longer are left out of it */
#define EVENT_LOG_MAX  (2U * 1024 * 1024)
#define EVENT_LOG_KEPT 4 /* log.1 … log.4 */

/* The same of a container: its image, name and labels are attributes of every event. @attributes has at most EVENT_ATTRIBUTES_MAX pairs. */
struct event_container {
        const char *id, *name, *image;
        const struct strv *labels;
};
#define EVENT_ATTRIBUTES_MAX 8
void event_emit_container(const struct dirs *d, const struct event_container *c, const char *action,
                          const char *const *attributes);

/* The event "prune": things of this type went, which had taken so many bytes. */
void event_emit_prune(const struct dirs *d, const char *type, uint64_t bytes);

/* ---- reading ---- */
struct event_read_opts {
        int64_t since_ns, until_ns; /* since 1970; 0: no limit */
        bool follow;                /* go on, until until_ns when that is set */
};
/* 0 go on, > 0 enough, < 0 with *reterr set. @event is borrowed. */
typedef int (*event_fn)(struct json_object *event, void *arg, struct err **reterr);
/* In the order of the log. 0, what @fn ended it with, or < 0. Damaged lines are skipped. */
int event_read(const struct dirs *d, const struct event_read_opts *o, event_fn fn, void *arg,
               struct err **reterr);
/* For the parser's tests: one line to its object, or NULL. */
struct json_object *event_parse(const char *line, size_t n);
/* When it happened; 0 when it does not say. */
int64_t event_time_ns(struct json_object *event);

/* ---- filters ---- */
struct event_filter;
/* "type=container", "event=die", "container=NAME|ID", "image=…", "volume=…", "network=…", "pod=…", "label=k[=v]", "scope=local", "daemon=…".
 * Values of one key are alternatives, labels must all be there. ERR_USAGE names an unknown key. */
int event_filter_parse(const struct strv *filters, struct event_filter **ret, struct err **reterr);
bool event_filter_match(const struct event_filter *f, struct json_object *event); /* NULL: all */
struct event_filter *event_filter_free(struct event_filter *f);
DEFINE_CLEANUP(struct event_filter *, event_filter_free);
