/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * err — the error object that crosses every border of Kelp: child → monitor → command line → exit code.
 *
 * A function that can fail returns int (≥ 0 ok, < 0 = -errno) and takes `struct err **reterr` last. It sets *reterr
 * exactly once on failure and leaves it alone on success; a second set on a live *reterr is an assertion. reterr may be
 * NULL where the caller does not want words. The return value comes from the function's `r`, never from the object.
 *
 * Messages name the user's object, quote the user's strings in '…', are lower case and have no full stop.
 * Lifetime: the caller owns *reterr and frees it with err_free() (AUTO_ERR).
 */
#include "base/macros.h"

#include <stdio.h>

struct err;
struct json_object;

enum err_kind {
        ERR_SYS,          /* a system call failed; errno is kept */
        ERR_USAGE,        /* the request itself is malformed */
        ERR_NOT_FOUND,    /* no such container, image, … */
        ERR_EXISTS,       /* the name is taken */
        ERR_BUSY,         /* in use, or in the wrong state for the request */
        ERR_DENIED,       /* this host or a policy forbids it */
        ERR_UNSUPPORTED,  /* cannot be had here; the hint names the remedy */
        ERR_INVALID,      /* hostile or damaged input: archive, manifest, JSON, state file */
        ERR_EXEC_DENIED,  /* the container's program cannot be executed: exit code 126 */
        ERR_EXEC_MISSING, /* the container's program does not exist: exit code 127 */
        ERR_REMOTE,       /* a peer answered with an error */
        ERR_KIND_COUNT,
};

/*
 * Call these three by their names without _at: the macros below add FILE:LINE, which is recorded in the frame.
 *
 * err_sys: errnum > 0. Message: "<fmt>: <strerror>". Returns -errnum.
 */
int err_sys_at(const char *file, int line, struct err **reterr, int errnum, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* err_new: no errno in play. Returns -EINVAL for USAGE and INVALID, -ENOENT, -EEXIST, -EBUSY, -EPERM, -EOPNOTSUPP, -EACCES,
 * -ENOENT and -EPROTO for the other kinds. ERR_SYS is not allowed here. */
int err_new_at(const char *file, int line, struct err **reterr, enum err_kind kind, const char *fmt,
               ...) PRINTF_LIKE(5, 6);
/* err_wrap: adds an outer frame: printed before the inner words, ": " between. Returns r; asserts r < 0. Where the inner
 * function left no words (lock_try), the words of -r take their place. */
int err_wrap_at(const char *file, int line, struct err **reterr, int r, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
#define err_sys(...)  err_sys_at(__FILE__, __LINE__, __VA_ARGS__)
#define err_new(...)  err_new_at(__FILE__, __LINE__, __VA_ARGS__)
#define err_wrap(...) err_wrap_at(__FILE__, __LINE__, __VA_ARGS__)

/* One line of advice that can be acted on; the first hint set stays. Returns r. */
int err_hint(struct err **reterr, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Replaces the kind (a caller knows better what ENOENT means). Returns r. */
int err_set_kind(struct err **reterr, int r, enum err_kind kind);

enum err_kind err_kind(const struct err *e);    /* ERR_SYS for NULL */
int err_errno(const struct err *e);             /* positive; 0 for kinds without errno */
const char *err_message(const struct err *e);   /* whole chain "a: b: c"; owned by e */
const char *err_hint_text(const struct err *e); /* NULL when there is none; owned by e */
const char *err_kind_name(enum err_kind kind);  /* "not-found", … */
int err_exit_code(const struct err *e); /* one table, docs/errors.md is checked against it */
int err_http_status(const struct err *e);

/* "kelp: error: MESSAGE\nhint: HINT\n"; with debug also the frames' FILE:LINE. Control characters in user strings are
 * printed escaped, so that a hostile name cannot drive the terminal. */
void err_print(const struct err *e, FILE *f, const char *program, int debug);

/* The one wire form (JSON object {kind, errno, message, hint}). encode: caller owns the result. decode sets *reterr from
 * it and returns the negative errno; a damaged object becomes ERR_INVALID. */
struct json_object *err_encode(const struct err *e);
int err_decode(struct err **reterr, struct json_object *obj);
/* Hands an error from one owner to another's reterr: moves *from there, or frees it when reterr is NULL. Returns r. */
int err_move(struct err **reterr, int r, struct err **from);

struct err *err_free(struct err *e); /* NULL ok; returns NULL */
DEFINE_CLEANUP(struct err *, err_free);
#define AUTO_ERR AUTO(err_freep)
