/* SPDX-License-Identifier: Apache-2.0 */
/* create_spec — the pure description (spec_build) completed with what only this host knows: id maps, layers, driver, joined containers. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "container/container_internal.h"
#include "container/storage.h"
#include "idmap/idmap.h"
#include "image/image_job.h"
#include "image/platform.h"
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Only what is here counts: another platform's image may be had under the same name, but that is for "pull" to say. */
static int check_platform(struct creation *k, struct err **reterr)
{
        AUTO_JSON *config = NULL;
        struct platform wanted, have;
        char wanted_text[3 * PLATFORM_PART], have_text[3 * PLATFORM_PART];
        struct json_at root;
        const char *variant = NULL;
        int r;

        if (!k->o->platform)
                return 0;
        r = platform_parse(k->o->platform, &wanted, reterr);
        if (r >= 0)
                r = store_config(k->d, k->image, &config, reterr);
        if (r < 0)
                return r;
        root = json_root(config, "image's config");
        r = json_opt_string(&root, "variant", &variant, reterr);
        if (r < 0)
                return r;
        platform_set(&have, k->image->os, k->image->architecture, variant);
        if (platform_score(&wanted, &have) >= PLATFORM_SAME_ARCH)
                return 0;
        platform_format(&wanted, wanted_text);
        platform_format(&have, have_text);
        r = err_new(reterr, ERR_NOT_FOUND, "image '%s' is for %s, not for %s", k->o->image,
                    have_text, wanted_text);
        return err_hint(reterr, r,
                        "leave the platform out, or get the image for %s under that name",
                        wanted_text);
}

static int read_image(struct creation *k, struct err **reterr)
{
        struct json_at root, config;
        int r;

        if (k->o->rootfs || k->o->infra)
                return 0;
        if (str_empty(k->o->image))
                return err_new(reterr, ERR_USAGE, "no image given");
        r = store_resolve(k->d, k->o->image, &k->image, reterr);
        if (r < 0)
                return r;
        root = json_root(k->image->doc, "image");
        r = check_platform(k, reterr);
        if (r < 0)
                return r;
        config = json_key(&root, "config");
        r = image_config_from_json(config.obj, "image's config", &k->config, reterr);
        k->config.setuid = k->image->setuid;
        return r < 0 ? err_wrap(reterr, r, "image '%s'", k->o->image) : 0;
}

/* ---- other containers' namespaces ---- */

const char *container_join_target(const char *value)
{
        return value && str_starts(value, "container:") ? value + strlen("container:") : NULL;
}

static int join_one(struct creation *k, const char *option, enum spec_ns ns, const char *kind,
                    const char **user_of, struct err **reterr)
{
        const char *target = container_join_target(option);
        AUTO(container_freep) struct container *c = NULL;
        int r;

        if (!target)
                return 0;
        r = container_find(k->d, target, &c, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "%s of '%s'", kind, target);
        if (*user_of && strcmp(*user_of, c->id) != 0)
                return err_new(
                    reterr, ERR_USAGE,
                    "%s of '%s': namespaces of two different containers cannot be joined", kind,
                    target);
        strv_addf(&k->joins, "%d:%s", (int)ns, c->id);
        *user_of = k->joins.v[k->joins.n - 1] + strcspn(k->joins.v[k->joins.n - 1], ":") + 1;
        return 0;
}

/* The other container of "container:X"; its process is looked for at the start. A namespace belongs to a user namespace, and only who is in
 * that one has any power over it: so X's is joined as well. */
static int find_joins(struct creation *k, struct run_options *o, const char **user_of,
                      struct err **reterr)
{
        const struct {
                const char *option;
                enum spec_ns ns;
                const char *kind;
        } all[] = {
            {o->userns, SPEC_NS_USER, "the user namespace"},
            {o->pid, SPEC_NS_PID, "the processes"},
            {o->network, SPEC_NS_NET, "the network"},
            {o->ipc, SPEC_NS_IPC, "the IPC objects"},
            {o->uts, SPEC_NS_UTS, "the host name"},
        };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(all) && r >= 0; i++)
                r = join_one(k, all[i].option, all[i].ns, all[i].kind, user_of, reterr);
        if (r < 0 || !*user_of)
                return r;
        if (container_join_target(o->userns))
                o->userns = NULL; /* the maps are X's: there is nothing to plan */
        if (o->userns || o->uidmap.n > 0 || o->gidmap.n > 0)
                return err_new(reterr, ERR_USAGE,
                               "namespaces of another container come with its ids: leave out "
                               "--userns, --uidmap and --gidmap");
        if (!str_starts(k->joins.v[0], "0:")) /* SPEC_NS_USER */
                strv_addf(&k->joins, "%d:%s", (int)SPEC_NS_USER, *user_of);
        return 0;
}

static void copy_map(struct id_map *to, const struct id_map *from)
{
        id_map_release(to);
        for (size_t i = 0; i < from->n; i++)
                id_map_add(to, from->v[i].inside, from->v[i].outside, from->v[i].count);
}

static int copy_from(struct creation *k, const char *id, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO(spec_freep) struct spec *other = NULL;
        int r = container_find(k->d, id, &c, reterr);

        if (r >= 0)
                r = container_read_spec(c->dir_fd, &other, reterr);
        if (r < 0)
                return r;
        copy_map(&k->spec->uid_map, &other->uid_map);
        copy_map(&k->spec->gid_map, &other->gid_map);
        k->spec->ns[SPEC_NS_USER].enabled = other->ns[SPEC_NS_USER].enabled;
        /* For /etc/hostname and /etc/hosts, which are our own. */
        if (container_join_target(k->o->uts))
                k->spec->hostname = xstrdup(other->hostname);
        return 0;
}

/* ---- layers ---- */

/* The layers' directories for the container's maps. Those that have to be made first are added to @missing. */
static int layer_paths(struct creation *k, const struct image *image, struct strv *ret,
                       struct strv *missing, struct err **reterr)
{
        strv_release(ret);
        for (size_t i = 0; i < image->layers.n; i++) {
                AUTO_FREE char *path = NULL;
                int r = store_layer_path(k->d, image->layers.v[i], &k->to_uid, &k->to_gid, &path,
                                         reterr);

                if (r == -ENOENT && (!reterr || !*reterr))
                        strv_add(missing, image->layers.v[i]);
                else if (r < 0)
                        return r;
                else
                        strv_add(ret, path);
        }
        return 0;
}

int creation_layers(struct creation *k, const struct image *image, struct strv *ret,
                    struct err **reterr)
{
        AUTO_STRV missing = {0}, still = {0};
        int r = layer_paths(k, image, ret, &missing, reterr);

        if (r < 0 || missing.n == 0)
                return r;
        r = image_job_reown(k->d, &missing, &k->to_uid, &k->to_gid, reterr);
        if (r >= 0)
                r = layer_paths(k, image, ret, &still, reterr);
        if (r >= 0 && still.n > 0)
                r = err_new(reterr, ERR_NOT_FOUND, "layer %.12s vanished", still.v[0]);
        return r < 0 ? err_wrap(reterr, r, "image '%s'", k->o->image) : 0;
}

int creation_flatten(struct creation *k, const struct image *image, const char *target,
                     struct err **reterr)
{
        int r = image_job_flatten(k->d, &image->layers, &k->to_uid, &k->to_gid, target, reterr);

        return r < 0 ? err_wrap(reterr, r, "copy image '%s'", image->id) : 0;
}

/* The image's files as one directory of the container's own: the last resort where nothing can be mounted. */
static int copy_layers(struct creation *k, struct err **reterr)
{
        AUTO_FREE char *target = xasprintf("tmp/%s/rootfs", k->tmp.id);
        int r;

        if (mkdirat(k->tmp.fd, "rootfs", 0755) < 0)
                return err_sys(reterr, errno, "make the root file system");
        r = creation_flatten(k, k->image, target, reterr);
        if (r < 0)
                return r;
        k->spec->root_kind = SPEC_ROOT_DIRECTORY;
        free(k->spec->root_path);
        k->spec->root_path = xasprintf("%s/%s/rootfs", CONTAINERS, k->tmp.id);
        return 0;
}

static int use_rootfs(struct creation *k, struct err **reterr)
{
        AUTO_FREE char *path = path_make_absolute(k->o->rootfs, reterr);
        AUTO_CLOSE int fd = -EBADF;

        if (!path)
                return -ENOENT;
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_sys(reterr, errno, "root file system '%s'", k->o->rootfs);
        k->spec->root_kind = SPEC_ROOT_DIRECTORY;
        free(k->spec->root_path);
        k->spec->root_path = TAKE_PTR(path);
        return 0;
}

/* From the container to the caller's namespace: by these its layers are stored. */
static void compose_maps(struct creation *k, const struct idmap_userns *u)
{
        const struct spec *s = k->spec;

        if (s->uid_map.n == 0) {
                copy_map(&k->to_uid, &u->uid);
                copy_map(&k->to_gid, &u->gid);
                return;
        }
        k->to_uid = id_map_compose(&s->uid_map, &u->uid);
        k->to_gid = id_map_compose(&s->gid_map, &u->gid);
}

static int use_image(struct creation *k, struct err **reterr)
{
        struct spec *s = k->spec;
        AUTO(storage_info_freep) struct storage_info *storage = NULL;
        int r = storage_probe(k->d, k->o->storage_driver, &storage, reterr);

        if (r < 0)
                return r;
        k->driver = xstrdup(storage->driver);
        free(s->storage_driver);
        s->storage_driver = xstrdup(storage->driver);
        if (strcmp(k->driver, "copy") == 0)
                return copy_layers(k, reterr);
        s->root_kind = SPEC_ROOT_LAYERS;
        s->upper = xasprintf("%s/%s/upper", CONTAINERS, k->tmp.id);
        s->work = xasprintf("%s/%s/work", CONTAINERS, k->tmp.id);
        s->volatile_upper = k->o->rm;
        return creation_layers(k, k->image, &s->layers, reterr);
}

int creation_spec(struct creation *k, struct err **reterr)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        struct run_options o = *k->o; /* a view: the strings stay the caller's */
        const char *user_of = NULL;
        int r;

        r = read_image(k, reterr);
        if (r >= 0)
                r = creation_mounts(k, reterr);
        if (r >= 0)
                r = creation_cdi(k, &o, reterr);
        o.mounts = k->mounts;
        o.n_mounts = k->n_mounts;
        if (r >= 0)
                r = find_joins(k, &o, &user_of, reterr);
        if (r >= 0)
                r = idmap_userns_open(k->d, &u, reterr);
        if (r >= 0)
                r = spec_build(&o, &k->config, k->tmp.id, &k->spec, reterr);
        if (r >= 0)
                r = user_of ? copy_from(k, user_of, reterr) : creation_ids(k, &o, u, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < k->joins.n; i++)
                k->spec->ns[k->joins.v[i][0] - '0'].enabled = true;
        k->spec->rootless_one_id = u->tier == IDMAP_TIER_ONE;
        compose_maps(k, u);
        if (k->o->infra)
                return creation_infra_root(k, reterr);
        return k->o->rootfs ? use_rootfs(k, reterr) : use_image(k, reterr);
}
