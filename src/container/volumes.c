/* SPDX-License-Identifier: Apache-2.0 */
#include "container/volumes.h"

#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "container/container_internal.h"
#include "events/events.h"
#include "volume/volume.h"

#include <string.h>

/* ---- removal ---- */

int volumes_remove(const struct dirs *d, const char *name, struct err **reterr)
{
        struct tmp_dir t = TMP_DIR_NONE;
        int r = volume_check_name(name, NULL) < 0 ? -ENOENT : 0;

        if (r < 0) {
                r = err_new(reterr, ERR_NOT_FOUND, "get %s: no such volume", name);
                return err_hint(reterr, r, "'kelp volume ls' lists those there are");
        }
        r = volume_remove(d, name, NULL, &t, reterr);
        if (r < 0)
                return r;
        /* The lock keeps sweepers away meanwhile. */
        r = container_tmp_delete(d, t.id, true, reterr);
        tmp_dir_close(&t);
        return r < 0 ? err_wrap(reterr, r, "remove volume '%s'", name) : 0;
}

/* ---- filters ---- */

struct volume_filter {
        struct strv names, labels, without;
        struct strv used; /* volumes that containers have; asked for dangling only */
        int dangling;     /* 1, 0; -1: not asked */
        bool other_driver, all;
};

struct volume_filter *volume_filter_free(struct volume_filter *f)
{
        if (!f)
                return NULL;
        strv_release(&f->names);
        strv_release(&f->labels);
        strv_release(&f->without);
        strv_release(&f->used);
        free(f);
        return NULL;
}

static int filter_bool(const char *key, const char *value, bool *ret, struct err **reterr)
{
        if (parse_bool(value, ret) < 0)
                return err_new(reterr, ERR_USAGE, "filter %s: '%s' is not a truth value", key,
                               value);
        return 0;
}

static int add_filter(struct volume_filter *f, const char *text, bool prune, struct err **reterr)
{
        const char *eq = strchr(text, '=');
        AUTO_FREE char *key = eq ? xstrndup(text, (size_t)(eq - text)) : NULL;
        bool on = false;
        int r = 0;

        if (!eq)
                return err_new(reterr, ERR_USAGE, "filter '%s' is not of the form KEY=VALUE", text);
        if (strcmp(key, "label") == 0) {
                strv_add(&f->labels, eq + 1);
        } else if (strcmp(key, "label!") == 0) {
                strv_add(&f->without, eq + 1);
        } else if (prune && strcmp(key, "all") == 0) {
                r = filter_bool(key, eq + 1, &f->all, reterr);
        } else if (!prune && strcmp(key, "name") == 0) {
                strv_add(&f->names, eq + 1);
        } else if (!prune && strcmp(key, "driver") == 0) {
                f->other_driver = strcmp(eq + 1, VOLUME_DRIVER) != 0;
        } else if (!prune && strcmp(key, "dangling") == 0) {
                r = filter_bool(key, eq + 1, &on, reterr);
                f->dangling = on;
        } else {
                r = err_new(reterr, ERR_USAGE, "unknown filter '%s'", key);
                return err_hint(reterr, r, "known: %s",
                                prune ? "all label label!" : "dangling driver label label! name");
        }
        return r;
}

int volume_filter_parse(const struct dirs *d, char *const *filters, bool prune,
                        struct volume_filter **ret, struct err **reterr)
{
        AUTO(volume_filter_freep) struct volume_filter *f = xnew(struct volume_filter);
        int r = 0;

        f->dangling = -1;
        for (size_t i = 0; r >= 0 && filters && filters[i]; i++)
                r = add_filter(f, filters[i], prune, reterr);
        if (r >= 0 && f->dangling >= 0)
                r = volume_used_names(d, &f->used, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

/* "k" or "k=v". */
static bool has_label(const struct volume *v, const char *want)
{
        const char *eq = strchr(want, '='), *value;
        AUTO_FREE char *key = eq ? xstrndup(want, (size_t)(eq - want)) : xstrdup(want);

        value = volume_pair(&v->labels, key);
        return value && (!eq || strcmp(value, eq + 1) == 0);
}

bool volume_filter_match(const struct volume_filter *f, const struct volume *v)
{
        bool named = f->names.n == 0;

        if (f->other_driver ||
            (f->dangling >= 0 && strv_contains(&f->used, v->name) == (f->dangling > 0)))
                return false;
        for (size_t i = 0; i < f->names.n && !named; i++)
                named = strstr(v->name, f->names.v[i]) != NULL;
        for (size_t i = 0; i < f->labels.n && named; i++)
                named = has_label(v, f->labels.v[i]);
        for (size_t i = 0; i < f->without.n && named; i++)
                named = !has_label(v, f->without.v[i]);
        return named;
}

/* ---- size ---- */

int volumes_size(const struct dirs *d, const struct strv *names, uint64_t **ret,
                 struct err **reterr)
{
        AUTO_STRV paths = {0};
        int r;

        for (size_t i = 0; i < names->n; i++)
                strv_add_take(&paths, volume_relative_path(names->v[i]));
        r = measure_trees(d, &paths, ret, reterr);
        return r < 0 ? err_wrap(reterr, r, "measure volumes") : 0;
}

/* ---- listing ---- */

int volumes_list(const struct dirs *d, struct volume ***ret, size_t *ret_n, struct err **reterr)
{
        container_tmp_sweep(d);
        return volume_list(d, ret, ret_n, reterr);
}

/* ---- prune ---- */

static int prune_one(const struct dirs *d, const char *name, struct strv *ret, uint64_t *ret_bytes,
                     struct err **reterr)
{
        AUTO_FREE uint64_t *size = NULL;
        AUTO_ERR struct err *e = NULL;
        AUTO_STRV one = {0};
        int r;

        strv_add(&one, name);
        r = volumes_size(d, &one, &size, &e);
        if (r >= 0)
                r = volumes_remove(d, name, &e);
        /* Taken into use, or removed by somebody else, since we looked. */
        if (r < 0 && (err_kind(e) == ERR_BUSY || err_kind(e) == ERR_NOT_FOUND))
                return 0;
        if (r < 0)
                return err_move(reterr, r, &e);
        strv_add(ret, name);
        *ret_bytes += size[0] == UINT64_MAX ? 0 : size[0];
        return 0;
}

int volumes_prune(const struct dirs *d, bool all, char *const *filters, struct strv *ret,
                  uint64_t *ret_bytes, struct err **reterr)
{
        AUTO(volume_filter_freep) struct volume_filter *f = NULL;
        AUTO_STRV used = {0};
        struct volume **v = NULL;
        size_t n = 0;
        int r = volume_filter_parse(d, filters, true, &f, reterr);

        *ret_bytes = 0;
        /* The list first: what is made after it is not removed. */
        if (r >= 0)
                r = volumes_list(d, &v, &n, reterr);
        if (r >= 0)
                r = volume_used_names(d, &used, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                if ((all || f->all || volume_is_anonymous(v[i])) && volume_filter_match(f, v[i]) &&
                    !strv_contains(&used, v[i]->name))
                        r = prune_one(d, v[i]->name, ret, ret_bytes, reterr);
        }
        volume_list_free(v, n);
        if (ret->n > 0)
                event_emit_prune(d, "volume", *ret_bytes);
        return r;
}
