/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * logs_internal — the two line formats, and the names of the files, shared by the writer and the reader.
 *
 * container.log is the file being written; container.log.1 is the one before it, and so on up to max-file - 1. A writer renames
 * from the oldest to the newest, and never touches a file again after it has been renamed: a reader that holds a descriptor
 * can always finish what it has begun.
 */
#include "base/line_files.h"
#include "base/str.h"
#include "logs/logs.h"

#define LOG_FILE_NAME    "container.log"
#define LOG_FILE_HIGHEST LINE_FILES_HIGHEST /* max-file is at most this */
#define LOG_PIECE_MAX    (16 * 1024)        /* a longer line is written in pieces, as Docker does */

/* One line of a file, decoded. */
struct log_entry {
        enum log_stream stream;
        int64_t time_ns;
        bool partial;        /* the line goes on in the next entry of this stream */
        struct strbuf data;  /* with its newline unless partial; may hold NUL bytes */
        struct strbuf attrs; /* "k=v,k=v" of json-file, empty when none */
};
void log_entry_release(struct log_entry *e);

/* Appends one line of the format. @data has no newline in it; @partial: none follows. */
void log_json_encode(struct strbuf *out, enum log_stream s, const char *data, size_t n,
                     bool partial, const char *time, const char *tag);
void log_k8s_encode(struct strbuf *out, enum log_stream s, const char *data, size_t n, bool partial,
                    const char *time);
/* @line without its newline. The entry's buffers are used again. False: damaged, to be skipped. */
bool log_json_decode(const char *line, size_t n, struct log_entry *ret);
bool log_k8s_decode(const char *line, size_t n, struct log_entry *ret);

/* Positions the files so that the last @lines lines follow; earlier files are closed. */
int log_tail(struct line_files *c, enum log_driver d, int64_t lines);
