/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   A variant is a copy of fs/ in which every inode gets the owner that the recipe remembers for it, through the new maps. First the
 *   copy, then the owners: the recipe goes by entries of the archive, which are neither in tree order nor unique. A record counts only while
 *   its inode is still at its path (see recipe_kept_find()). Published by rename; should two be at it all the same, the second throws its copy away (`reown` takes a lock).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/random_id.h"
#include "base/sys.h"
#include "idmap/idmap.h"
#include "image/layer_copy.h"
#include "image/layer_internal.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

#define OVERFLOW_ID 65534u /* how the kernel shows an id that U does not have */
#define SIBLINGS    16     /* so many older variants are looked at */

struct reown {
        const struct layer_maps *maps;
        const struct layer_info *info;
        int fs_fd, copy_fd;
        int siblings[SIBLINGS]; /* fs and its variants */
        size_t n_siblings;
        uint64_t shared; /* bytes on disk of what was linked */
};

/* ---- inodes that need no copy ---- */

static void siblings_open(struct reown *w, int layer_fd)
{
        int fd = openat(layer_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir) {
                (void)fd_close(fd);
                return;
        }
        for (struct dirent *e = readdir(dir); e && w->n_siblings < SIBLINGS; e = readdir(dir)) {
                int found;

                if (strcmp(e->d_name, LAYER_FS_DIR) != 0 &&
                    strncmp(e->d_name, LAYER_FS_DIR ".", strlen(LAYER_FS_DIR ".")) != 0)
                        continue;
                found = openat(fd, e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (found >= 0)
                        w->siblings[w->n_siblings++] = found;
        }
        (void)closedir(dir);
}

static void siblings_close(struct reown *w)
{
        while (w->n_siblings > 0)
                (void)fd_close(w->siblings[--w->n_siblings]);
}

/* Links @dir/@name of a sibling when it is what is wanted: the same file, with these owners. */
static bool link_from(int sibling, const char *dir, const char *name, const struct stat *want,
                      int to_dir)
{
        AUTO_CLOSE int parent =
            sys_openat2(sibling, dir[0] ? dir : ".", O_PATH | O_DIRECTORY, 0, BENEATH);
        struct stat st;

        return parent >= 0 && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               st.st_mode == want->st_mode && st.st_size == want->st_size &&
               st.st_uid == want->st_uid && st.st_gid == want->st_gid &&
               st.st_mtim.tv_sec == want->st_mtim.tv_sec &&
               st.st_mtim.tv_nsec == want->st_mtim.tv_nsec &&
               linkat(parent, name, to_dir, name, 0) == 0;
}

/*
 * Layers never change, so two variants may have inodes in common. Only where it is certain what the owners are to be: without folded ids, and
 * with ids that U knows. ACLs hold further ids.
 */
static int link_sibling(void *arg, const char *dir, const char *name, const struct stat *st,
                        int to_dir)
{
        struct reown *w = arg;
        struct stat want = *st;

        if (w->info->folded || w->info->acls || st->st_uid == OVERFLOW_ID ||
            st->st_gid == OVERFLOW_ID)
                return 0;
        want.st_uid = layer_reown_id(w->info, w->maps, false, st->st_uid);
        want.st_gid = layer_reown_id(w->info, w->maps, true, st->st_gid);
        for (size_t i = 0; i < w->n_siblings; i++) {
                if (!link_from(w->siblings[i], dir, name, &want, to_dir))
                        continue;
                w->shared += (uint64_t)st->st_blocks * 512;
                return 1;
        }
        return 0;
}

/* ---- owners ---- */

static int reown_fail(int errnum, const char *path, struct err **reterr)
{
        return err_sys(reterr, errnum, "change the owner of the layer's '%s'", path);
}

/* A change of owner takes setuid bits and capabilities away: both come back. ACLs name owners of their own. */
static int restore_rest(struct reown *w, int fd, mode_t mode, const char *path, struct err **reterr)
{
        char proc[FD_PATH_MAX];
        AUTO_CLOSE int from = -EBADF;
        int r;

        if (chmod(fd_path(fd, proc), mode) < 0)
                return reown_fail(errno, path, reterr);
        if (!w->info->setuid && !w->info->acls)
                return 0;
        from = sys_openat2(w->fs_fd, path[0] ? path : ".", O_PATH | O_NOFOLLOW, 0, BENEATH);
        r = from < 0 ? from : layer_copy_xattrs(from, fd, true);
        if (r == 0 && w->info->acls)
                r = layer_acl_reown(from, fd, w->info, w->maps);
        return r < 0 ? reown_fail(-r, path, reterr) : 0;
}

static int reown_node(void *arg, const struct recipe_node *n, struct err **reterr)
{
        struct reown *w = arg;
        AUTO_CLOSE int fd =
            sys_openat2(w->copy_fd, n->path[0] ? n->path : ".", O_PATH | O_NOFOLLOW, 0, BENEATH);
        bool no_uid, no_gid;
        uint32_t uid = layer_map_id(w->maps->uid, n->uid, &no_uid);
        uint32_t gid = layer_map_id(w->maps->gid, n->gid, &no_gid);
        struct stat st;
        mode_t mode = n->mode;

        if (fd < 0 || fstat(fd, &st) < 0)
                return reown_fail(fd < 0 ? -fd : errno, n->path, reterr);
        if (!S_ISDIR(st.st_mode))
                mode &= ~((no_uid ? 04000u : 0u) | (no_gid ? 02000u : 0u));
        /* The copy has everything but owners; what was linked must not even be touched. */
        if (st.st_uid == uid && st.st_gid == gid && (st.st_mode & 07777) == mode && !w->info->acls)
                return 0;
        if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
                return reown_fail(errno, n->path, reterr);
        if (S_ISLNK(st.st_mode))
                return 0;
        return restore_rest(w, fd, mode, n->path, reterr);
}

/* 0: published; 1: somebody else was faster. */
static int make_variant(struct reown *w, int layer_fd, int tmp_fd, const char *tmp_name,
                        const char *name, struct err **reterr)
{
        AUTO_CLOSE int fs = -EBADF, copy = -EBADF;
        int r;

        fs = openat(layer_fd, LAYER_FS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fs < 0 || mkdirat(tmp_fd, tmp_name, 0700) < 0)
                return err_sys(reterr, errno, "make a copy of the layer");
        copy = openat(tmp_fd, tmp_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (copy < 0)
                return err_sys(reterr, errno, "make a copy of the layer");
        w->fs_fd = fs;
        w->copy_fd = copy;
        siblings_open(w, layer_fd);
        r = layer_copy_reusing(fs, copy, &(struct layer_reuse){link_sibling, w}, reterr);
        siblings_close(w);
        if (r == 0)
                r = recipe_each_in_place(layer_fd, reown_node, w, reterr);
        if (r < 0)
                return r;
        if (w->shared > 0)
                r = layer_variant_note_shared(layer_fd, name, w->shared);
        if (r < 0)
                return err_sys(reterr, -r, "note what the copy of the layer shares");
        /* Published by its name alone, so its content must be on disk before the name is. */
        if (syncfs(copy) < 0)
                return err_sys(reterr, errno, "write the copy of the layer to disk");
        FAULT_POINT("reown-copied");
        if (renameat2(tmp_fd, tmp_name, layer_fd, name, RENAME_NOREPLACE) == 0)
                return 0;
        return errno == EEXIST ? 1 : err_sys(reterr, errno, "publish the copy of the layer");
}

int layer_reown(int layer_fd, int tmp_fd, const struct layer_maps *maps,
                char ret_dir[LAYER_DIR_MAX], struct err **reterr)
{
        AUTO(layer_info_release) struct layer_info info = {0};
        struct reown w = {.maps = maps, .info = &info};
        AUTO(id_map_release) struct id_map uid = {0}, gid = {0};
        char id[RANDOM_ID_LEN + 1];
        struct stat st;
        int r = layer_info_read(layer_fd, &info, reterr);

        if (r < 0)
                return r;
        uid = id_map_compose(maps->uid, maps->host_uid);
        gid = id_map_compose(maps->gid, maps->host_gid);
        layer_info_dir(&info, &uid, &gid, ret_dir);
        if (fstatat(layer_fd, ret_dir, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        random_id(id);
        r = make_variant(&w, layer_fd, tmp_fd, id, ret_dir, reterr);
        if (r != 0)
                (void)path_remove_tree(tmp_fd, id, NULL);
        return r < 0 ? r : 0;
}
