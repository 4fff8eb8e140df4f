/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp cp with an archive on one side. Out: the walk of an export, into what is mounted too. In: the archive, which may be hostile, is unpacked in tmp/ as
 * that of a volume is; then its files are copied as any others. So nothing of one that cannot be read arrives.
 */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/tmp_dir.h"
#include "image/copy_internal.h"
#include "image/tool.h"
#include "image/tree_stream.h"
#include "image/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int copy_to_stream(struct copy *c, struct err **reterr)
{
        AUTO(tree_stream_freep) struct tree_stream *stream = NULL;
        AUTO(walk_freep) struct walk *w = NULL;
        AUTO_CLOSE int dir = -EBADF;
        struct copy_side *s = &c->from;
        struct tree_stream_opts so;
        struct walk_opts o = {0};
        struct stat st;
        int r = copy_find_source(s, &st, reterr);

        if (r < 0)
                return r;
        /* The directory above, of which the archive gets one name; or the directory itself. */
        o.root = s->contents || strcmp(s->place.name, ".") == 0;
        o.only = o.root ? NULL : s->place.name;
        dir = copy_open_directory(s, o.root ? s->place.name : ".", reterr);
        if (dir < 0)
                return dir;
        o.now = (struct view){.fds = &dir, .n = 1, .plain = true, .mounts = true};
        r = walk_new(&o, &w, reterr);
        if (r < 0)
                return r;
        so = (struct tree_stream_opts){.walk = w, .uid = &s->uid, .gid = &s->gid};
        stream = tree_stream_new(&so);
        r = tool_write_tree(c->x.t, stream, reterr);
        c->x.bytes = tree_stream_bytes(stream);
        return r;
}

/* ---- in ---- */

static int find_directory(struct copy *c, struct err **reterr)
{
        int r = copy_find_destination(&c->to, false, reterr);

        if (r != 0)
                return r < 0 ? r : copy_open_directory(&c->to, c->to.place.name, reterr);
        r = err_new(reterr, ERR_USAGE, "'%s' is not a directory", c->to.what);
        return err_hint(reterr, r, "an archive is unpacked into a directory that is there");
}

/* Ids of the archive are those of the container. */
static int unpack(struct copy *c, const struct tmp_dir *tmp, struct err **reterr)
{
        struct tool *t = c->x.t;
        struct layer_maps before = t->maps;
        struct layer_result res = {0};
        int r;

        if (c->to.uid.n > 0)
                t->maps.uid = &c->to.uid;
        if (c->to.gid.n > 0)
                t->maps.gid = &c->to.gid;
        r = tool_unpack_input(t, tmp->fd, "the archive", true, &res, reterr);
        t->maps = before;
        layer_info_release(&res.info);
        return r;
}

static int put(struct copy *c, const struct tmp_dir *tmp, int to, struct err **reterr)
{
        AUTO_CLOSE int from =
            openat(tmp->fd, "layer/fs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (from < 0)
                return err_sys(reterr, errno, "open what the archive has");
        /* They have the owners that they are to have. */
        c->x.keep = true;
        c->x.to_uid = c->x.to_gid = NULL;
        return transfer_contents(&c->x, from, to, "", reterr);
}

int copy_from_stream(struct copy *c, struct err **reterr)
{
        struct tool *t = c->x.t;
        struct tmp_dir tmp = TMP_DIR_NONE;
        AUTO_CLOSE int dir = -EBADF, to = find_directory(c, reterr);
        int r = to < 0 ? to : tmp_dir_make(t->dirs, &tmp, reterr);

        if (r < 0)
                return r;
        r = unpack(c, &tmp, reterr);
        if (r >= 0)
                r = put(c, &tmp, to, reterr);
        dir = dirs_sub(t->dirs, "tmp", NULL);
        if (dir >= 0)
                (void)path_remove_tree(dir, tmp.id, NULL);
        tmp_dir_close(&tmp);
        return r;
}
