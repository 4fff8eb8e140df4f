/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * logs_internal — the two line formats, and the names of the files, shared by the writer and the reader.
 *
 * container.log is the file being written; container.log.1 is the one before it, and so on up to max-file - 1. A writer renames
 * from the oldest to the newest, and never touches a file again after it has been renamed: a reader that holds a descriptor
 * can always finish what it has begun.
 */
#include "base/str.h"
#include "logs/logs.h"

#define LOG_FILE_NAME    "container.log"
#define LOG_NAME_MAX     40
#define LOG_FILE_HIGHEST 1000        /* max-file is at most this */
#define LOG_PIECE_MAX    (16 * 1024) /* a longer line is written in pieces, as Docker does */
#define LOG_LINE_MAX     (1024 * 1024) /* what a reader accepts as one line of a file; more is damage */

/* One line of a file, decoded. */
struct log_entry {
        enum log_stream stream;
        int64_t time_ns;
        bool partial;        /* the line goes on in the next entry of this stream */
        struct strbuf data;  /* with its newline unless partial; may hold NUL bytes */
        struct strbuf attrs; /* "k=v,k=v" of json-file, empty when none */
};
void log_entry_release(struct log_entry *e);

/* Name of generation @n (0: the current one). */
char *log_file_name(unsigned n, char buf[LOG_NAME_MAX]);

/* Appends one line of the format. @data has no newline in it; @partial: none follows. */
void log_json_encode(struct strbuf *out, enum log_stream s, const char *data, size_t n,
                     bool partial, const char *time, const char *tag);
void log_k8s_encode(struct strbuf *out, enum log_stream s, const char *data, size_t n, bool partial,
                    const char *time);
/* @line without its newline. The entry's buffers are used again. False: damaged, to be skipped. */
bool log_json_decode(const char *line, size_t n, struct log_entry *ret);
bool log_k8s_decode(const char *line, size_t n, struct log_entry *ret);
/* Length of @data without an UTF-8 sequence that its end cuts off. */
size_t log_utf8_whole(const char *data, size_t n);

/* A file being read line by line. */
struct log_file {
        int fd;
        unsigned long long dev, ino;
        char *buf;
        size_t len, cap, pos; /* buf[pos, len) has been read from the file and not been returned */
        bool skipping;        /* inside a line that is too long */
};
struct log_file *log_file_new_take(int fd);
struct log_file *log_file_free(struct log_file *f);
DEFINE_CLEANUP(struct log_file *, log_file_free);
/* 1 and a line without its newline (valid until the next call); 0 at the present end; -errno. A last line without newline is
 * not returned: it is still being written. */
int log_file_line(struct log_file *f, const char **ret, size_t *ret_n);

/* The files that exist, oldest first, without gap or double though a writer may be rotating. */
struct log_chain {
        struct log_file *v[LOG_FILE_HIGHEST + 2];
        size_t n;
};
void log_chain_open(int dirfd, struct log_chain *ret);
void log_chain_release(struct log_chain *c);
/* Positions the chain so that the last @lines lines follow; earlier files are closed. */
int log_chain_tail(struct log_chain *c, enum log_driver d, int64_t lines);
/* The file after @f: 1 with *ret, 0 when @f is the current one, -errno. */
int log_chain_next(int dirfd, const struct log_file *f, struct log_file **ret);
