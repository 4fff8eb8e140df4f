/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this directory share. */
#include "cgroup/cgroup.h"
#include "cgroup/convert.h"

#define CGROUP_FILE_MAX (1024 * 1024)

/* where.c: the v2 hierarchy as it is mounted here. */
struct cgroup_mount {
        int fd;     /* of the mount point */
        char *path; /* "/sys/fs/cgroup" */
        char *
            own; /* where we are, below the mount point: "/", "/user.slice/…"; NULL: outside of what is mounted */
        bool hybrid; /* v1 has controllers */
};
/* ERR_UNSUPPORTED: there is none. */
int cgroup_mount_open(struct cgroup_mount *ret, struct err **reterr);
void cgroup_mount_release(struct cgroup_mount *m);

struct cgroup {
        struct cgroup_mount mount;
        char *path; /* below the mount point, "/a/b" */
        char *unit; /* systemd's; NULL: none */
        int fd;     /* of the cgroup; -EBADF: gone, or not there yet */
};
struct cgroup *cgroup_new_take(struct cgroup_mount *mount, const char *path);

/* A cgroup's small files. read: NUL-terminated, caller owns; NULL where it cannot be read. */
char *cgroup_read(int fd, const char *file);
int cgroup_write(int fd, const char *file, const char *value); /* 0 or -errno */
/* The number after "KEY " in a file of such lines; 0 when there is none. */
uint64_t cgroup_keyed(const char *text, const char *key);
/* The word is one of those of a line of words. */
bool cgroup_has_word(const char *words, const char *word);

/* limits.c */
/* Makes sure that @controllers work in the cgroup @path: enables them from the root of the mount on. */
int cgroup_enable(const struct cgroup_mount *m, const char *path, const struct strv *controllers,
                  struct err **reterr);
int cgroup_apply(int fd, const struct cgroup_mount *m, const char *path,
                 const struct cgroup_settings *s, struct err **reterr);
