/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* copy_path — the names of a copy, for the files of it. */
#include <stdbool.h>

struct err;

struct copy_path {
        int fd; /* the host's: the directory in which .path is looked up; a container's: its root */
        char *what; /* as the user wrote it */
        char *path;
        char *name;               /* its last component, "" or "." or ".." when it has none */
        bool directory, contents; /* ends with "/", with "/." */
};
/* @absolute: a container's, from its root. */
void copy_path_set(struct copy_path *p, const char *what, const char *path, bool absolute);
void copy_path_release(struct copy_path *p);
/* A path of the host, with the caller's rights. */
int copy_path_open_source(struct copy_path *p, bool follow, struct err **reterr);
int copy_path_open_destination(struct copy_path *p, struct err **reterr);
