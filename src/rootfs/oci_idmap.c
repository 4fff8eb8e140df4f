/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * An idmapped mount shows the owners of its files through the map of a user namespace. Only who has CAP_SYS_ADMIN over the file system may make one,
 * which the container's root has not: so it is the parent that clones the source, maps it, and hands the detached mount to the child. The
 * user namespace exists for its map alone: a process that does nothing else holds it until the kernel has taken the map over.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/sys.h"
#include "idmap/idmap.h"
#include "rootfs/plan_internal.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROC_PATH_MAX 48

struct mount_maps {
        struct id_map uid, gid;
};

static void maps_release(struct mount_maps *m)
{
        id_map_release(&m->uid);
        id_map_release(&m->gid);
}

/* ---- "idmap=uids=@0-1-10#10-11-5;gids=0-1-10": on disk, as it is seen, how many; with @ seen by the container ---- */

static int parse_range(const char *text, const struct id_map *container, struct id_map *ret)
{
        bool inside = *text == '@';
        AUTO_STRV parts = {0};
        uint32_t v[3];

        strv_split(&parts, text + inside, '-');
        if (parts.n != 3)
                return -EINVAL;
        for (size_t i = 0; i < 3; i++) {
                if (parse_u32(parts.v[i], &v[i]) < 0)
                        return -EINVAL;
        }
        if (!inside || container->n == 0) {
                id_map_add(ret, v[0], v[1], v[2]);
                return 0;
        }
        {
                struct id_map seen = {0}, outside;

                id_map_add(&seen, v[0], v[1], v[2]);
                outside = id_map_compose(&seen, container);
                for (size_t i = 0; i < outside.n; i++)
                        id_map_add(ret, outside.v[i].inside, outside.v[i].outside,
                                   outside.v[i].count);
                id_map_release(&seen);
                id_map_release(&outside);
        }
        return 0;
}

static int parse_maps(const struct spec *s, const char *text, struct mount_maps *ret)
{
        AUTO_STRV lists = {0};

        strv_split(&lists, text, ';');
        for (size_t i = 0; i < lists.n; i++) {
                AUTO_STRV ranges = {0};
                bool uids = str_starts(lists.v[i], "uids=");

                if (!uids && !str_starts(lists.v[i], "gids="))
                        return -EINVAL;
                strv_split(&ranges, lists.v[i] + 5, '#');
                for (size_t k = 0; k < ranges.n; k++) {
                        int r = parse_range(ranges.v[k], uids ? &s->uid_map : &s->gid_map,
                                            uids ? &ret->uid : &ret->gid);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static void copy_map(struct id_map *to, const struct id_map *from)
{
        for (size_t i = 0; i < from->n; i++)
                id_map_add(to, from->v[i].inside, from->v[i].outside, from->v[i].count);
}

/* The mount's own, else those in the option, else the container's. */
static int find_maps(const struct spec *s, const struct spec_mount *m,
                     const struct mount_options *o, struct mount_maps *ret, struct err **reterr)
{
        if (m->uid_map.n > 0 || m->gid_map.n > 0) {
                copy_map(&ret->uid, &m->uid_map);
                copy_map(&ret->gid, &m->gid_map);
        } else if (o->idmap_text && parse_maps(s, o->idmap_text, ret) < 0) {
                (void)err_new(reterr, ERR_USAGE, "mount '%s': option 'idmap=%s'", m->destination,
                              o->idmap_text);
                return err_hint(reterr, -EINVAL,
                                "give ids on disk, as they are seen, and how many: "
                                "idmap=uids=0-1000-10;gids=0-1000-10");
        } else if (!o->idmap_text) {
                copy_map(&ret->uid, &s->uid_map);
                copy_map(&ret->gid, &s->gid_map);
        }
        if (ret->uid.n > 0 && ret->gid.n > 0)
                return 0;
        (void)err_new(reterr, ERR_USAGE, "mount '%s': there is no map for the option idmap",
                      m->destination);
        return err_hint(reterr, -EINVAL,
                        "give uidMappings and gidMappings of the mount, or a user namespace with "
                        "mappings");
}

/* ---- a user namespace for its map ---- */

static NORETURN void hold_namespace(void)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
                (void)pause();
}

static int make_userns(const struct mount_maps *maps, struct err **reterr)
{
        char path[PROC_PATH_MAX];
        int pidfd = -EBADF, fd, r;
        pid_t pid = sys_clone(CLONE_NEWUSER, &pidfd, -EBADF);

        if (pid == 0)
                hold_namespace();
        if (pid < 0)
                return err_sys(reterr, -pid, "make a user namespace for its ids");
        r = idmap_write(pid, &maps->uid, &maps->gid, reterr);
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
        fd = r < 0 ? r : open(path, O_RDONLY | O_CLOEXEC);
        if (r >= 0 && fd < 0)
                fd = err_sys(reterr, errno, "open '%s'", path);
        (void)sys_pidfd_send_signal(pidfd, SIGKILL);
        while (waitid(P_PIDFD, (id_t)pidfd, NULL, WEXITED) < 0 && errno == EINTR)
                ;
        (void)fd_close(pidfd);
        return fd;
}

static int open_userns(const struct spec *s, const struct mount_maps *maps, bool own,
                       struct err **reterr)
{
        const char *path = s->ns[SPEC_NS_USER].path;
        int fd;

        if (!own || !path)
                return make_userns(maps, reterr);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? err_sys(reterr, errno, "open user namespace '%s'", path) : fd;
}

/* ---- the mount ---- */

static int map_failed(int r, struct err **reterr)
{
        r = err_sys(reterr, -r, "map its ids");
        if (r == -EPERM)
                return err_hint(
                    reterr, r,
                    "only root of the namespace that the file system was mounted in may "
                    "map its ids: run as root, or leave the option idmap out");
        if (r == -EINVAL)
                return err_hint(
                    reterr, r,
                    "its file system cannot map ids, or is mapped already (Linux 5.12 and "
                    "later, by file system)");
        return r;
}

static int clone_mapped(const struct rootfs_op *op, bool recursive, int userns, int *ret_tree,
                        struct err **reterr)
{
        AUTO_CLOSE int tree =
            sys_open_tree(AT_FDCWD, op->source,
                          OPEN_TREE_CLONE | (op->recursive ? (unsigned)AT_RECURSIVE : 0U) |
                              (op->source_nofollow ? (unsigned)AT_SYMLINK_NOFOLLOW : 0U));
        int r;

        if (tree < 0) {
                r = err_sys(reterr, -tree, "clone '%s'", op->source);
                if (r == -EPERM)
                        r = err_hint(reterr, r,
                                     "ids are mapped by root only: run as root, or leave "
                                     "the option idmap out");
                tree = -EBADF;
                return r;
        }
        /* We are among the host's mounts: what is mounted in it later must not appear there. */
        r = sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, 0, 0, MS_SLAVE);
        if (r == 0)
                r = sys_mount_idmap(tree, recursive ? (unsigned)AT_RECURSIVE : 0U, userns);
        if (r < 0)
                return map_failed(r, reterr);
        *ret_tree = TAKE_FD(tree);
        return 0;
}

int rootfs_oci_idmap(const struct rootfs *r, const struct spec_mount *m,
                     const struct mount_options *o, const struct rootfs_op *op, int *ret_tree,
                     struct err **reterr)
{
        bool joined = !o->idmap_text && m->uid_map.n == 0 && r->spec->ns[SPEC_NS_USER].path;
        struct mount_maps maps = {0};
        AUTO_CLOSE int userns = -EBADF;
        int ret = joined ? 0 : find_maps(r->spec, m, o, &maps, reterr);

        if (ret >= 0)
                ret = userns = open_userns(r->spec, &maps, joined, reterr);
        if (ret < 0)
                userns = -EBADF;
        else
                ret = clone_mapped(op, o->idmap_recursive, userns, ret_tree, reterr);
        maps_release(&maps);
        return ret < 0 ? err_wrap(reterr, ret, "mount '%s'", m->destination) : 0;
}
