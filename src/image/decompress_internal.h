/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * decompress_internal — the decoders behind a stream. A decoder takes bytes from an input window and fills an output window; it keeps no
 * more than its own dictionary. All return codes are enum decode_result: they run in the stream's thread, where no error object is made.
 */
#include "image/decompress.h"

#include <stdbool.h>
#include <stddef.h>

enum decode_result {
        DECODE_MORE,     /* wants input or room */
        DECODE_BOUNDARY, /* a member or frame ended; what follows may be another one */
        DECODE_DAMAGED,
        DECODE_TOO_BIG, /* wants a larger window than we give */
        DECODE_NO_MEMORY,
};

struct decode_window {
        const unsigned char *in;
        size_t in_len;
        unsigned char *out;
        size_t out_len;
};

struct decoder; /* one of the ops' own */
struct decoder_ops {
        const char *name;
        const char *magic;
        size_t magic_len;
        struct decoder *(*make)(void);
        /* Moves .in and .out forward. */
        enum decode_result (*run)(struct decoder *d, struct decode_window *w);
        /* Ready for the next member. */
        enum decode_result (*reset)(struct decoder *d);
        void (*free)(struct decoder *d);
};
extern const struct decoder_ops decoders[STREAM_FORMAT_COUNT]; /* STREAM_PLAIN has no functions */
#define DECODER_MAGIC_MAX 6

/* Told by the first bytes. */
enum stream_format decoder_sniff(const unsigned char *p, size_t n);
