/* SPDX-License-Identifier: Apache-2.0 */
/* References: one small file per name, and the index.json that other tools read, derived from them. */
#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "image/digest.h"
#include "image/reference.h"
#include "image/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REF_JSON_MAX 4096

void ref_release(struct ref *r)
{
        free(r->name);
        free(r->image);
        free(r->manifest);
        *r = (struct ref){0};
}

void ref_list_release(struct ref_list *l)
{
        for (size_t i = 0; i < l->n; i++)
                ref_release(&l->v[i]);
        free(l->v);
        *l = (struct ref_list){0};
}

static int parse_ref(struct json_object *doc, const char *path, struct ref *ret,
                     struct err **reterr)
{
        struct json_at root = json_root(doc, path);
        const char *image = NULL, *manifest = NULL, *tagged = NULL;
        int r;

        if ((r = json_get_string(&root, "image", &image, reterr)) < 0 ||
            (r = json_get_string(&root, "manifest", &manifest, reterr)) < 0 ||
            (r = json_opt_string(&root, "tagged", &tagged, reterr)) < 0)
                return r;
        if (!digest_is_valid(image) || !str_starts(image, "sha256:") || !digest_is_valid(manifest))
                return json_fail(&root, reterr, "image and manifest must be digests");
        ret->image = xstrdup(image);
        ret->manifest = xstrdup(manifest);
        if (!tagged || clock_parse(tagged, &ret->tagged_ns) < 0)
                ret->tagged_ns = 0;
        return 0;
}

int refs_read(const struct dirs *d, const char *formatted, struct ref *ret, struct err **reterr)
{
        AUTO_FREE char *escaped = reference_escape(formatted);
        AUTO_FREE char *path = NULL;
        AUTO_JSON *doc = NULL;
        AUTO_ERR struct err *e = NULL;
        int r;

        if (!escaped)
                return 0;
        path = xasprintf(STORE_REFS "/%s", escaped);
        r = json_read_file(d->root_fd, path, REF_JSON_MAX, &doc, &e);
        if (r == -ENOENT)
                return 0;
        if (r < 0) {
                r = err_move(reterr, r, &e);
                return err_wrap(reterr, r, "image name '%s'", formatted);
        }
        *ret = (struct ref){0};
        r = parse_ref(doc, path, ret, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "image name '%s'", formatted);
        ret->name = xstrdup(formatted);
        return 1;
}

int store_reference_names(const struct dirs *d, struct strv *ret, struct err **reterr)
{
        AUTO_STRV names = {0};
        int r = store_names(d, STORE_REFS, &names, reterr);

        for (size_t i = 0; r >= 0 && i < names.n; i++) {
                char *formatted = reference_unescape(names.v[i]);

                if (formatted)
                        strv_add_take(ret, formatted);
        }
        return r;
}

int refs_list(const struct dirs *d, struct ref_list *ret, struct err **reterr)
{
        AUTO(ref_list_release) struct ref_list list = {0};
        AUTO_STRV names = {0};
        int r = store_names(d, STORE_REFS, &names, reterr);

        if (r < 0)
                return r;
        list.v = xcalloc(names.n + 1, sizeof(*list.v));
        for (size_t i = 0; i < names.n; i++) {
                AUTO_FREE char *formatted = reference_unescape(names.v[i]);

                if (formatted && refs_read(d, formatted, &list.v[list.n], NULL) > 0)
                        list.n++;
        }
        *ret = list;
        list = (struct ref_list){0};
        return 0;
}

int refs_set(const struct dirs *d, const char *formatted, const char *image, const char *manifest,
             struct err **reterr)
{
        AUTO(reference_release) struct reference ref = {0};
        AUTO_FREE char *escaped = NULL, *twin = NULL;
        AUTO_JSON *doc = json_object_new_object();
        AUTO_CLOSE int dir = -EBADF;
        char now[CLOCK_RFC3339_MAX];
        int r;

        r = reference_parse(formatted, &ref, reterr);
        if (r < 0)
                return r;
        escaped = reference_escape(formatted);
        json_add_string(doc, "image", image);
        json_add_string(doc, "manifest", manifest);
        json_add_string(doc, "tagged", clock_format(clock_now_ns(), now));
        dir = dirs_sub(d, STORE_REFS, reterr);
        if (dir < 0)
                return dir;
        r = atomic_file_write_json(dir, escaped, doc, true, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "write image name '%s'", formatted);
        /* After the new name is there: killed in between, both exist and the lookup prefers one of them. */
        twin = reference_twin(&ref);
        r = twin ? refs_unset(d, twin, reterr) : 0;
        return r < 0 ? r : 0;
}

int refs_unset(const struct dirs *d, const char *formatted, struct err **reterr)
{
        AUTO_FREE char *escaped = reference_escape(formatted);
        AUTO_CLOSE int dir = -EBADF;

        if (!escaped)
                return 0;
        dir = dirs_sub(d, STORE_REFS, reterr);
        if (dir < 0)
                return dir;
        if (unlinkat(dir, escaped, 0) < 0)
                return errno == ENOENT
                           ? 0
                           : err_sys(reterr, errno, "remove image name '%s'", formatted);
        if (fsync(dir) < 0)
                return err_sys(reterr, errno, "remove image name '%s'", formatted);
        return 1;
}

/* The media type that the manifest itself states; images of Docker's registries keep theirs. */
static char *manifest_media_type(const struct dirs *d, const char *path, uint64_t *ret_size)
{
        AUTO_JSON *doc = NULL;
        const char *type = NULL;
        struct stat st;

        if (fstatat(d->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return NULL;
        *ret_size = (uint64_t)st.st_size;
        if (json_read_file(d->root_fd, path, STORE_BLOB_JSON_MAX, &doc, NULL) < 0)
                return NULL;
        struct json_at root = json_root(doc, path);
        (void)json_opt_string(&root, "mediaType", &type, NULL);
        return xstrdup(type ? type : "application/vnd.oci.image.manifest.v1+json");
}

static void index_add(const struct dirs *d, struct json_object *manifests, const char *manifest,
                      const char *name)
{
        AUTO_FREE char *path = xasprintf(STORE_BLOBS "/%s", digest_hex(manifest));
        AUTO_FREE char *type = NULL;
        uint64_t size = 0;
        struct json_object *entry, *notes;

        type = manifest_media_type(d, path, &size);
        if (!type)
                return;
        entry = json_object_new_object();
        json_add_string(entry, "mediaType", type);
        json_add_string(entry, "digest", manifest);
        json_add_uint(entry, "size", size);
        if (name) {
                notes = json_object(entry, "annotations");
                json_add_string(notes, "org.opencontainers.image.ref.name", name);
                json_add_string(notes, "io.containerd.image.name", name);
        }
        json_object_array_add(manifests, entry);
}

static int add_unnamed(const struct dirs *d, const struct ref_list *refs,
                       struct json_object *manifests, struct err **reterr)
{
        AUTO_STRV ids = {0};
        int r = run_description_ids(d, &ids, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ids.n; i++) {
                AUTO(image_freep) struct image *img = NULL;
                bool named = false;

                for (size_t k = 0; k < refs->n && !named; k++)
                        named = strcmp(digest_hex(refs->v[k].image), ids.v[i]) == 0;
                if (!named && run_description_read(d, ids.v[i], &img, NULL) > 0)
                        index_add(d, manifests, img->manifest_digest, NULL);
        }
        return 0;
}

int refs_derive_index(const struct dirs *d, struct err **reterr)
{
        static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
        AUTO(ref_list_release) struct ref_list refs = {0};
        AUTO_JSON *index = json_object_new_object();
        AUTO_CLOSE int dir = -EBADF;
        struct json_object *manifests;
        int r;

        r = refs_list(d, &refs, reterr);
        if (r < 0)
                return r;
        json_add_int(index, "schemaVersion", 2);
        json_add_string(index, "mediaType", "application/vnd.oci.image.index.v1+json");
        manifests = json_array(index, "manifests");
        for (size_t i = 0; i < refs.n; i++)
                index_add(d, manifests, refs.v[i].manifest, refs.v[i].name);
        r = add_unnamed(d, &refs, manifests, reterr);
        if (r < 0)
                return r;
        dir = dirs_sub(d, "images", reterr);
        if (dir < 0)
                return dir;
        if (faccessat(dir, "oci-layout", F_OK, 0) < 0) {
                r = atomic_file_write(dir, "oci-layout", layout, strlen(layout), 0600, true,
                                      reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "write images/oci-layout");
        }
        r = atomic_file_write_json(dir, "index.json", index, true, reterr);
        return r < 0 ? err_wrap(reterr, r, "write images/index.json") : 0;
}

int refs_candidates(const char *name, struct strv *ret, struct err **reterr)
{
        AUTO(reference_release) struct reference r = {0};
        AUTO_FREE char *formatted = NULL, *twin = NULL;
        int rc = reference_parse(name, &r, reterr);

        if (rc < 0)
                return rc;
        formatted = reference_format(&r);
        /* Listings show "docker.io/library/x" and "localhost/x" as "x", and never hold both: who types the first of them may mean
         * either. "localhost/x" is no name of Docker's for "x": it means itself. */
        twin = r.has_domain && strcmp(r.domain, "localhost") == 0 ? NULL : reference_twin(&r);
        if (twin && !r.has_domain)
                strv_add(ret, twin);
        strv_add(ret, formatted);
        if (twin && r.has_domain)
                strv_add(ret, twin);
        return 0;
}

int store_new_name(const struct dirs *d, const char *name, char **ret, struct err **reterr)
{
        AUTO_STRV candidates = {0};
        AUTO(ref_release) struct ref found = {0};
        AUTO(reference_release) struct reference r = {0};
        int rc = reference_parse(name, &r, reterr);

        if (rc < 0)
                return rc;
        if (r.digest)
                return err_new(reterr, ERR_USAGE, "'%s': a new name can't have a digest", name);
        if (r.has_domain) {
                *ret = reference_format(&r);
                return 0;
        }
        rc = refs_candidates(name, &candidates, reterr);
        if (rc < 0)
                return rc;
        /* A name that exists keeps its full form and moves; a new short name is local. */
        for (size_t i = 0; i < candidates.n; i++) {
                rc = refs_read(d, candidates.v[i], &found, NULL);
                if (rc > 0) {
                        *ret = xstrdup(candidates.v[i]);
                        return 0;
                }
        }
        *ret = xstrdup(candidates.v[0]);
        return 0;
}
