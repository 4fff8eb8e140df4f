/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * reference — image names: [host[:port]/]path[:tag][@digest], with Docker's defaults: "debian" and "localhost/x" style short names stay
 * local names here ("localhost/NAME" when the name has no host part and was made here; "docker.io/library/NAME" is tried as well when looking up).
 * Pure; hostile input.
 */
#include "base/macros.h"

#include <stdbool.h>

struct err;

struct reference {
        char *domain, *path; /* "docker.io", "library/debian" */
        char *tag,
            *digest; /* NULL when absent; after reference_parse() without a digest the tag is "latest" when absent */
        bool has_domain; /* the user typed one */
};
int reference_parse(const char *s, struct reference *ret, struct err **reterr);
void reference_release(struct reference *r);
/* "docker.io/library/debian:12", and the familiar form "debian:12" that listings show. Caller owns. */
char *reference_format(const struct reference *r);
char *reference_familiar(const struct reference *r);
/* The other full name with the same familiar form: localhost/x and docker.io/library/x. A familiar name means one image, so a
 * store never holds both. NULL when there is none (any other domain). Caller owns. */
char *reference_twin(const struct reference *r);
/* File name of a reference in images/refs: every byte outside [A-Za-z0-9._-] becomes %XX; never "." or ".."; ≤ 255 bytes. Caller owns. */
char *reference_escape(const char *formatted);
char *reference_unescape(const char *name); /* NULL when it is none */
/* A formatted reference as users are shown it; what is none, as it is. Caller owns. */
char *reference_shown(const char *formatted);
