/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_volumes — the volumes of a new container: made, filled with what the image has at their place, and held until the container is
 * committed, so that none of them can be removed meanwhile (volume/volume.h). Then overlays: images as mounts, and the option O.
 *
 * What is made for this container alone is listed in its directory (VOLUME_LIST) before it is made: whoever deletes the directory, be it
 * the remover of the container or a sweeper after a killed maker, takes them along.
 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "container/container_internal.h"
#include "image/image_job.h"
#include "image/merged.h"
#include "image/store.h"
#include "volume/volume.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOLD_ATTEMPTS 16

static int write_list(struct creation *k, struct err **reterr)
{
        AUTO_STRBUF text = {0};
        AUTO_CLOSE int fd = -EBADF;
        int r;

        for (size_t i = 0; i < k->n_mounts; i++) {
                if (k->mounts[i].type == RUN_MOUNT_VOLUME && k->mounts[i].anonymous)
                        strbuf_addf(&text, "%s\n", k->mounts[i].source);
        }
        if (text.len == 0)
                return 0;
        fd = openat(k->tmp.fd, VOLUME_LIST, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        r = fd < 0 ? -errno : io_write_full(fd, text.data, text.len);
        if (r >= 0 && !k->o->rm && fsync(fd) < 0)
                r = -errno;
        FAULT_POINT("volumes-listed");
        return r < 0 ? err_sys(reterr, -r, "write the list of its volumes") : 0;
}

/* ---- what the image has there ---- */

/* -ENOENT: certainly nothing. Whatever else it is, kelp-image has to look. */
static int look_at_image(struct creation *k, const char *target)
{
        AUTO_FREE int *fds = xcalloc(k->spec->layers.n + 1, sizeof(int));
        size_t n = 0, have = k->spec->layers.n, got = 0;
        int r = 0;

        for (; n < have && r >= 0; n++) {
                fds[n] =
                    openat(k->d->root_fd, k->spec->layers.v[n], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                r = fds[n] < 0 ? -errno : 0;
        }
        if (r >= 0) {
                AUTO_FREE int *found = xcalloc(have + 1, sizeof(int));

                r = merged_lookup(fds, have, target, found, &got);
                for (size_t i = 0; i < got; i++)
                        (void)fd_close(found[i]);
        }
        while (n > 0)
                (void)fd_close(fds[--n]);
        return r;
}

/* The container's root, as U sees it: to whom the volume belongs when the image does not say. */
static void root_in_u(const struct creation *k, uint32_t *uid, uint32_t *gid)
{
        *uid = *gid = 0;
        if (!k->spec->ns[SPEC_NS_USER].enabled || k->spec->uid_map.n == 0)
                return;
        /* The caller's own id, where the container knows it, is the one that a container of his can use. */
        if (id_map_to_inside(&k->spec->uid_map, 0) != ID_NONE)
                return;
        *uid = id_map_to_outside(&k->spec->uid_map, 0);
        *gid = id_map_to_outside(&k->spec->gid_map, 0);
        *uid = *uid != ID_NONE ? *uid : k->spec->uid_map.v[0].outside;
        *gid = *gid != ID_NONE ? *gid : k->spec->gid_map.v[0].outside;
}

static int fill(struct creation *k, const struct run_mount *m, struct err **reterr)
{
        AUTO_JSON *request = json_object_new_object();
        AUTO_CLOSE int root = -EBADF;
        struct image_job job = IMAGE_JOB_INIT("volume-fill");
        uint32_t uid, gid;
        int r;

        root_in_u(k, &uid, &gid);
        if (k->spec->root_kind == SPEC_ROOT_LAYERS && uid == 0 &&
            look_at_image(k, m->target) == -ENOENT)
                return 0;
        if (k->spec->root_kind == SPEC_ROOT_DIRECTORY) {
                root = openat(k->tmp.fd, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (root < 0)
                        root = open(k->spec->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (root < 0)
                        return err_sys(reterr, errno, "open '%s'", k->spec->root_path);
                job.in_fd = root;
        } else {
                (void)json_object_object_add(request, "layers", json_from_strv(&k->spec->layers));
        }
        json_add_string(request, "path", m->target);
        json_add_string(request, "volume", m->source);
        json_add_uint(request, "uid", uid);
        json_add_uint(request, "gid", gid);
        job.request = request;
        r = image_job_run(k->d, &job, NULL, reterr);
        return r < 0 ? err_wrap(reterr, r, "fill volume '%s' with what the image has in '%s'",
                                m->source, m->target)
                     : 0;
}

/* ---- volumes ---- */

static struct spec_mount *find_spec_mount(struct creation *k, const char *target)
{
        AUTO_FREE char *clean = path_clean(target);

        for (size_t i = 0; i < k->spec->n_mounts; i++) {
                if (strcmp(k->spec->mounts[i].destination, clean) == 0)
                        return &k->spec->mounts[i];
        }
        return NULL;
}

/* Options of the volume come before those of the mount, which win. */
static int use_options(struct creation *k, const struct run_mount *m, struct volume_mount *v,
                       struct err **reterr)
{
        struct spec_mount *to = find_spec_mount(k, m->target);

        if (!to || v->kind == VOLUME_KIND_DIRECTORY)
                return 0;
        if (m->overlay || m->subpath)
                return err_new(reterr, ERR_USAGE,
                               "volume '%s': O and subpath need a volume without a type of its own",
                               m->source);
        if (v->kind == VOLUME_KIND_TMPFS && m->chown)
                return err_new(reterr, ERR_USAGE,
                               "volume '%s': U has nothing to change in an empty tmpfs: give "
                               "the volume the options uid= and gid=",
                               m->source);
        free(to->source);
        to->file = false;
        if (v->kind == VOLUME_KIND_TMPFS) {
                free(to->type);
                to->type = xstrdup("tmpfs");
                to->source = xstrdup("tmpfs");
                strv_release(&to->options);
                strv_add(&to->options, "nosuid");
                strv_add(&to->options, "nodev");
                strv_copy(&to->options, &v->options);
                strv_copy(&to->options, &m->options);
        } else {
                AUTO_STRV own = to->options;

                to->source = TAKE_PTR(v->device);
                to->options = (struct strv){0};
                strv_copy(&to->options, &v->options);
                strv_copy(&to->options, &own);
        }
        return 0;
}

/* The lock of it; the first to have it fills it. -ENOENT (ERR_NOT_FOUND): it went meanwhile. */
static int hold(struct creation *k, const struct run_mount *m, int *ret_lock, struct err **reterr)
{
        AUTO(volume_mount_release) struct volume_mount options = {0};
        AUTO(volume_freep) struct volume *v = NULL;
        AUTO_CLOSE int lock = -EBADF;
        bool first = false;
        int r = volume_hold(k->d, m->source, &lock, &first, reterr);

        if (r < 0)
                return r;
        if ((r = volume_load(k->d, m->source, &v, reterr)) < 0 ||
            (r = volume_mount_parse(&v->options, &options, reterr)) < 0)
                return r;
        if (first && options.kind == VOLUME_KIND_DIRECTORY && !m->no_copy && !m->subpath)
                r = fill(k, m, reterr);
        FAULT_POINT("volume-filled");
        if (r >= 0 && first)
                r = volume_first_use_done(k->d, m->source, lock, reterr);
        if (r >= 0)
                r = use_options(k, m, &options, reterr);
        if (r >= 0)
                *ret_lock = TAKE_FD(lock);
        return r;
}

static int take_volume(struct creation *k, const struct run_mount *m, int *ret_lock,
                       struct err **reterr)
{
        struct volume_create_opts o = {.name = m->source,
                                       .anonymous = m->anonymous,
                                       .quick = m->anonymous && k->o->rm,
                                       .labels = &m->volume_labels,
                                       .options = &m->volume_options};
        /* Another container's must be there; nobody is given an empty one in its place. */
        bool make = !(m->implied && m->no_copy);

        for (int i = 0; i < HOLD_ATTEMPTS; i++) {
                AUTO_ERR struct err *e = NULL;
                AUTO_FREE char *name = NULL;
                int r = make ? volume_create(k->d, &o, &name, NULL, &e) : 0;

                if (r >= 0)
                        r = hold(k, m, ret_lock, &e);
                if (r >= 0)
                        return 0;
                if (err_kind(e) != ERR_NOT_FOUND || !make || i == HOLD_ATTEMPTS - 1)
                        return err_move(reterr, r, &e);
        }
        return -EBUSY; /* not reached */
}

/* ---- overlays ---- */

/* Directories for what is changed; a start makes what is in them, since it begins with empty ones. */
static int add_upper(struct creation *k, struct spec_mount *to, size_t n, struct err **reterr)
{
        AUTO_FREE char *dir = xasprintf("mounts/%zu", n);

        if ((mkdirat(k->tmp.fd, "mounts", 0700) < 0 && errno != EEXIST) ||
            mkdirat(k->tmp.fd, dir, 0700) < 0)
                return err_sys(reterr, errno, "mount '%s': make a directory", to->destination);
        to->upper = xasprintf("%s/%s/%s/upper", CONTAINERS, k->tmp.id, dir);
        to->work = xasprintf("%s/%s/%s/work", CONTAINERS, k->tmp.id, dir);
        return 0;
}

/* Without an overlay the image's files are copied for this container. */
static int copy_image(struct creation *k, const struct image *image, struct spec_mount *to,
                      size_t n, struct err **reterr)
{
        AUTO_FREE char *dir = xasprintf("mounts/%zu", n);
        AUTO_FREE char *target = xasprintf("tmp/%s/%s", k->tmp.id, dir);
        int r;

        if ((mkdirat(k->tmp.fd, "mounts", 0700) < 0 && errno != EEXIST) ||
            mkdirat(k->tmp.fd, dir, 0755) < 0)
                return err_sys(reterr, errno, "mount '%s': make a directory", to->destination);
        r = creation_flatten(k, image, target, reterr);
        if (r < 0)
                return r;
        free(to->type);
        free(to->source);
        to->type = xstrdup("bind");
        to->source = xasprintf("%s/%s/%s", CONTAINERS, k->tmp.id, dir);
        to->file = true;
        strv_add(&to->options, "rprivate");
        return 0;
}

static int mount_image(struct creation *k, const struct run_mount *m, struct spec_mount *to,
                       size_t n, bool overlay, struct err **reterr)
{
        AUTO(image_freep) struct image *image = NULL;
        int r = store_resolve(k->d, m->source, &image, reterr);

        if (r < 0)
                return r;
        strv_add(&k->mounted_images, image->id);
        strv_copy(&k->mounted_layers, &image->layers);
        if (!overlay)
                return copy_image(k, image, to, n, reterr);
        r = creation_layers(k, image, &to->layers, reterr);
        if (r >= 0 && !strv_contains(&m->options, "ro"))
                r = add_upper(k, to, n, reterr);
        return r;
}

static int make_overlays(struct creation *k, struct err **reterr)
{
        bool overlay = !k->driver || strcmp(k->driver, "overlay") == 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < k->n_mounts; i++) {
                const struct run_mount *m = &k->mounts[i];
                struct spec_mount *to = find_spec_mount(k, m->target);

                if (!to)
                        continue;
                if (m->type == RUN_MOUNT_IMAGE) {
                        r = mount_image(k, m, to, i, overlay, reterr);
                } else if (m->overlay && !overlay) {
                        r = err_new(reterr, ERR_UNSUPPORTED,
                                    "option O: users cannot mount the kernel's overlay here");
                        (void)err_hint(reterr, r,
                                       "'kelp info' says why; copy the directory instead");
                } else if (m->overlay && !m->upper) {
                        r = add_upper(k, to, i, reterr);
                }
                if (r < 0)
                        return err_wrap(reterr, r, "mount '%s'", m->target);
        }
        return r;
}

/* ---- all ---- */

int creation_volumes(struct creation *k, struct err **reterr)
{
        int r = write_list(k, reterr);

        k->volume_locks = xcalloc(k->n_mounts + 1, sizeof(int));
        for (size_t i = 0; r >= 0 && i < k->n_mounts; i++) {
                if (k->mounts[i].type != RUN_MOUNT_VOLUME)
                        continue;
                r = take_volume(k, &k->mounts[i], &k->volume_locks[k->n_volume_locks], reterr);
                k->n_volume_locks += r >= 0;
        }
        return r < 0 ? r : make_overlays(k, reterr);
}

void creation_let_volumes_go(struct creation *k)
{
        while (k->n_volume_locks > 0)
                (void)fd_close(k->volume_locks[--k->n_volume_locks]);
}

void creation_volumes_release(struct creation *k)
{
        creation_let_volumes_go(k);
        free(k->volume_locks);
        for (size_t i = 0; i < k->n_mounts; i++)
                run_mount_release(&k->mounts[i]);
        free(k->mounts);
}
