/* SPDX-License-Identifier: Apache-2.0 */
/* The last step of an image: what was gathered gets durable and into place, then the references change. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"
#include "image/assemble_internal.h"
#include "image/hash.h"
#include "image/manifest.h"
#include "image/store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int put_everything(struct assembler *as, struct err **reterr)
{
        int r;

        /* One flush of the file system for all files of all layers; the renames after it publish what is on disk. */
        if (as->n > 0 && syncfs(store_txn_dir(as->txn)) < 0)
                return err_sys(reterr, errno, "write the layers to disk");
        for (size_t i = 0; i < as->n; i++) {
                const struct pending *p = &as->v[i];
                AUTO_FREE char *digest = xasprintf("sha256:%s", p->name);

                FAULT_POINT("image-put");
                r = p->blob ? store_txn_put_blob(as->txn, p->from, digest, reterr)
                            : store_txn_put_layer(as->txn, p->from, p->name, reterr);
                if (r < 0)
                        return r;
        }
        as->n = 0;
        return 0;
}

static int tell(struct tool *t, const char *id, char *const *names, struct err **reterr)
{
        int r = 0;

        if (!names || !*names) {
                struct json_object *msg = json_object_new_object();

                json_add_string(msg, "id", id);
                return tool_send_take(t, "result", msg, reterr);
        }
        for (char *const *name = names; *name && r >= 0; name++) {
                struct json_object *msg = json_object_new_object();

                json_add_string(msg, "id", id);
                json_add_string(msg, "name", *name);
                r = tool_send_take(t, "result", msg, reterr);
        }
        return r;
}

static char *make_manifest(const struct assembled *image, const char *config_digest)
{
        AUTO_FREE struct manifest_layer *layers = xcalloc(image->diff_ids->n + 1, sizeof(*layers));

        for (size_t i = 0; i < image->diff_ids->n; i++)
                layers[i] = (struct manifest_layer){MEDIA_OCI_LAYER, image->diff_ids->v[i],
                                                    image->sizes[i]};
        return manifest_build(config_digest, image->config_len, layers, image->diff_ids->n);
}

int assembler_publish(struct assembler *as, const struct assembled *image, struct err **reterr)
{
        char config_digest[HASH_DIGEST_SIZE], manifest_digest[HASH_DIGEST_SIZE];
        AUTO_FREE char *made = NULL;
        struct store_image published = {
            .config = image->config,
            .config_len = image->config_len,
            .config_digest = config_digest,
            .manifest = image->manifest,
            .manifest_len = image->manifest_len,
            .manifest_digest = manifest_digest,
            .names = image->names,
        };
        int r = put_everything(as, reterr);

        if (r < 0)
                return r;
        hash_bytes(image->config, image->config_len, config_digest);
        if (!image->manifest) {
                published.manifest = made = make_manifest(image, config_digest);
                published.manifest_len = strlen(made);
        }
        hash_bytes(published.manifest, published.manifest_len, manifest_digest);
        r = store_publish(as->txn, &published, reterr);
        return r < 0 ? r : tell(as->tool, config_digest, image->names, reterr);
}
