/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create — theory of operation (docs/state.md, "Creation and removal")
 *
 *   tmp/<id>/ with its lock → name reserved → everything written → rename to containers/<id> commits → the image is looked at again
 *
 * Killed before the rename, the directory is garbage and its name leads nowhere; after it, the container is complete. The last step
 * is one half of a protocol with rmi, which deletes an image's record first and then looks for containers that use it: one of
 * the two always sees the other.
 */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/random_id.h"
#include "container/container_internal.h"
#include "container/lifetime.h"
#include "container/pod.h"
#include "events/events.h"
#include "image/store.h"
#include "monitor/removal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_ATTEMPTS 64

/* ---- the name ---- */

static int name_conflict(const char *name, const char *id, struct err **reterr)
{
        int r = err_new(reterr, ERR_EXISTS,
                        "the container name '/%s' is already in use by container '%s'", name, id);

        return err_hint(reterr, r, "remove that container first (kelp rm %s), or use --replace",
                        name);
}

static int replace_existing(const struct dirs *d, const char *id, bool of_pod, struct err **reterr)
{
        struct container_remove_opts force = {.force = true, .volumes = true, .timeout_s = -1};
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *e = NULL;
        int r = container_find(d, id, &c, &e);

        if (r < 0 && err_kind(e) == ERR_NOT_FOUND)
                return 0;
        if (r < 0) {
                if (reterr)
                        *reterr = TAKE_PTR(e);
                return r;
        }
        if (c->is_infra && !of_pod)
                return err_hint(reterr, err_new(reterr, ERR_EXISTS, "a pod has that name"),
                                "remove the pod: kelp pod rm %s", c->name);
        if (c->is_infra) {
                AUTO(pod_freep) struct pod *p = NULL;

                r = pod_find(d, id, &p, reterr);
                return r < 0 ? r : pod_remove(d, p, true, -1, reterr);
        }
        return container_remove(d, c, &force, reterr);
}

static int reserve_given(struct creation *k, struct err **reterr)
{
        const char *name = k->o->name[0] == '/' ? k->o->name + 1 : k->o->name;
        char other[65];
        int r = name_check(name, reterr);

        if (r < 0)
                return r;
        for (int i = 0; i < NAME_ATTEMPTS; i++) {
                r = name_reserve(k->d, name, k->tmp.id, other, reterr);
                if (r < 0)
                        return r;
                if (r > 0) {
                        k->name = xstrdup(name);
                        return 0;
                }
                if (!k->o->replace)
                        break;
                r = replace_existing(k->d, other, k->o->infra, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "replace container '%s'", name);
        }
        return name_conflict(name, other, reterr);
}

static int reserve_generated(struct creation *k, struct err **reterr)
{
        for (int i = 0; i < NAME_ATTEMPTS; i++) {
                char name[80], other[65];
                int r;

                random_name(name, sizeof(name) - 16);
                /* Two words make some thousand names: with many containers a piece of the id keeps it short. */
                if (i > 2)
                        (void)snprintf(name + strlen(name), 16, "_%.6s", k->tmp.id + i);
                r = name_reserve(k->d, name, k->tmp.id, other, reterr);
                if (r < 0)
                        return r;
                if (r > 0) {
                        k->name = xstrdup(name);
                        return 0;
                }
        }
        return err_new(reterr, ERR_BUSY, "no free name was found for the container");
}

/* ---- writing and committing ---- */

static int write_json(struct creation *k, const char *name, struct json_object *o,
                      struct err **reterr)
{
        AUTO_CLOSE int fd = openat(k->tmp.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        const char *text;
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "write %s", name);
        r = json_to_text(o, name, &text, reterr);
        if (r < 0)
                return r;
        r = io_write_full(fd, text, strlen(text));
        if (r >= 0 && !k->o->rm && fsync(fd) < 0)
                r = -errno;
        return r < 0 ? err_sys(reterr, -r, "write %s", name) : 0;
}

static int sync_dir(int root_fd, const char *name)
{
        AUTO_CLOSE int fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int move_into_place(struct creation *k, struct err **reterr)
{
        AUTO_FREE char *from = xasprintf("tmp/%s", k->tmp.id);
        AUTO_FREE char *to = xasprintf("%s/%s", CONTAINERS, k->tmp.id);
        AUTO_CLOSE int made = -EBADF;

        if (renameat(k->d->root_fd, from, k->d->root_fd, to) == 0)
                return 0;
        if (errno != ENOENT)
                return err_sys(reterr, errno, "commit the container");
        made = dirs_sub(k->d, CONTAINERS, reterr); /* the first of this store */
        if (made < 0)
                return made;
        if (renameat(k->d->root_fd, from, k->d->root_fd, to) < 0)
                return err_sys(reterr, errno, "commit the container");
        return 0;
}

static int commit(struct creation *k, struct err **reterr)
{
        int r;

        if (!k->o->rm && fsync(k->tmp.fd) < 0)
                return err_sys(reterr, errno, "write the container");
        FAULT_POINT("create-written");
        r = move_into_place(k, reterr);
        if (r < 0)
                return r;
        FAULT_POINT("create-committed");
        if (k->o->rm)
                return 0;
        r = sync_dir(k->d->root_fd, CONTAINERS);
        if (r >= 0)
                r = sync_dir(k->d->root_fd, NAMES);
        if (r >= 0)
                return 0;
        /* What is reported as failed must not be there: back into tmp/, where the caller deletes it. */
        (void)removal_commit(k->d, k->tmp.id, k->name, NULL);
        return err_sys(reterr, -r, "commit the container");
}

static int image_still_there(struct creation *k, struct err **reterr)
{
        const char *gone = NULL;
        int r;

        if (k->image && !store_has_image(k->d, k->image->id))
                gone = k->o->image;
        for (size_t i = 0; i < k->mounted_images.n && !gone; i++) {
                if (!store_has_image(k->d, k->mounted_images.v[i]))
                        gone = k->mounted_images.v[i];
        }
        if (!gone && creation_pod_is_gone(k))
                gone = k->o->pod;
        if (!gone)
                return 0;
        r = removal_commit(k->d, k->tmp.id, k->name, NULL);
        creation_let_volumes_go(k);
        if (r >= 0)
                (void)container_tmp_delete(k->d, k->tmp.id, true, NULL);
        return err_new(reterr, ERR_NOT_FOUND, "%s '%s' was removed meanwhile",
                       gone == k->o->pod ? "pod" : "image", gone);
}

static int write_all(struct creation *k, struct err **reterr)
{
        AUTO_JSON *spec = NULL;
        int r = creation_spec(k, reterr);

        if (r >= 0)
                r = creation_volumes(k, reterr);
        if (r >= 0)
                r = k->o->name ? reserve_given(k, reterr) : reserve_generated(k, reterr);
        if (r >= 0)
                r = creation_secrets(k, reterr);
        if (r >= 0)
                r = creation_files(k, reterr);
        if (r >= 0)
                r = creation_config(k, reterr);
        if (r >= 0)
                r = write_json(k, CONFIG_FILE, k->doc, reterr);
        if (r < 0)
                return r;
        spec = spec_to_json(k->spec);
        return write_json(k, SPEC_FILE, spec, reterr);
}

static void tell_of_creation(const struct creation *k)
{
        event_emit_container(k->d,
                             &(struct event_container){.id = k->tmp.id,
                                                       .name = k->name,
                                                       .image = k->spec->image_name,
                                                       .labels = &k->spec->labels},
                             "create", NULL);
}

static void creation_release(struct creation *k)
{
        tmp_dir_close(&k->tmp);
        free(k->name);
        k->image = image_free(k->image);
        image_config_release(&k->config);
        k->spec = spec_free(k->spec);
        free(k->driver);
        free(k->userns);
        free(k->pod_mode);
        strv_release(&k->volumes_from);
        strv_release(&k->joins);
        creation_volumes_release(k);
        id_map_release(&k->to_uid);
        id_map_release(&k->to_gid);
        strv_release(&k->mounted_images);
        strv_release(&k->cdi_devices);
        strv_release(&k->cdi_env);
        strv_release(&k->cdi_groups);
        strv_release(&k->mounted_layers);
        k->secrets = json_unref(k->secrets);
        k->doc = json_unref(k->doc);
}

int container_create(const struct dirs *d, const struct run_options *o, char ret_id[65],
                     struct strv *warnings, struct err **reterr)
{
        struct creation k = {.d = d,
                             .o = o,
                             .warnings = warnings,
                             .tmp = TMP_DIR_NONE,
                             .created_ns = clock_now_ns()};
        struct run_options member; /* a view: the strings stay the caller's */
        bool committed = false;
        int r = 0;

        if (o->pod) {
                member = *o;
                k.o = &member;
                r = creation_join_pod(&k, &member, reterr);
        }
        if (r < 0) {
                creation_release(&k);
                return r;
        }

        container_tmp_sweep(d);
        r = lifetime_check(o->lifetime, reterr);
        if (r >= 0)
                r = tmp_dir_make(d, &k.tmp, reterr);
        if (r >= 0)
                r = write_all(&k, reterr);
        if (r >= 0)
                r = commit(&k, reterr);
        if (r >= 0) {
                committed = true;
                r = image_still_there(&k, reterr);
        }
        if (r >= 0) {
                (void)snprintf(ret_id, 65, "%s", k.tmp.id);
                tell_of_creation(&k);
        }
        if (r < 0 && !committed && k.tmp.fd >= 0) {
                /* While we hold the lock the name is ours: no one takes it over under our hands. */
                removal_unlink_name(d, k.tmp.id, k.name);
                creation_let_volumes_go(
                    &k); /* its anonymous ones go with it, and who removes them locks them */
                (void)container_tmp_delete(d, k.tmp.id, true, NULL);
        }
        creation_release(&k);
        return r;
}
