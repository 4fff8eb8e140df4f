/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `volume-import` — an archive's files into a volume. They are unpacked in tmp/ as those of a layer are (the archive is as hostile), laid over a copy of
 * what the volume has, and the two directories exchanged: whatever happens, the volume holds all of the archive or nothing of it. The
 * caller holds the volume's exclusive lock, and the locks of the containers that have it, so that none of them runs.
 */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/tmp_dir.h"
#include "image/layer.h"
#include "image/layer_copy.h"
#include "image/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNPACKED "layer/fs"
#define MERGED   "merged"

static int open_dir(int at, const char *path, struct err **reterr)
{
        int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? err_sys(reterr, errno, "open '%s'", path) : fd;
}

/* An archive that says nothing of the root leaves it as it is. */
static int keep_root(int from, int to, struct err **reterr)
{
        struct timespec ts[2];
        struct stat st;

        if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
            fchmod(to, st.st_mode & 07777) < 0)
                return err_sys(reterr, errno, "keep the owner of the volume");
        ts[0] = ts[1] = st.st_mtim;
        (void)futimens(to, ts);
        return 0;
}

static int merge(struct tool *t, const struct tmp_dir *tmp, int data, bool has_root,
                 struct err **reterr)
{
        AUTO_CLOSE int fresh = open_dir(tmp->fd, UNPACKED, reterr);
        AUTO_CLOSE int merged = -EBADF;
        int r = fresh;

        if (r >= 0 && !has_root)
                r = keep_root(data, fresh, reterr);
        if (r >= 0 && mkdirat(tmp->fd, MERGED, 0700) < 0)
                r = err_sys(reterr, errno, "make a directory in tmp/");
        if (r >= 0)
                r = merged = open_dir(tmp->fd, MERGED, reterr);
        if (r >= 0)
                r = layer_copy_tree(data, merged, false, reterr);
        if (r >= 0 && tool_interrupted(t))
                r = tool_interrupted_error(reterr);
        if (r >= 0)
                r = layer_copy_tree(fresh, merged, true, reterr);
        if (r >= 0 && syncfs(merged) < 0)
                r = err_sys(reterr, errno, "write the volume to disk");
        return r < 0 ? r : 0;
}

static int import_into(struct tool *t, const struct tmp_dir *tmp, const char *path,
                       const char *what, struct err **reterr)
{
        AUTO_FREE char *from = xasprintf("tmp/%s/" MERGED, tmp->id);
        AUTO_CLOSE int data = open_dir(t->dirs->root_fd, path, reterr);
        struct layer_result res = {0};
        bool has_root;
        int r = data < 0 ? data : tool_unpack_input(t, tmp->fd, what, true, &res, reterr);

        if (r < 0)
                return r;
        has_root = res.has_root;
        layer_info_release(&res.info);
        r = merge(t, tmp, data, has_root, reterr);
        if (r < 0)
                return r;
        FAULT_POINT("volume-import-merged");
        if (renameat2(t->dirs->root_fd, from, t->dirs->root_fd, path, RENAME_EXCHANGE) < 0)
                return err_sys(reterr, errno, "put the files in their place");
        FAULT_POINT("volume-imported");
        return 0;
}

int tool_volume_import(struct tool *t, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        const char *name = NULL, *what = "the archive";
        AUTO_FREE char *path = NULL;
        AUTO_CLOSE int dir = -EBADF;
        struct tmp_dir tmp = TMP_DIR_NONE;
        int r;

        if ((r = json_get_string(&root, "volume", &name, reterr)) < 0 ||
            (r = json_opt_string(&root, "what", &what, reterr)) < 0)
                return r;
        if (!path_is_clean_name(name))
                return err_new(reterr, ERR_USAGE, "'%s' is no name of a volume", name);
        path = xasprintf("volumes/%s/_data", name);
        r = tmp_dir_make(t->dirs, &tmp, reterr);
        if (r < 0)
                return r;
        r = import_into(t, &tmp, path, what, reterr);
        dir = dirs_sub(t->dirs, "tmp", NULL);
        if (dir >= 0)
                (void)path_remove_tree(dir, tmp.id, NULL);
        tmp_dir_close(&tmp);
        return r;
}
