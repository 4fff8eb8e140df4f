/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * user — names of users and groups, looked up in the container's own /etc/passwd and /etc/group, by the child, inside the new root.
 *
 * The files are the container's and may be anything: a pipe, a device, gigabytes, lines without end. They are read through one
 * fixed buffer, as regular files only, up to a limit; a line that does not fit or does not parse is passed over.
 * Child-safe: raw system calls, no allocation, no NSS.
 */
#include "rootfs/child.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define USER_GROUPS_MAX 256
#define USER_HOME_MAX   1024
#define USER_FILE_MAX   (16 << 20) /* bytes read of either file */

struct user_result {
        uid_t uid;
        gid_t gid;
        gid_t groups[USER_GROUPS_MAX]; /* supplementary */
        size_t n_groups;
        char home[USER_HOME_MAX]; /* "/" when unknown */
};

/*
 * @who as Docker reads it: "", "name", "uid", "name:group", "uid:gid", … "" is the user @fallback. @extra: --group-add. The
 * process's current directory is the container's root. -ENOENT: no such user or group, named in @note; -E2BIG: too many groups.
 */
int user_resolve(const char *who, uid_t fallback_uid, gid_t fallback_gid, char *const *extra,
                 size_t n_extra, struct user_result *ret, struct child_note *note);
/* The home of @uid alone, whatever others are called: "/" when it has no line. */
int user_home(uid_t uid, char ret[USER_HOME_MAX]);
