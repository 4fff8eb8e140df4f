/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * logs — drivers json-file (Docker's lines), k8s-file (CRI's lines), none, passthrough; rotation by max-size and max-file; reading back.
 * Writer: the monitor. Reader: any process, also while the writer rotates.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum log_driver { LOG_JSON_FILE, LOG_K8S_FILE, LOG_NONE, LOG_PASSTHROUGH, LOG_DRIVER_COUNT };
const char *log_driver_name(enum log_driver d);
int log_driver_parse(const char *name, enum log_driver *ret,
                     struct err **reterr); /* NULL: json-file; hints the known ones */
struct log_options {
        uint64_t
            max_size; /* bytes per file; 0: unlimited. Default 10 MiB, so that logs are bounded */
        uint32_t max_file; /* files kept; default 3 */
        char *tag;
};
int log_options_parse(enum log_driver d, char *const *opts, struct log_options *ret,
                      struct err **reterr);
void log_options_release(struct log_options *o);

enum log_stream { LOG_STDOUT = 1, LOG_STDERR = 2 };
struct log_writer;
/* Files live in containers/<id>/log/ (@dirfd of it). */
int log_writer_new(int dirfd, enum log_driver d, const struct log_options *o,
                   struct log_writer **ret, struct err **reterr);
/* Splits at newlines; a piece without one is marked partial (16 KiB pieces). Buffers at most one line per stream. A full disk is not
 * fatal: lines are dropped, counted, and a line saying so is written when space returns. */
void log_writer_write(struct log_writer *w, enum log_stream s, const void *data, size_t n);
void log_writer_flush(struct log_writer *w); /* end of a stream: the last partial line goes out */
struct log_writer *log_writer_free(struct log_writer *w);
DEFINE_CLEANUP(struct log_writer *, log_writer_free);

struct log_read_opts {
        bool follow, timestamps, details;
        int64_t since_ns, until_ns; /* 0: open */
        int64_t tail;               /* lines; -1: all */
        /* follow ends when this returns false (container no longer runs) and everything was read */
        bool (*alive)(void *arg);
        void *arg;
        /* Everything that is there has been handed on: @caught_up before waiting for more, @ended when no more of this log will come.
         * NULL ok; both get the reader's @arg, and < 0 ends the reading. */
        int (*caught_up)(void *arg), (*ended)(void *arg);
};
typedef int (*log_read_fn)(enum log_stream s, const void *data, size_t n, void *arg); /* < 0 ends */
int log_read(int dirfd, enum log_driver d, const struct log_read_opts *o, log_read_fn fn, void *arg,
             struct err **reterr);

/* Several logs: the callbacks get what belongs to the log, not @arg of the options. */
struct log_source {
        int dirfd;
        enum log_driver driver;
        void *arg, *alive_arg; /* of fn, caught_up and ended; of alive */
};
/* One after the other; with follow, then what comes in any of them, until all have ended. */
int log_read_several(const struct log_source *v, size_t n, const struct log_read_opts *o,
                     log_read_fn fn, struct err **reterr);
