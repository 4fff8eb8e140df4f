/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* image_inspect — Docker's JSON of one image, for `image inspect` and for `inspect` of a name that is no container. */
struct dirs;
struct err;
struct json_object;

/* ERR_NOT_FOUND when there is none. Caller owns *ret. */
int image_inspect(const struct dirs *d, const char *name, struct json_object **ret,
                  struct err **reterr);
