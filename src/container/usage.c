/* SPDX-License-Identifier: Apache-2.0 */
#include "container/usage.h"

#include "base/err.h"
#include "container/container_internal.h"
#include "container/volumes.h"
#include "image/store.h"
#include "image/store_usage.h"
#include "volume/volume.h"

#include <stdlib.h>
#include <string.h>

struct usage *usage_free(struct usage *u)
{
        if (!u)
                return NULL;
        image_list_free(u->image_list, u->image_sum.total);
        container_list_free(u->container_list, u->container_sum.total);
        volume_list_free(u->volume_list, u->volume_sum.total);
        free(u->images);
        free(u->containers);
        free(u->volumes);
        free(u);
        return NULL;
}

static int by_name(const void *name, const void *volume)
{
        const struct usage_volume *v = volume;

        return strcmp(name, v->volume->name);
}

/* A container that has one twice is one. */
static void count_links(struct usage *u, const struct json_at *root)
{
        struct json_at mounts = json_key(root, "Mounts");
        AUTO_STRV seen = {0};
        size_t n = 0;

        if (!mounts.obj || json_want_array(&mounts, SIZE_MAX, &n, NULL) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                struct json_at m = json_elem(&mounts, i);
                struct usage_volume *v;
                const char *name = NULL;

                if (json_opt_string(&m, "Name", &name, NULL) < 0 || str_empty(name) ||
                    strv_contains(&seen, name) || u->volume_sum.total == 0)
                        continue;
                strv_add(&seen, name);
                v = bsearch(name, u->volumes, u->volume_sum.total, sizeof(*v), by_name);
                if (v)
                        v->links++;
        }
}

static void count_image(struct usage *u, const struct container *c)
{
        for (size_t i = 0; i < u->image_sum.total; i++) {
                if (strcmp(u->images[i].image->id, c->image_id) == 0)
                        u->images[i].containers++;
        }
}

/* What containers have of the others; @layers: the names of the layers. */
static void count_users(struct usage *u, struct strv *layers)
{
        for (size_t i = 0; i < u->container_sum.total; i++) {
                struct container *c = u->container_list[i];
                struct json_at root = json_root(container_config(c), CONFIG_FILE);

                count_image(u, c);
                if (root.obj) {
                        (void)json_opt_strv(&root, "Layers", layers, NULL);
                        (void)json_opt_strv(&root, "MountedLayers", layers, NULL);
                        count_links(u, &root);
                }
                container_config_drop(c);
        }
}

static int sum_images(const struct dirs *d, struct usage *u, const struct strv *layers,
                      struct err **reterr)
{
        size_t n = u->image_sum.total;
        AUTO_FREE struct store_image_usage *sizes = xcalloc(n + 1, sizeof(*sizes));
        AUTO_FREE size_t *users = xcalloc(n + 1, sizeof(*users));
        struct store_usage sum;
        int r;

        for (size_t i = 0; i < n; i++) {
                users[i] = u->images[i].containers;
                u->image_sum.active += users[i] > 0;
        }
        r = store_usage(d,
                        &(struct store_users){
                            .images = u->image_list, .users = users, .n = n, .layers = layers},
                        sizes, &sum, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "measure images");
        for (size_t i = 0; i < n; i++) {
                u->images[i].size = sizes[i].size;
                u->images[i].shared = sizes[i].shared;
        }
        u->image_sum.bytes = sum.total;
        u->image_sum.reclaimable = sum.reclaimable;
        return 0;
}

/* One of the two: what is @active, and what could go. */
static void sum_add(struct usage_sum *sum, bool active, uint64_t bytes)
{
        sum->active += active;
        sum->bytes += bytes;
        sum->reclaimable += active ? 0 : bytes;
}

static int sum_containers(const struct dirs *d, struct usage *u, struct err **reterr)
{
        AUTO_FREE uint64_t *sizes = NULL;
        AUTO_STRV paths = {0};
        int r;

        for (size_t i = 0; i < u->container_sum.total; i++)
                strv_add_take(&paths, container_upper_path(u->container_list[i]->id));
        r = measure_trees(d, &paths, &sizes, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "measure containers");
        for (size_t i = 0; i < u->container_sum.total; i++) {
                struct usage_container *c = &u->containers[i];
                enum container_status s = c->container->status;

                c->bytes = sizes[i] == UINT64_MAX ? 0 : sizes[i];
                sum_add(&u->container_sum,
                        s == CONTAINER_RUNNING || s == CONTAINER_PAUSED ||
                            s == CONTAINER_RESTARTING,
                        c->bytes);
        }
        return 0;
}

static int sum_volumes(const struct dirs *d, struct usage *u, struct err **reterr)
{
        AUTO_FREE uint64_t *sizes = NULL;
        AUTO_STRV names = {0};
        int r;

        for (size_t i = 0; i < u->volume_sum.total; i++)
                strv_add(&names, u->volume_list[i]->name);
        r = volumes_size(d, &names, &sizes, reterr);
        for (size_t i = 0; r >= 0 && i < u->volume_sum.total; i++) {
                u->volumes[i].bytes = sizes[i] == UINT64_MAX ? 0 : sizes[i];
                sum_add(&u->volume_sum, u->volumes[i].links > 0, u->volumes[i].bytes);
        }
        return r;
}

static int read_lists(const struct dirs *d, struct usage *u, struct err **reterr)
{
        int r;

        if ((r = store_list(d, &u->image_list, &u->image_sum.total, reterr)) < 0 ||
            (r = container_list(d, &u->container_list, &u->container_sum.total, reterr)) < 0 ||
            (r = volumes_list(d, &u->volume_list, &u->volume_sum.total, reterr)) < 0)
                return r;
        u->images = xcalloc(u->image_sum.total + 1, sizeof(*u->images));
        u->containers = xcalloc(u->container_sum.total + 1, sizeof(*u->containers));
        u->volumes = xcalloc(u->volume_sum.total + 1, sizeof(*u->volumes));
        for (size_t i = 0; i < u->image_sum.total; i++)
                u->images[i].image = u->image_list[i];
        for (size_t i = 0; i < u->container_sum.total; i++)
                u->containers[i].container = u->container_list[i];
        for (size_t i = 0; i < u->volume_sum.total; i++)
                u->volumes[i].volume = u->volume_list[i];
        return 0;
}

int usage_read(const struct dirs *d, struct usage **ret, struct err **reterr)
{
        AUTO(usage_freep) struct usage *u = xnew(struct usage);
        AUTO_STRV layers = {0};
        int r = read_lists(d, u, reterr);

        if (r < 0)
                return r;
        count_users(u, &layers);
        if ((r = sum_images(d, u, &layers, reterr)) < 0 || (r = sum_containers(d, u, reterr)) < 0 ||
            (r = sum_volumes(d, u, reterr)) < 0)
                return r;
        *ret = TAKE_PTR(u);
        return 0;
}
