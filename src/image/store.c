/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's reading half. No function here takes a lock: names are files replaced by rename and everything named by a digest
 * never changes, so that a reader sees either the old or the new state of each file, and a file that vanishes between two
 * reads means that the image was removed meanwhile.
 */
#include "image/store.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "image/digest.h"
#include "image/reference.h"
#include "image/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *v)
{
        if (v->n > 1)
                qsort(v->v, v->n, sizeof(*v->v), compare_strings);
}

bool strv_has_sorted(const struct strv *sorted, const char *s)
{
        return sorted->n > 0 && bsearch(&s, sorted->v, sorted->n, sizeof(s), compare_strings);
}

void strv_unique(struct strv *sorted)
{
        size_t n = 0;

        for (size_t i = 0; i < sorted->n; i++) {
                if (n > 0 && strcmp(sorted->v[n - 1], sorted->v[i]) == 0)
                        free(sorted->v[i]);
                else
                        sorted->v[n++] = sorted->v[i];
        }
        for (size_t i = n; i < sorted->n; i++)
                sorted->v[i] = NULL;
        sorted->n = n;
}

int store_names(const struct dirs *d, const char *dir, struct strv *ret, struct err **reterr)
{
        int fd = openat(d->root_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *e;
        DIR *stream;

        if (fd < 0)
                return errno == ENOENT ? 0 : err_sys(reterr, errno, "read %s", dir);
        stream = fdopendir(fd);
        if (!stream) {
                int saved = errno;

                (void)fd_close(fd);
                return err_sys(reterr, saved, "read %s", dir);
        }
        while ((errno = 0, e = readdir(stream)))
                if (e->d_name[0] != '.')
                        strv_add(ret, e->d_name);
        int saved = errno;
        closedir(stream);
        if (saved)
                return err_sys(reterr, saved, "read %s", dir);
        strv_sort(ret);
        return 0;
}

void store_name_release(struct store_name *n)
{
        (void)image_free(n->image);
        free(n->ref);
        free(n->manifest);
        *n = (struct store_name){0};
}

/* In the name proper: a tag may have them. */
static bool has_capitals(const char *name)
{
        const char *slash = strrchr(name, '/');
        const char *last = slash ? slash + 1 : name;

        for (const char *p = name; *p && !(p >= last && (*p == ':' || *p == '@')); p++) {
                if (*p >= 'A' && *p <= 'Z')
                        return true;
        }
        return false;
}

static int no_such_image(const char *name, struct err **reterr)
{
        int r = err_new(reterr, ERR_NOT_FOUND, "no such image: %s", name);

        if (has_capitals(name))
                return err_hint(reterr, r,
                                "names of images are lower case: 'kelp images' lists them");
        return err_hint(reterr, r,
                        "'kelp images' lists what is there; 'kelp load' and 'kelp import' add "
                        "images from files");
}

/* Names a digest as well: "name@sha256:…" is the manifest's, and the tag does not matter. */
static int lookup_digest(const struct dirs *d, const struct reference *r, struct store_name *ret,
                         struct err **reterr)
{
        AUTO(ref_list_release) struct ref_list refs = {0};
        bool exact =
            r->has_domain && strcmp(r->domain, "docker.io") != 0; /* see refs_candidates() */
        int rc = refs_list(d, &refs, reterr);

        if (rc < 0)
                return rc;
        for (size_t i = 0; i < refs.n; i++) {
                AUTO(reference_release) struct reference have = {0};
                AUTO_FREE char *ours = NULL, *theirs = NULL;

                if (strcmp(refs.v[i].manifest, r->digest) != 0 ||
                    reference_parse(refs.v[i].name, &have, NULL) < 0)
                        continue;
                free(have.tag);
                have.tag = NULL;
                struct reference bare = {.domain = r->domain, .path = r->path};
                ours = exact ? reference_format(&bare) : reference_familiar(&bare);
                theirs = exact ? reference_format(&have) : reference_familiar(&have);
                if (strcmp(ours, theirs) != 0)
                        continue;
                rc = run_description_read(d, digest_hex(refs.v[i].image), &ret->image, reterr);
                if (rc <= 0)
                        return rc;
                ret->ref = xstrdup(refs.v[i].name);
                ret->manifest = xstrdup(refs.v[i].manifest);
                return 1;
        }
        return 0;
}

static int lookup_reference(const struct dirs *d, const char *name, struct store_name *ret,
                            struct err **reterr)
{
        AUTO(reference_release) struct reference parsed = {0};
        AUTO_STRV candidates = {0};
        int r;

        if (reference_parse(name, &parsed, NULL) < 0)
                return 0; /* may still be an id; otherwise there is no such image */
        if (parsed.digest)
                return lookup_digest(d, &parsed, ret, reterr);
        r = refs_candidates(name, &candidates, reterr);
        for (size_t i = 0; r >= 0 && i < candidates.n; i++) {
                AUTO(ref_release) struct ref ref = {0};

                r = refs_read(d, candidates.v[i], &ref, reterr);
                if (r <= 0)
                        continue;
                r = run_description_read(d, digest_hex(ref.image), &ret->image, reterr);
                if (r <= 0)
                        continue;
                ret->ref = TAKE_PTR(ref.name);
                ret->manifest = TAKE_PTR(ref.manifest);
                return 1;
        }
        return r < 0 ? r : 0;
}

static int lookup_prefix(const struct dirs *d, const char *name, struct store_name *ret,
                         struct err **reterr)
{
        const char *prefix = str_starts(name, "sha256:") ? name + strlen("sha256:") : name;
        AUTO_STRV ids = {0};
        const char *found = NULL;
        int r;

        if (!digest_is_hex_prefix(name))
                return 0;
        if (strlen(prefix) == 64)
                return run_description_read(d, prefix, &ret->image, reterr);
        r = run_description_ids(d, &ids, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ids.n; i++) {
                if (!str_starts(ids.v[i], prefix))
                        continue;
                if (found) {
                        r = err_new(reterr, ERR_USAGE, "image id '%s' is ambiguous", name);
                        return err_hint(reterr, r, "more than one id begins so: give more digits");
                }
                found = ids.v[i];
        }
        return found ? run_description_read(d, found, &ret->image, reterr) : 0;
}

int store_lookup(const struct dirs *d, const char *name, struct store_name *ret,
                 struct err **reterr)
{
        bool whole_id = str_starts(name, "sha256:") || str_is_hex(name, 64);
        int r;

        *ret = (struct store_name){0};
        r = whole_id ? 0 : lookup_reference(d, name, ret, reterr);
        if (r == 0)
                r = lookup_prefix(d, name, ret, reterr);
        if (r < 0)
                return r;
        return r == 0 ? no_such_image(name, reterr) : 0;
}

int store_resolve(const struct dirs *d, const char *name, struct image **ret, struct err **reterr)
{
        AUTO(store_name_release) struct store_name n = {0};
        int r = store_lookup(d, name, &n, reterr);

        if (r < 0)
                return r;
        *ret = TAKE_PTR(n.image);
        return 0;
}

bool store_has_image(const struct dirs *d, const char *image_id)
{
        const char *hex = digest_hex(image_id);
        AUTO_FREE char *path = NULL;

        if (!hex)
                return false;
        path = xasprintf(STORE_RUN "/%s.json", hex);
        return faccessat(d->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void add_names(struct image *i, const struct ref_list *refs)
{
        for (size_t k = 0; k < refs->n; k++)
                if (strcmp(refs->v[k].image, i->id) == 0)
                        strv_add(&i->names, refs->v[k].name);
}

int store_find(const struct dirs *d, const char *name, struct image **ret, struct err **reterr)
{
        AUTO(store_name_release) struct store_name n = {0};
        AUTO(ref_list_release) struct ref_list refs = {0};
        int r = store_lookup(d, name, &n, reterr);

        if (r < 0)
                return r;
        r = refs_list(d, &refs, reterr);
        if (r < 0)
                return r;
        add_names(n.image, &refs);
        /* The same config may have come in several manifests; the name says which one is meant. */
        if (n.manifest) {
                free(n.image->manifest_digest);
                n.image->manifest_digest = TAKE_PTR(n.manifest);
        }
        *ret = TAKE_PTR(n.image);
        return 0;
}

static int newest_first(const void *a, const void *b)
{
        const struct image *x = *(struct image *const *)a, *y = *(struct image *const *)b;

        if (x->created_ns != y->created_ns)
                return x->created_ns > y->created_ns ? -1 : 1;
        return strcmp(x->id, y->id);
}

void image_list_free(struct image **v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                (void)image_free(v[i]);
        free(v);
}

int store_list(const struct dirs *d, struct image ***ret, size_t *ret_n, struct err **reterr)
{
        AUTO(ref_list_release) struct ref_list refs = {0};
        AUTO_STRV ids = {0}, pending = {0};
        struct image **v;
        size_t n = 0;
        int r;

        if ((r = run_description_ids(d, &ids, reterr)) < 0 ||
            (r = refs_list(d, &refs, reterr)) < 0 ||
            (r = store_names(d, STORE_PENDING, &pending, reterr)) < 0)
                return r;
        v = xcalloc(ids.n + 1, sizeof(struct image *));
        for (size_t i = 0; i < ids.n; i++) {
                /* Not published yet, or never to be. */
                if (strv_has_sorted(&pending, ids.v[i]))
                        continue;
                r = run_description_read(d, ids.v[i], &v[n], reterr);
                if (r < 0) {
                        image_list_free(v, n);
                        return r;
                }
                if (r > 0)
                        add_names(v[n++], &refs);
        }
        qsort(v, n, sizeof(struct image *), newest_first);
        *ret = v;
        *ret_n = n;
        return 0;
}

int store_blob_read(const struct dirs *d, const char *digest, char **ret, size_t *ret_len,
                    struct err **reterr)
{
        const char *hex = digest_hex(digest);
        AUTO_FREE char *path = NULL;
        int r;

        if (!hex)
                return err_new(reterr, ERR_INVALID, "'%s' is no digest", digest);
        path = xasprintf("images/blobs/%.*s/%s", (int)(hex - digest - 1), digest, hex);
        r = io_read_file(d->root_fd, path, STORE_BLOB_JSON_MAX, ret, ret_len, reterr);
        return r < 0 ? err_wrap(reterr, r, "blob %.19s", digest) : 0;
}

static int blob_json(const struct dirs *d, const char *digest, struct json_object **ret,
                     struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        size_t len = 0;
        int r = store_blob_read(d, digest, &data, &len, reterr);

        if (r < 0)
                return r;
        return json_parse(data, len, digest, ret, reterr);
}

int store_config(const struct dirs *d, const struct image *i, struct json_object **ret,
                 struct err **reterr)
{
        int r = blob_json(d, i->id, ret, reterr);

        return r < 0 ? err_wrap(reterr, r, "config of image %.19s", i->id) : 0;
}

int store_manifest(const struct dirs *d, const struct image *i, struct json_object **ret,
                   struct err **reterr)
{
        int r = blob_json(d, i->manifest_digest, ret, reterr);

        return r < 0 ? err_wrap(reterr, r, "manifest of image %.19s", i->id) : 0;
}

char *store_lower_dirs(const struct dirs *d, const struct strv *layers, size_t n)
{
        AUTO_STRBUF b = {0};

        for (size_t i = n; i > 0; i--) {
                AUTO_FREE char *path = path_join(d->root, layers->v[i - 1]);

                strbuf_addf(&b, "%s%s", i == n ? "" : ":", path);
        }
        return strbuf_take(&b);
}

int store_layer_path(const struct dirs *d, const char *name, const struct id_map *uid,
                     const struct id_map *gid, char **ret, struct err **reterr)
{
        AUTO(layer_info_release) struct layer_info info = {0};
        AUTO_FREE char *path = NULL;
        char dir[LAYER_DIR_MAX];
        int r;

        if (!layer_name_is_valid(name))
                return err_new(reterr, ERR_INVALID, "'%s' is no layer", name);
        r = store_layer_info(d, name, &info, reterr);
        if (r == 0)
                return err_new(reterr, ERR_INVALID, "layer %.12s is missing", name);
        if (r < 0)
                return r;
        layer_info_dir(&info, uid, gid, dir);
        path = xasprintf(STORE_LAYERS "/%s/%s", name, dir);
        if (faccessat(d->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? -ENOENT : err_sys(reterr, errno, "open %s", path);
        *ret = TAKE_PTR(path);
        return 0;
}

static uint32_t largest_owner(const struct layer_owners *o, uint32_t limit)
{
        uint32_t largest = 0;

        for (size_t i = 0; i < o->n; i++) {
                const struct layer_owner *w = &o->v[i];
                uint32_t last = 0;

                if (w->count > 0 && w->id < limit)
                        last = MIN(w->id + (w->count - 1), limit - 1);
                largest = MAX(largest, last);
        }
        return largest;
}

int store_largest_id(const struct dirs *d, const struct strv *layers, uint32_t limit, uint32_t *ret,
                     struct err **reterr)
{
        *ret = 0;
        for (size_t i = 0; i < layers->n; i++) {
                AUTO(layer_info_release) struct layer_info info = {0};
                int r = store_layer_info(d, layers->v[i], &info, reterr);

                if (r < 0)
                        return r;
                *ret = MAX(*ret, largest_owner(&info.uids, limit));
                *ret = MAX(*ret, largest_owner(&info.gids, limit));
        }
        return 0;
}
