/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * json_write — JSON for people and for other programs' readers: keys in the order they were added, no escaped slashes, everything
 * that could drive a terminal escaped.
 */
struct json_object;
struct strbuf;

/* indent 0: one line; else as many spaces per level, as Docker's inspect (4). No trailing newline. */
void json_write(struct strbuf *out, struct json_object *value, unsigned indent);
/* The same for a value that stands @depth levels inside of what the caller writes. */
void json_write_at(struct strbuf *out, struct json_object *value, unsigned indent, unsigned depth);
