/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * frame — taking the byte stream of an ATTACH connection apart. Nothing is allocated: data is handed on in the fragments in which it
 * arrives; only control frames, which are tiny, are put together first. The peer is not trusted.
 */
#include "monitor/protocol.h"

#include <stddef.h>
#include <stdint.h>

#define FRAME_CONTROL_MAX 16

struct frame_reader {
        uint8_t head[sizeof(struct attach_frame)];
        size_t head_len; /* how much of head is there */
        uint32_t left;   /* bytes of the payload that are still to come */
        uint8_t control[FRAME_CONTROL_MAX];
        size_t control_len;
};
/* @data: a fragment for STDIN, STDOUT, STDERR (never empty); the whole payload for the others. < 0 ends frame_feed() with it. */
typedef int (*frame_fn)(enum attach_type type, const uint8_t *data, size_t n, void *arg);
/* 0; -EPROTO for what is no frame, after which the connection must be closed; or what @fn returned. */
int frame_feed(struct frame_reader *r, const void *data, size_t n, frame_fn fn, void *arg);
void frame_head(struct attach_frame *f, enum attach_type type, uint32_t len);
