/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "container/container_internal.h"
#include "events/events.h"

static bool is_down(const struct container *c)
{
        return c->status == CONTAINER_CREATED || c->status == CONTAINER_EXITED ||
               c->status == CONTAINER_DEAD;
}

static int prune_one(const struct dirs *d, struct container *c, struct err **reterr)
{
        const struct container_remove_opts o = {.timeout_s = -1};
        AUTO_ERR struct err *e = NULL;
        int r = container_remove(d, c, &o, &e);

        /* Started, or removed by somebody else, since we looked. */
        if (r < 0 && (err_kind(e) == ERR_BUSY || err_kind(e) == ERR_NOT_FOUND))
                return 0;
        return r < 0 ? err_move(reterr, r, &e) : 1;
}

/* @v: those to remove. All are measured first, at once: one process in U, not one for each. */
static int prune_all(const struct dirs *d, struct container **v, size_t n, struct strv *ret_ids,
                     uint64_t *ret_bytes, struct err **reterr)
{
        AUTO_FREE uint64_t *sizes = NULL;
        AUTO_STRV paths = {0};
        int r;

        for (size_t i = 0; i < n; i++)
                strv_add_take(&paths, container_upper_path(v[i]->id));
        r = measure_trees(d, &paths, &sizes, reterr);
        for (size_t i = 0; i < n && r >= 0; i++) {
                FAULT_POINT("prune-container");
                r = prune_one(d, v[i], reterr);
                if (r <= 0)
                        continue;
                strv_add(ret_ids, v[i]->id);
                *ret_bytes += sizes[i] == UINT64_MAX ? 0 : sizes[i];
        }
        return r < 0 ? r : 0;
}

int containers_prune(const struct dirs *d, char *const *filters, struct strv *ret_ids,
                     uint64_t *ret_bytes, struct err **reterr)
{
        AUTO(container_filter_freep) struct container_filter *f = NULL;
        struct container **all = NULL;
        AUTO_FREE struct container **down = NULL;
        size_t n = 0, n_down = 0;
        int r = container_prune_filter_parse(d, filters, &f, reterr);

        *ret_bytes = 0;
        if (r >= 0)
                r = container_list(d, &all, &n, reterr);
        if (r < 0)
                return r;
        down = xcalloc(n + 1, sizeof(struct container *));
        for (size_t i = 0; i < n; i++) {
                if (!all[i]->is_infra && is_down(all[i]) && container_filter_match(f, all[i]))
                        down[n_down++] = all[i];
                container_config_drop(all[i]);
        }
        r = prune_all(d, down, n_down, ret_ids, ret_bytes, reterr);
        container_list_free(all, n);
        if (ret_ids->n > 0)
                event_emit_prune(d, "container", *ret_bytes);
        return r;
}
