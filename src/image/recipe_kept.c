/* SPDX-License-Identifier: Apache-2.0 */
#include "image/recipe.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/err.h"
#include "image/tar.h"

struct kept {
        char *path;
        uint64_t after; /* NODE records before it */
        uint64_t k;
};
struct recipe_kept {
        struct kept *v; /* sorted by path, then by after */
        size_t n, cap;
};

static int compare(const void *a, const void *b)
{
        const struct kept *x = a, *y = b;
        int r = strcmp(x->path, y->path);

        return r != 0 ? r : (x->after > y->after) - (x->after < y->after);
}

static int collect(struct recipe_kept *k, struct recipe_reader *r, struct err **reterr)
{
        struct recipe_record rec;
        uint64_t nodes = 0;

        for (;;) {
                int e = recipe_next(r, &rec, reterr);

                if (e < 0 || rec.type == RECIPE_END)
                        return e;
                nodes += rec.type == RECIPE_NODE;
                if (rec.type != RECIPE_KEPT)
                        continue;
                if (k->n >= RECIPE_MAX_KEPT)
                        return err_new(reterr, ERR_INVALID, "the layer's recipe is damaged");
                if (k->n == k->cap) {
                        k->cap = k->cap ? k->cap * 2 : 16;
                        k->v = xrealloc(k->v, k->cap, sizeof(*k->v));
                }
                k->v[k->n++] = (struct kept){xstrdup(rec.node.path), nodes, rec.k};
        }
}

int recipe_kept_load(int layer_fd, struct recipe_kept **ret, struct err **reterr)
{
        AUTO(recipe_kept_freep) struct recipe_kept *k = xnew(struct recipe_kept);
        struct stat st;

        /* Usual layers kept nothing: no pass over the recipe. */
        if (fstatat(layer_fd, RECIPE_KEPT_DIR, &st, AT_SYMLINK_NOFOLLOW) == 0) {
                AUTO(recipe_reader_freep) struct recipe_reader *r = NULL;
                int e = recipe_open(layer_fd, &r, reterr);

                if (e == 0)
                        e = collect(k, r, reterr);
                if (e < 0)
                        return e;
                if (k->n > 0)
                        qsort(k->v, k->n, sizeof(*k->v), compare);
        }
        *ret = TAKE_PTR(k);
        return 0;
}

/* The first move of exactly this path (its first @len bytes) after the record. */
static const struct kept *find_exact(const struct recipe_kept *k, uint64_t ordinal,
                                     const char *path, size_t len)
{
        size_t low = 0, high = k->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                const struct kept *m = &k->v[mid];
                int c = strncmp(m->path, path, len);

                if (c == 0)
                        c = m->path[len] != '\0';
                if (c < 0 || (c == 0 && m->after <= ordinal))
                        low = mid + 1;
                else
                        high = mid;
        }
        if (low == k->n || strncmp(k->v[low].path, path, len) != 0 || k->v[low].path[len])
                return NULL;
        return &k->v[low];
}

const char *recipe_kept_find(const struct recipe_kept *k, uint64_t ordinal, const char *path,
                             char *buf, size_t size)
{
        const struct kept *first = NULL;
        size_t moved = 0;

        for (size_t len = 1; k->n > 0 && path[0] && len <= strlen(path); len++) {
                const struct kept *m;

                if (path[len] != '/' && path[len] != '\0')
                        continue;
                m = find_exact(k, ordinal, path, len);
                if (m && (!first || m->after < first->after)) {
                        first = m;
                        moved = len;
                }
        }
        if (!first)
                return NULL;
        (void)snprintf(buf, size, RECIPE_KEPT_DIR "/%llu%s", (unsigned long long)first->k,
                       path + moved);
        return buf;
}

struct recipe_kept *recipe_kept_free(struct recipe_kept *k)
{
        if (!k)
                return NULL;
        for (size_t i = 0; i < k->n; i++)
                free(k->v[i].path);
        free(k->v);
        free(k);
        return NULL;
}

int recipe_each_in_place(int layer_fd,
                         int (*each)(void *arg, const struct recipe_node *n, struct err **reterr),
                         void *arg, struct err **reterr)
{
        AUTO(recipe_reader_freep) struct recipe_reader *recipe = NULL;
        AUTO(recipe_kept_freep) struct recipe_kept *kept = NULL;
        char moved[2 * PATH_MAX];
        uint64_t ordinal = 0;
        int r = recipe_kept_load(layer_fd, &kept, reterr);

        if (r == 0)
                r = recipe_open(layer_fd, &recipe, reterr);
        while (r == 0) {
                struct recipe_record rec;

                r = recipe_next(recipe, &rec, reterr);
                if (r < 0 || rec.type == RECIPE_END)
                        break;
                if (rec.type != RECIPE_NODE)
                        continue;
                if (!recipe_kept_find(kept, ordinal++, rec.node.path, moved, sizeof(moved)))
                        r = each(arg, &rec.node, reterr);
        }
        return r;
}
