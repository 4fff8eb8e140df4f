/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `volume-fill` — gives a new volume what the image has at the place where it is going to be mounted: files, owners, modes, attributes, and
 * owner and mode of the directory itself. Made in tmp/ and put in the place of the empty directory by one rename, which fails
 * on one that is not empty. The caller holds the volume's exclusive lock.
 */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base/tmp_dir.h"
#include "image/image_protocol.h"
#include "image/layer.h"
#include "image/merged.h"
#include "image/tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fill {
        struct tool *t;
        const char *path;
        char *data; /* volumes/<name>/_data */
        int *layers, *found;
        size_t n_layers, n_found;
        uint32_t uid, gid;
};

static void fill_release(struct fill *f)
{
        for (size_t i = 0; i < f->n_layers; i++)
                (void)fd_close(f->layers[i]);
        for (size_t i = 0; i < f->n_found; i++)
                (void)fd_close(f->found[i]);
        free(f->layers);
        free(f->found);
        free(f->data);
}

static int open_layers(struct fill *f, const struct strv *paths, struct err **reterr)
{
        f->layers = xcalloc(paths->n + 1, sizeof(int));
        f->found = xcalloc(paths->n + 1, sizeof(int));
        if (paths->n == 0) { /* a plain directory, which only the caller may know the way to */
                f->layers[f->n_layers++] = fd_dup(IMAGE_FD_INPUT, reterr);
                if (f->layers[0] >= 0)
                        return 0;
                f->n_layers = 0;
                return -EBADF;
        }
        for (size_t i = 0; i < paths->n; i++) {
                f->layers[i] = path_open_in_root(f->t->dirs->root_fd, paths->v[i],
                                                 O_RDONLY | O_DIRECTORY, 0, reterr);
                if (f->layers[i] < 0)
                        return f->layers[i];
                f->n_layers++;
        }
        return 0;
}

static int read_request(struct fill *f, struct err **reterr)
{
        struct json_at root = json_root(f->t->request, "request");
        const char *name = NULL;
        AUTO_STRV layers = {0};
        int r;

        if ((r = json_get_string(&root, "path", &f->path, reterr)) < 0 ||
            (r = json_get_string(&root, "volume", &name, reterr)) < 0 ||
            (r = json_opt_u32(&root, "uid", &f->uid, reterr)) < 0 ||
            (r = json_opt_u32(&root, "gid", &f->gid, reterr)) < 0 ||
            (r = json_opt_strv(&root, "layers", &layers, reterr)) < 0)
                return r;
        if (!path_is_clean_name(name))
                return err_new(reterr, ERR_USAGE, "'%s' is no name of a volume", name);
        f->data = xasprintf("volumes/%s/_data", name);
        return open_layers(f, &layers, reterr);
}

/* 1: it is, 0: somebody has put files there. */
static int is_empty(const struct fill *f, struct err **reterr)
{
        int fd =
            openat(f->t->dirs->root_fd, f->data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        bool empty = true;

        if (!dir) {
                int r = err_sys(reterr, errno, "open '%s'", f->data);

                (void)fd_close(fd);
                return r;
        }
        for (struct dirent *e = readdir(dir); e && empty; e = readdir(dir))
                empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        (void)closedir(dir);
        return empty;
}

static int copy(struct fill *f, const struct tmp_dir *tmp, struct err **reterr)
{
        AUTO_FREE char *from = xasprintf("tmp/%s/_data", tmp->id);
        AUTO_CLOSE int to = -EBADF;
        int r;

        if (mkdirat(tmp->fd, "_data", 0700) < 0)
                return err_sys(reterr, errno, "make a directory in tmp/");
        to = openat(tmp->fd, "_data", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (to < 0)
                return err_sys(reterr, errno, "open tmp/%s", tmp->id);
        r = layer_copy_stack(f->found, f->n_found, to, reterr);
        if (r < 0)
                return r;
        if (tool_interrupted(f->t))
                return tool_interrupted_error(reterr);
        if (syncfs(to) < 0)
                return err_sys(reterr, errno, "write the volume to disk");
        FAULT_POINT("volume-copied");
        if (renameat(f->t->dirs->root_fd, from, f->t->dirs->root_fd, f->data) < 0)
                return err_sys(reterr, errno, "put the files in their place");
        return 0;
}

int tool_volume_fill(struct tool *t, struct err **reterr)
{
        AUTO(fill_release) struct fill f = {.t = t};
        struct tmp_dir tmp = TMP_DIR_NONE;
        int r = read_request(&f, reterr);

        if (r >= 0)
                r = is_empty(&f, reterr);
        if (r <= 0)
                return r;
        r = merged_lookup(f.layers, f.n_layers, f.path, f.found, &f.n_found);
        if (r == -ENOENT || r == -ENOTDIR) {
                if (fchownat(t->dirs->root_fd, f.data, f.uid, f.gid, AT_SYMLINK_NOFOLLOW) < 0)
                        return err_sys(reterr, errno, "give it to the container's root");
                return 0;
        }
        if (r < 0)
                return err_sys(reterr, -r, "look for '%s'", f.path);
        r = tmp_dir_make(t->dirs, &tmp, reterr);
        if (r < 0)
                return r;
        r = copy(&f, &tmp, reterr);
        /* The lock file goes last, or a sweeper would be at it as well. */
        {
                AUTO_CLOSE int dir = dirs_sub(t->dirs, "tmp", NULL);

                if (dir >= 0)
                        (void)path_remove_tree(dir, tmp.id, NULL);
        }
        tmp_dir_close(&tmp);
        return r;
}
