/* SPDX-License-Identifier: Apache-2.0 */
/* The ids inside POSIX ACLs, in the form of their extended attributes: a version, then entries of tag, permissions and id, little endian. */
#include "image/layer_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "idmap/idmap.h"

#define HEADER_SIZE 4u
#define ENTRY_SIZE  8u
#define TAG_USER    2u
#define TAG_GROUP   8u

void layer_acl_map(unsigned char *acl, size_t n, layer_acl_fn fn, void *arg)
{
        for (size_t at = HEADER_SIZE; at + ENTRY_SIZE <= n; at += ENTRY_SIZE) {
                unsigned char *p = acl + at + 4;
                unsigned tag = acl[at] | (unsigned)acl[at + 1] << 8;
                uint32_t id =
                    p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

                if (tag != TAG_USER && tag != TAG_GROUP)
                        continue;
                id = fn(arg, tag == TAG_GROUP, id);
                for (unsigned i = 0; i < 4; i++)
                        p[i] = (unsigned char)(id >> 8 * i);
        }
}

struct reown_job {
        const struct layer_info *info;
        const struct layer_maps *maps;
};

uint32_t layer_reown_id(const struct layer_info *info, const struct layer_maps *maps, bool group,
                        uint32_t id)
{
        const struct layer_owners *o = group ? &info->gids : &info->uids;
        uint32_t host = id_map_to_outside(group ? maps->host_gid : maps->host_uid, id);
        bool folded;

        for (size_t i = 0; i < o->n; i++)
                if (host >= o->v[i].host && host - o->v[i].host < o->v[i].count)
                        return layer_map_id(group ? maps->gid : maps->uid,
                                            o->v[i].id + (host - o->v[i].host), &folded);
        return ID_NONE;
}

static uint32_t reown_id(void *arg, bool group, uint32_t id)
{
        const struct reown_job *j = arg;
        uint32_t now = layer_reown_id(j->info, j->maps, group, id);

        return now == ID_NONE ? id : now;
}

int layer_acl_reown(int from, int to, const struct layer_info *info, const struct layer_maps *maps)
{
        static const char *const names[] = {ACL_ACCESS, ACL_DEFAULT};
        struct reown_job j = {info, maps};
        char from_path[FD_PATH_MAX], to_path[FD_PATH_MAX];

        fd_path(from, from_path);
        fd_path(to, to_path);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                AUTO_FREE unsigned char *acl = NULL;
                ssize_t n = getxattr(from_path, names[i], NULL, 0);

                if (n <= 0)
                        continue;
                acl = xmalloc((size_t)n);
                n = getxattr(from_path, names[i], acl, (size_t)n);
                if (n < 0)
                        return -errno;
                layer_acl_map(acl, (size_t)n, reown_id, &j);
                /* Two users folded onto one are an ACL that the kernel refuses: without it the mode alone counts. */
                if (setxattr(to_path, names[i], acl, (size_t)n, 0) < 0 &&
                    (errno != EINVAL || removexattr(to_path, names[i]) < 0))
                        return -errno;
        }
        return 0;
}
