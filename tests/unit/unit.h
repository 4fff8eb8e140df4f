/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * unit — what every unit test needs: cmocka behind its prerequisites, a private directory per test, and checks that show
 * the error's words when they fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* r ≥ 0, and no error; otherwise the words of the error are the test's message. */
#define assert_ok(r, e)                                                                            \
        do {                                                                                       \
                int unit_r_ = (r);                                                                 \
                if (unit_r_ < 0 || (e))                                                            \
                        fail_msg("%s: %d (%s)", #r, unit_r_, err_message(e));                      \
        } while (0)

/* Failed, with this kind; the words contain @part. Frees the error. */
#define assert_failed(r, e, kind, part)                                                            \
        do {                                                                                       \
                int unit_r_ = (r);                                                                 \
                if (unit_r_ >= 0 || !(e))                                                          \
                        fail_msg("%s: %d, should have failed", #r, unit_r_);                       \
                if (err_kind(e) != (kind) || !strstr(err_message(e), part))                        \
                        fail_msg("%s: %s error '%s', not %s '%s'", #r, err_kind_name(err_kind(e)), \
                                 err_message(e), err_kind_name(kind), part);                       \
                (e) = err_free(e);                                                                 \
        } while (0)

/* cmocka's setup and teardown of a test: *state is the descriptor of an empty directory, which goes with everything in it. */
int unit_setup_dir(void **state);
int unit_teardown_dir(void **state);
#define unit_test_dir(f) cmocka_unit_test_setup_teardown(f, unit_setup_dir, unit_teardown_dir)
static inline int unit_dir(void **state)
{
        return (int)(intptr_t)*state;
}

/* Path of the test's directory, for what cannot be said with a descriptor. Caller frees. */
char *unit_dir_path(int dirfd);
void unit_write(int dirfd, const char *name, const char *text);
/* Caller frees. */
char *unit_read(int dirfd, const char *name);
/* Descriptors that are open in this process: a test that leaks one shows it. */
int unit_count_fds(void);

/* Runs fn(arg) in a child process, without privileges when @drop and we are root. Its exit code, or 128 + signal. A cmocka
 * assertion does not work in there: return nonzero, or abort(). */
int unit_fork(int (*fn)(void *), void *arg, int drop);
