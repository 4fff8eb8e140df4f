/* SPDX-License-Identifier: Apache-2.0 */
/* copy_path — the two names of a copy: what they say, and where the host's one leads. */
#include "container/copy_path.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "a/b/." and "a/b/" are "a/b", and a directory. */
static void strip(struct copy_path *p, char *text)
{
        size_t n = strlen(text);

        for (;;) {
                if (n > 1 && text[n - 1] == '/') {
                        p->directory = true;
                        n--;
                } else if (n > 1 && text[n - 1] == '.' && text[n - 2] == '/') {
                        p->directory = p->contents = true;
                        n -= n > 2 ? 2 : 1;
                } else {
                        break;
                }
        }
        text[n] = '\0';
        if (strcmp(text, ".") == 0)
                p->directory = p->contents = true;
}

void copy_path_set(struct copy_path *p, const char *what, const char *path, bool absolute)
{
        *p = (struct copy_path){.fd = -EBADF, .what = xstrdup(what)};
        p->path = absolute && *path != '/' ? xasprintf("/%s", path) : xstrdup(path);
        strip(p, p->path);
        p->name = xstrdup(path_last(p->path));
}

void copy_path_release(struct copy_path *p)
{
        free(p->what);
        free(p->path);
        free(p->name);
        (void)fd_close(p->fd);
        *p = (struct copy_path){.fd = -EBADF};
}

static int missing(const struct copy_path *p, int errnum, struct err **reterr)
{
        if (errnum == ENOENT)
                return err_new(reterr, ERR_NOT_FOUND, "'%s': no such file or directory", p->what);
        return err_sys(reterr, errnum, "'%s'", p->what);
}

/* From now on it is @fd's directory itself. */
static int is_directory(struct copy_path *p, int fd_take)
{
        p->fd = fd_take;
        free(p->path);
        p->path = xstrdup(".");
        return 0;
}

/* The name's directory is opened, following links as the user's shell would; the name itself is for later. */
static int open_parent(struct copy_path *p, const char *path, struct err **reterr)
{
        const char *last = path_last(path);
        AUTO_FREE char *dir = xstrndup(path, (size_t)(last - path)), *name = xstrdup(last);

        p->fd = open(*dir ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (p->fd < 0)
                return missing(p, errno, reterr);
        free(p->path);
        p->path = TAKE_PTR(name);
        return 0;
}

/* Where a link of the user's leads, as a name without links: the file behind it is what he means. */
static int open_target(struct copy_path *p, int fd, struct err **reterr)
{
        char proc[FD_PATH_MAX], path[PATH_MAX];
        ssize_t n = readlink(fd_path(fd, proc), path, sizeof(path) - 1);

        if (n < 0)
                return missing(p, errno, reterr);
        path[n] = '\0';
        return open_parent(p, path, reterr);
}

int copy_path_open_source(struct copy_path *p, bool follow, struct err **reterr)
{
        bool named = path_is_clean_name(path_last(p->path));
        AUTO_CLOSE int fd = -EBADF;
        struct stat st;

        /* A directory that is copied with its name is looked up in the one above. */
        if (named && !follow && !p->directory)
                return open_parent(p, p->path, reterr);
        fd = open(p->path, O_PATH | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return missing(p, errno, reterr);
        if (S_ISDIR(st.st_mode) && (p->contents || !named))
                return is_directory(p, TAKE_FD(fd));
        return open_target(p, fd, reterr);
}

int copy_path_open_destination(struct copy_path *p, struct err **reterr)
{
        AUTO_CLOSE int fd = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
                return is_directory(p, TAKE_FD(fd));
        /* A link to something else is replaced: a container that shares the directory could have put it there. */
        return open_parent(p, p->path, reterr);
}
