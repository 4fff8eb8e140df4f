/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owners — the option U: what is mounted is given to the container's user, before his program begins.
 *
 * In the monitor, and not by the child, since what is to be given away may belong to an id that the container does not have. A volume's
 * subpath was perhaps made by a container that ran before: it is resolved without leaving the volume.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "rootfs/rootfs.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OVERFLOW_ID 65534 /* how the kernel shows an id that our namespace does not have */

static bool same_file(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether @dir is @st, or lies somewhere below it. */
static bool lies_in(const char *dir, const struct stat *st)
{
        AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct stat here, above;

        while (fd >= 0 && fstat(fd, &here) == 0) {
                int up;

                if (same_file(&here, st))
                        return true;
                up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                (void)fd_close(fd);
                fd = up;
                if (fd < 0 || fstat(fd, &above) < 0 || same_file(&above, &here))
                        break;
        }
        return false;
}

/* Of a home directory without its owner, or of images with another, nothing would work any more. */
static int check(const struct spec_mount *m, int fd, const char *data_root, struct err **reterr)
{
        const char *home = getenv("HOME");
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return err_sys(reterr, errno, "look at '%s'", m->source);
        if (m->file || !S_ISDIR(st.st_mode))
                return 0;
        if (!lies_in(data_root, &st) && !(home && lies_in(home, &st)))
                return 0;
        r = err_new(reterr, ERR_DENIED,
                    "option U: '%s' holds your home directory, or Kelp's own files", m->source);
        return err_hint(reterr, r, "mount a directory that is for the container alone");
}

static int open_source(const struct spec_mount *m, struct err **reterr)
{
        AUTO_CLOSE int fd = open(m->source, O_PATH | O_CLOEXEC);
        int part;

        if (fd < 0)
                return err_sys(reterr, errno, "open '%s'", m->source);
        if (!m->subpath)
                return TAKE_FD(fd);
        part = sys_openat2(fd, m->subpath, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
        return part < 0 ? err_sys(reterr, -part, "open '%s'", m->subpath) : part;
}

static int give(const struct spec_mount *m, const char *data_root, uint32_t uid, uint32_t gid,
                struct err **reterr)
{
        AUTO_CLOSE int fd = open_source(m, reterr);
        int r;

        if (fd < 0)
                return fd;
        r = check(m, fd, data_root, reterr);
        if (r < 0)
                return r;
        r = path_chown_tree(fd, uid, gid, reterr);
        if (r == -EPERM)
                r = err_hint(reterr, r,
                             "the option U can give away only what belongs to you or to your "
                             "subordinate ids; leave it out to mount the files as they are");
        return r < 0 ? err_wrap(reterr, r, "option U") : 0;
}

/* An id of the container, as we see it. */
static uint32_t as_ours(const struct spec *s, const struct id_map *m, uint32_t id)
{
        return s->ns[SPEC_NS_USER].enabled && m->n > 0 ? id_map_to_outside(m, id) : id;
}

int rootfs_give_mounts(const struct spec *s, const char *data_root, uint32_t uid, uint32_t gid,
                       struct err **reterr)
{
        uint32_t our_uid = as_ours(s, &s->uid_map, uid), our_gid = as_ours(s, &s->gid_map, gid);

        /* No user of this container: the stage that becomes him says so. */
        if (our_uid == ID_NONE || our_gid == ID_NONE)
                return 0;
        for (size_t i = 0; i < s->n_mounts; i++) {
                const struct spec_mount *m = &s->mounts[i];
                int r = m->chown ? give(m, data_root, our_uid, our_gid, reterr) : 0;

                if (r < 0)
                        return err_wrap(reterr, r, "mount '%s'", m->destination);
        }
        return 0;
}

char *rootfs_advise(const struct spec *s, const struct rootfs_plan *p, size_t op, uint32_t uid,
                    uint32_t gid)
{
        const struct rootfs_op *o = op < p->n_ops ? &p->ops[op] : NULL;
        struct stat st;

        /* Somebody else's: as it was meant, or nothing that an ordinary user could do about. Our namespace shows such owners as nobody. */
        if (!o || !o->source || stat(o->source, &st) < 0 || st.st_uid == OVERFLOW_ID)
                return NULL;
        return xasprintf("mount '%s': user %u:%u of the container cannot write to '%s'; see "
                         "--userns=keep-id:image, the option U (-v …:U), 'kelp unshare chown -R "
                         "%u:%u', or mount it ro",
                         o->target, uid, gid, o->source, as_ours(s, &s->uid_map, uid),
                         as_ours(s, &s->gid_map, gid));
}
