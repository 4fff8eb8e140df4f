/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle's devices: those that every container has, and those of linux.devices. Only the first user namespace may make nodes; in any other
 * the host's node of the same name is bound, which has the host's owner and mode, and must be the device that was asked for.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"
#include "idmap/idmap.h"
#include "rootfs/plan_internal.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEVICE_MODE 0666

static const struct {
        const char *path;
        unsigned major, minor;
} default_devices[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

/* The whole range of ids on itself: the one that the kernel began with. */
static int in_first_userns(const struct spec *s, bool *ret, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        struct id_map own = {0};
        int r;

        *ret = false;
        if (s->ns[SPEC_NS_USER].enabled)
                return 0;
        r = io_read_file(AT_FDCWD, "/proc/self/uid_map", 65536, &text, NULL, reterr);
        if (r >= 0)
                r = id_map_parse(text, &own, reterr);
        if (r < 0)
                return r;
        *ret = own.n == 1 && own.v[0].inside == 0 && own.v[0].outside == 0 &&
               own.v[0].count == UINT32_MAX;
        id_map_release(&own);
        return 0;
}

/* A mount that is the host's /dev, or a part of it: nothing is to be made there. */
static bool dev_is_bound(const struct rootfs *r)
{
        for (size_t i = 0; i < r->plan.n_ops; i++) {
                if (r->ops[i].kind == ROOTFS_OP_BIND && strcmp(r->ops[i].target, "/dev") == 0)
                        return true;
        }
        return false;
}

static uint32_t device_type(char type)
{
        return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

static int check_host_node(const struct rootfs_device *d, struct err **reterr)
{
        struct stat st;
        int r;

        if (stat(d->host, &st) < 0) {
                r = err_sys(reterr, errno, "device '%s': look at the host's", d->path);
                return err_hint(reterr, r,
                                "in a user namespace devices cannot be made, only the host's be "
                                "bound: it has to have one of this name");
        }
        if ((st.st_mode & S_IFMT) == d->type && st.st_rdev == d->rdev)
                return 0;
        r = err_new(reterr, ERR_INVALID,
                    "device '%s': %c %u:%u was asked for, the host's is %c %u:%u", d->path,
                    d->type == S_IFBLK ? 'b' : 'c', major(d->rdev), minor(d->rdev),
                    S_ISBLK(st.st_mode)   ? 'b'
                    : S_ISCHR(st.st_mode) ? 'c'
                                          : '-',
                    major(st.st_rdev), minor(st.st_rdev));
        return err_hint(reterr, r,
                        "in a user namespace devices cannot be made, only the host's be bound");
}

static int add_device(struct rootfs *r, const struct rootfs_device *d, bool make,
                      struct err **reterr)
{
        struct rootfs_device *to = &r->devices[r->plan.n_devices++];

        *to = *d;
        if (make || d->type == S_IFIFO)
                return 0;
        to->host = to->path;
        return check_host_node(to, reterr);
}

static bool is_listed(const struct spec *s, const char *path)
{
        for (size_t i = 0; i < s->n_devices; i++) {
                AUTO_FREE char *clean = path_clean(s->devices[i].path);

                if (strcmp(clean, path) == 0)
                        return true;
        }
        return false;
}

static int add_defaults(struct rootfs *r, bool make, struct err **reterr)
{
        int ret = 0;

        for (size_t i = 0; i < ARRAY_SIZE(default_devices) && ret >= 0; i++) {
                const struct rootfs_device d = {
                    .path = default_devices[i].path,
                    .type = S_IFCHR,
                    .rdev = makedev(default_devices[i].major, default_devices[i].minor),
                    .mode = DEVICE_MODE,
                };

                if (!is_listed(r->spec, d.path))
                        ret = add_device(r, &d, make, reterr);
        }
        return ret;
}

static int add_listed(struct rootfs *r, const struct spec_device *from, bool make,
                      struct err **reterr)
{
        struct rootfs_device d = {
            .path = rootfs_keep(r, path_clean(from->path ? from->path : "")),
            .type = device_type(from->type),
            .rdev = from->type == 'p' ? 0 : makedev((unsigned)from->major, (unsigned)from->minor),
            .uid = from->uid,
            .gid = from->gid,
            .mode = from->has_mode ? from->mode & 07777 : DEVICE_MODE,
        };

        if (d.path[0] != '/')
                return err_new(reterr, ERR_USAGE, "device '%s': the path is not absolute", d.path);
        return add_device(r, &d, make, reterr);
}

int rootfs_oci_devices(struct rootfs *r, struct err **reterr)
{
        const struct spec *s = r->spec;
        size_t room = s->n_devices + ARRAY_SIZE(default_devices);
        bool make, bound = dev_is_bound(r);
        int ret = in_first_userns(s, &make, reterr);

        if (ret < 0)
                return ret;
        r->devices = xcalloc(room, sizeof(*r->devices));
        r->device_trees = xcalloc(room, sizeof(*r->device_trees));
        for (size_t i = 0; i < room; i++)
                r->device_trees[i] = -EBADF;
        r->plan.dev_links = !bound;
        if (!bound)
                ret = add_defaults(r, make, reterr);
        for (size_t i = 0; i < s->n_devices && ret >= 0; i++) {
                /* The host's /dev has it, or it is not for us to put one there. */
                if (bound && str_starts(s->devices[i].path, "/dev/"))
                        continue;
                ret = add_listed(r, &s->devices[i], make, reterr);
        }
        r->plan.devices = r->devices;
        r->plan.device_trees = r->device_trees;
        return ret < 0 ? ret : 0;
}
