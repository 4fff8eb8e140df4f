/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/random_id.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void target_release(struct target *t)
{
        static const char *const written[] = {"blobs", "index.json", "oci-layout"};

        if (t->linked)
                (void)unlinkat(t->dir_fd, t->temporary, 0);
        for (size_t i = 0; t->directory && i < ARRAY_SIZE(written); i++)
                (void)path_remove_tree(t->fd, written[i], NULL);
        if (t->made_dir)
                (void)unlinkat(t->dir_fd, t->name, AT_REMOVEDIR);
        (void)fd_close(t->fd);
        (void)fd_close(t->dir_fd);
        free(t->name);
}

static int open_parent(const char *path, struct target *t, struct err **reterr)
{
        AUTO_FREE char *full = path_make_absolute(path, reterr);
        AUTO_FREE char *clean = full ? path_clean(full) : NULL;
        AUTO_FREE char *dir = NULL;

        if (!clean)
                return -ENOENT;
        t->name = xstrdup(path_last(clean));
        dir = xstrndup(clean, strlen(clean) - strlen(t->name));
        t->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return t->dir_fd < 0 ? err_sys(reterr, errno, "%s", dir) : 0;
}

static int open_file(const char *path, const char *directory_hint, struct target *t,
                     struct err **reterr)
{
        char id[RANDOM_ID_LEN + 1];
        struct stat st;
        int r;

        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                return err_hint(reterr, err_new(reterr, ERR_USAGE, "%s is a directory", path), "%s",
                                directory_hint);
        if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
                t->fd = open(path, O_WRONLY | O_CLOEXEC);
                return t->fd < 0 ? err_sys(reterr, errno, "%s", path) : 0;
        }
        r = open_parent(path, t, reterr);
        if (r < 0)
                return r;
        random_id(id);
        (void)snprintf(t->temporary, sizeof(t->temporary), ".kelp-save-%.16s", id);
        /* Without a name nothing is left behind even by kill -9, where the file system can do that. */
        t->fd = openat(t->dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
        if (t->fd >= 0)
                return 0;
        t->fd = openat(t->dir_fd, t->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (t->fd < 0)
                return err_sys(reterr, errno, "%s", path);
        t->linked = true;
        return 0;
}

int target_open_directory(const char *path, struct target *t, struct err **reterr)
{
        struct dirent *e;
        bool empty = true;
        DIR *dir;
        int r = open_parent(path, t, reterr);

        if (r < 0)
                return r;
        if (mkdirat(t->dir_fd, t->name, 0777) == 0)
                t->made_dir = true;
        else if (errno != EEXIST)
                return err_sys(reterr, errno, "%s", path);
        t->fd = openat(t->dir_fd, t->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = t->fd < 0 ? NULL : opendir(path); /* another descriptor: reading moves its position */
        if (!dir)
                return err_sys(reterr, errno, "%s", path);
        while ((e = readdir(dir)))
                empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
        closedir(dir);
        if (!empty)
                return err_new(reterr, ERR_EXISTS, "directory %s is not empty", path);
        t->directory = true;
        return 0;
}

int target_finish(struct target *t, struct err **reterr)
{
        char proc[FD_PATH_MAX];

        t->directory = t->made_dir = false;
        if (!t->temporary[0])
                return 0;
        if (fsync(t->fd) < 0)
                return err_sys(reterr, errno, "write %s", t->name);
        if (!t->linked &&
            linkat(AT_FDCWD, fd_path(t->fd, proc), t->dir_fd, t->temporary, AT_SYMLINK_FOLLOW) < 0)
                return err_sys(reterr, errno, "make %s", t->name);
        t->linked = true;
        if (renameat(t->dir_fd, t->temporary, t->dir_fd, t->name) < 0)
                return err_sys(reterr, errno, "make %s", t->name);
        t->linked = false;
        return fsync(t->dir_fd) < 0 ? err_sys(reterr, errno, "write %s", t->name) : 0;
}

int target_open(const char *path, const char *directory_hint, struct target *t, struct err **reterr)
{
        if (path && strcmp(path, "-") != 0)
                return open_file(path, directory_hint, t, reterr);
        if (fd_is_terminal(STDOUT_FILENO)) {
                int r = err_new(reterr, ERR_USAGE, "standard output is a terminal");

                return err_hint(reterr, r, "name a file with --output, or redirect");
        }
        t->fd = fd_dup(STDOUT_FILENO, reterr);
        return t->fd < 0 ? t->fd : 0;
}
