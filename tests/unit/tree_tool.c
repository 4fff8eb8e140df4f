/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_tool — drives src/monitor/tree.h from tests/integration/test_tree.py, as a mode of kelp-monitor does.
 *
 *   tree_tool ROOT ID read|write bare|mounts list PATH       names in a directory, sorted
 *   tree_tool ROOT ID read|write bare|mounts cat PATH        content of a file
 *   tree_tool ROOT ID read|write bare|mounts put PATH TEXT   makes a file
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "monitor/monitor.h"
#include "monitor/tree.h"

static int fail(struct err *e)
{
        err_print(e, stderr, "tree_tool", 0);
        (void)err_free(e);
        return 1;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int list(int root, const char *path, struct err **reterr)
{
        AUTO_CLOSE int fd = path_open_in_root(root, path, O_RDONLY | O_DIRECTORY, 0, reterr);
        struct dirent **names;
        char proc[FD_PATH_MAX];
        int n;

        if (fd < 0)
                return fd;
        n = scandir(fd_path(fd, proc), &names, NULL, by_name);
        for (int i = 0; i < n; i++) {
                if (names[i]->d_name[0] != '.')
                        (void)puts(names[i]->d_name);
                free(names[i]);
        }
        free(names);
        return n < 0 ? -1 : 0;
}

static int cat(int root, const char *path, struct err **reterr)
{
        AUTO_CLOSE int fd = path_open_in_root(root, path, O_RDONLY, 0, reterr);

        return fd < 0 ? fd : io_copy(fd, STDOUT_FILENO, IO_COPY_ALL, reterr);
}

static int put(int root, const char *path, const char *text, struct err **reterr)
{
        AUTO_CLOSE int fd =
            path_open_in_root(root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, reterr);
        int r = fd < 0 ? fd : io_write_full(fd, text, strlen(text));

        return fd >= 0 && r < 0 ? err_sys(reterr, -r, "write '%s'", path) : r;
}

int main(int argc, char **argv)
{
        AUTO(container_tree_freep) struct container_tree *t = NULL;
        AUTO(dirs_freep) struct dirs *d = NULL;
        struct err *e = NULL;
        int r;

        if (argc < 7)
                return 2;
        r = dirs_open(argv[1], &d, &e);
        if (r >= 0)
                r = monitor_enter(d, &e);
        if (r >= 0)
                r = container_tree_open(d, argv[2], strcmp(argv[3], "write") == 0,
                                        strcmp(argv[4], "mounts") == 0, &t, &e);
        if (r >= 0 && strcmp(argv[5], "list") == 0)
                r = list(t->root->fd, argv[6], &e);
        else if (r >= 0 && strcmp(argv[5], "cat") == 0)
                r = cat(t->root->fd, argv[6], &e);
        else if (r >= 0 && argc > 7)
                r = put(t->root->fd, argv[6], argv[7], &e);
        return r < 0 ? fail(e) : 0;
}
