/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * accounts — the texts of an image's /etc/passwd and /etc/group, which may hold anything: a line that does not parse is passed over.
 * Pure, but for accounts_of_host(). Who starts a program looks names up in the container itself (launch/user.h); this is for those who stay outside.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strv;

#define ACCOUNTS_MAX ((size_t)1024 * 1024) /* of either file; a longer one is as none */

/* Whether a line has @text as its field number @field, counted from 0. */
bool accounts_have(const char *file, size_t field, const char *text);
/*
 * The ids of @user: "name", "uid", "name:group", "uid:gid", … Who is only a number and has no line belongs to group 0. NULL for a
 * file is as an empty one. -ENOENT: no such user or group.
 */
int accounts_find(const char *passwd, const char *group, const char *user, uint32_t *ret_uid,
                  uint32_t *ret_gid);
/* The fields of a user's line in the host's /etc/passwd (7 or more), by name or number. False: there is none, as for users that come
 * from a directory service. */
bool accounts_of_host(const char *who, struct strv *ret);
/* The name of the number in /etc/passwd or /etc/group: whatever the container's file says it is. NULL: it has none. Caller owns. */
char *accounts_name(const char *file, uint32_t id);
