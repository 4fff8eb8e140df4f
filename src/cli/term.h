/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * term — the caller's terminal: raw mode that is undone whatever happens to us, its size, and the keys that detach.
 *
 * Theory of operation: raw mode is shared by everybody who uses the terminal, so a kelp that dies in it leaves its user
 * with a dead keyboard. A guard process, in a session of its own so that no signal of the terminal reaches it, waits for
 * our end of a socket to close. Told "done" first, it exits; else it restores the terminal, unless somebody (a shell taking
 * its terminal back) has changed the modes meanwhile.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct term;

/* Raw mode on @fd. Waits for the foreground like any tcsetattr(3): SIGTTOU must be at its default. */
int term_raw(int fd, struct term **ret, struct err **reterr);
/* Back to the modes before term_raw(), and into raw mode again: around a stop of ours. */
void term_suspend(struct term *t);
void term_resume(struct term *t);
struct term *term_free(struct term *t); /* restores; NULL ok */
DEFINE_CLEANUP(struct term *, term_free);
/* False when @fd is no terminal or does not know its size. */
bool term_size(int fd, uint16_t *ret_rows, uint16_t *ret_cols);

#define DETACH_KEYS_MAX     16
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"
struct detach_keys {
        unsigned char keys[DETACH_KEYS_MAX];
        size_t n;       /* 0: nothing detaches */
        size_t matched; /* keys of the sequence typed so far, held back */
};
/* "ctrl-p,ctrl-q", "a,b", "ctrl-@,x"; "" disables. NULL: the default. */
int detach_keys_parse(const char *s, struct detach_keys *ret, struct err **reterr);
/* Copies @n bytes of input to @out (room for n + DETACH_KEYS_MAX), holding back what may become the sequence. True when it
 * is complete; input behind it is dropped. */
bool detach_keys_filter(struct detach_keys *k, const void *in, size_t n, void *out, size_t *ret_n);
