/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_mounts — which mounts a container has: those that the user named, those of other containers (--volumes-from), and a volume for
 * every VOLUME of the image. In that order of precedence, one for each place.
 */
#include "base/err.h"
#include "base/path.h"
#include "base/random_id.h"
#include "container/container_internal.h"
#include "volume/volume.h"

#include <string.h>

struct run_mount *creation_mount_add(struct creation *k)
{
        k->mounts = xrealloc(k->mounts, k->n_mounts + 1, sizeof(*k->mounts));
        k->mounts[k->n_mounts] = (struct run_mount){0};
        return &k->mounts[k->n_mounts++];
}

bool creation_mount_taken(const struct creation *k, const char *target)
{
        for (size_t i = 0; i < k->n_mounts; i++) {
                AUTO_FREE char *there = path_clean(k->mounts[i].target);

                if (strcmp(there, target) == 0)
                        return true;
        }
        return false;
}

static void name_anonymous(struct run_mount *m)
{
        char id[RANDOM_ID_LEN + 1];

        random_id(id);
        m->source = xstrdup(id);
        m->anonymous = true;
}

static int add_users(struct creation *k, struct err **reterr)
{
        for (size_t i = 0; i < k->o->n_mounts; i++) {
                struct run_mount *m = creation_mount_add(k);
                int r = 0;

                run_mount_copy(&k->o->mounts[i], m);
                if (m->type == RUN_MOUNT_VOLUME && !m->source)
                        name_anonymous(m);
                else if (m->type == RUN_MOUNT_VOLUME)
                        r = volume_check_name(m->source, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "mount '%s'", m->target);
        }
        return 0;
}

/* ---- of other containers ---- */

static int read_mount(const struct dirs *d, const struct json_at *at, struct run_mount *m,
                      struct err **reterr)
{
        AUTO(volume_freep) struct volume *v = NULL;
        const char *type = "", *name = NULL, *source = NULL, *target = NULL, *subpath = NULL;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_get_string(at, "Type", &type, reterr)) < 0 ||
            (r = json_get_string(at, "Destination", &target, reterr)) < 0 ||
            (r = json_opt_string(at, "Name", &name, reterr)) < 0 ||
            (r = json_opt_string(at, "Source", &source, reterr)) < 0 ||
            (r = json_opt_string(at, "Subpath", &subpath, reterr)) < 0 ||
            (r = json_opt_strv(at, "Options", &m->options, reterr)) < 0)
                return r;
        if (strcmp(type, "volume") == 0 && name) {
                m->type = RUN_MOUNT_VOLUME;
                m->source = xstrdup(name);
                if (volume_load(d, name, &v, NULL) >= 0)
                        m->anonymous = volume_is_anonymous(v);
        } else if (strcmp(type, "bind") == 0 && source) {
                m->type = RUN_MOUNT_BIND;
                m->source = xstrdup(source);
        } else {
                return 0; /* a tmpfs is its container's own */
        }
        m->target = xstrdup(target);
        m->subpath = xstrdup(subpath);
        m->implied = m->no_copy = true;
        return 1;
}

/* "ro", "rw", and what says nothing here. */
static int read_mode(const char *value, const char *mode, bool *ret_readonly, struct err **reterr)
{
        static const char *const idle[] = {"rw", "z", "Z", "nocopy", "rprivate", "private"};
        AUTO_STRV words = {0};

        strv_split(&words, mode, ',');
        for (size_t i = 0; i < words.n; i++) {
                bool known = strcmp(words.v[i], "ro") == 0;

                *ret_readonly = *ret_readonly || known;
                for (size_t n = 0; n < ARRAY_SIZE(idle) && !known; n++)
                        known = strcmp(idle[n], words.v[i]) == 0;
                if (!known)
                        return err_new(reterr, ERR_USAGE, "--volumes-from '%s': unknown mode '%s'",
                                       value, words.v[i]);
        }
        return 0;
}

static int add_from(struct creation *k, const char *value, struct err **reterr)
{
        const char *colon = strchr(value, ':');
        AUTO_FREE char *name = xstrndup(value, colon ? (size_t)(colon - value) : strlen(value));
        AUTO(container_freep) struct container *c = NULL;
        struct json_at root, mounts;
        bool readonly = false;
        size_t n = 0;
        int r = colon ? read_mode(value, colon + 1, &readonly, reterr) : 0;

        if (r < 0)
                return r;
        r = container_find(k->d, name, &c, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "--volumes-from '%s'", value);
        root = json_root(c->config, CONFIG_FILE);
        mounts = json_key(&root, "Mounts");
        if (mounts.obj)
                r = json_want_array(&mounts, 65536, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                AUTO(run_mount_release) struct run_mount m = {0};
                struct json_at at = json_elem(&mounts, i);

                r = read_mount(k->d, &at, &m, reterr);
                if (r <= 0 || creation_mount_taken(k, m.target))
                        continue;
                if (readonly)
                        strv_add(&m.options, "ro");
                *creation_mount_add(k) = m;
                m = (struct run_mount){0};
        }
        return r < 0 ? err_wrap(reterr, r, "--volumes-from '%s'", value) : 0;
}

/* ---- of the image ---- */

static int add_images(struct creation *k, struct err **reterr)
{
        const char *how = k->o->image_volume ? k->o->image_volume : "anonymous";
        bool ignore = strcmp(how, "ignore") == 0, tmpfs = strcmp(how, "tmpfs") == 0;
        int r;

        if (!ignore && !tmpfs && strcmp(how, "anonymous") != 0 && strcmp(how, "bind") != 0) {
                r = err_new(reterr, ERR_USAGE, "--image-volume: unknown kind '%s'", how);
                return err_hint(reterr, r, "one of: anonymous, tmpfs, ignore");
        }
        for (size_t i = 0; i < k->config.volumes.n && !ignore; i++) {
                /* Images do have relative ones; Docker takes them from the root. */
                AUTO_FREE char *joined = path_join("/", k->config.volumes.v[i]);
                AUTO_FREE char *target = path_clean(joined);
                struct run_mount *m;

                if (strcmp(target, "/") == 0 || creation_mount_taken(k, target))
                        continue;
                m = creation_mount_add(k);
                m->type = tmpfs ? RUN_MOUNT_TMPFS : RUN_MOUNT_VOLUME;
                m->target = TAKE_PTR(target);
                m->implied = true;
                if (tmpfs) {
                        strv_add(&m->options, "exec");
                        strv_add(&m->options, "tmpcopyup");
                } else {
                        name_anonymous(m);
                }
        }
        return 0;
}

int creation_mounts(struct creation *k, struct err **reterr)
{
        int r = volume_check_driver(k->o->volume_driver, reterr);

        if (r >= 0)
                r = add_users(k, reterr);
        /* The last one named wins. */
        for (size_t i = k->o->volumes_from.n; r >= 0 && i > 0; i--)
                r = add_from(k, k->o->volumes_from.v[i - 1], reterr);
        if (r >= 0)
                r = add_images(k, reterr);
        return r;
}
