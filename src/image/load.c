/* SPDX-License-Identifier: Apache-2.0 */
/* `load`: tells the formats apart and runs their readers. */
#include "image/load.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "image/archive.h"
#include "image/assemble.h"
#include "image/image_protocol.h"
#include "image/reference.h"
#include "image/store.h"
#include "image/tool.h"

#include <string.h>

void load_add_name(struct loader *l, const char *name, bool local, struct strv *ret)
{
        AUTO(reference_release) struct reference r = {0};
        AUTO_FREE char *formatted = NULL, *twin = NULL;
        AUTO_ERR struct err *e = NULL;

        if (reference_parse(name, &r, &e) < 0 || r.digest) {
                AUTO_FREE char *text = xasprintf("left out the name '%.200s': %s", name,
                                                 e ? err_message(e) : "it has a digest");

                tool_warn(l->tool, text);
                return;
        }
        formatted = reference_format(&r);
        twin = local && !r.has_domain ? reference_twin(&r) : NULL;
        if (!strv_contains(ret, twin ? twin : formatted))
                strv_add(ret, twin ? twin : formatted);
}

int load_check_platform(const struct loader *l, const struct platform *have, struct err **reterr)
{
        char wanted[3 * PLATFORM_PART], got[3 * PLATFORM_PART];

        if (!l->has_platform || platform_score(&l->platform, have) > 0)
                return 0;
        platform_format(&l->platform, wanted);
        platform_format(have, got);
        return err_new(reterr, ERR_NOT_FOUND,
                       "%s: no image for the platform %s in it (it is for %s)",
                       archive_what(l->archive), wanted, got);
}

static int load_archive(struct loader *l, struct err **reterr)
{
        const char *what = archive_what(l->archive);
        int r;

        if (archive_has(l->archive, "index.json"))
                r = load_oci(l, reterr);
        else if (archive_has(l->archive, "manifest.json"))
                r = load_docker(l, reterr);
        else if (archive_has(l->archive, "repositories"))
                r = load_repositories(l, reterr);
        else if (archive_is_directory(l->archive)) {
                r = err_new(reterr, ERR_INVALID,
                            "%s: the directory is no OCI layout: it has no index.json", what);
                return err_hint(
                    reterr, r,
                    "'tar -C %s -c . | kelp import - NAME' makes an image of a root file system",
                    what);
        } else {
                r = err_new(reterr, ERR_INVALID,
                            "%s: no archive of images: it has neither index.json nor manifest.json",
                            what);
                return err_hint(reterr, r,
                                "a root file system's tar becomes an image with 'kelp import'");
        }
        if (r < 0)
                return r;
        if (l->loaded == 0)
                return err_new(reterr, ERR_INVALID, "%s: there is no image in it", what);
        return 0;
}

int tool_load(struct tool *t, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        AUTO(store_txn_endp) struct store_txn *txn = NULL;
        AUTO(archive_freep) struct archive *a = NULL;
        AUTO(assembler_freep) struct assembler *as = NULL;
        struct loader l = {.tool = t};
        struct archive_opts o = {.tool = t, .fd = IMAGE_FD_INPUT};
        const char *platform = NULL;
        int r;

        if ((r = json_get_string(&root, "what", &o.what, reterr)) < 0 ||
            (r = json_opt_string(&root, "platform", &platform, reterr)) < 0)
                return r;
        platform_host(&l.platform);
        l.has_platform = platform != NULL;
        if (platform && (r = platform_parse(platform, &l.platform, reterr)) < 0)
                return r;
        r = store_txn_begin(t->dirs, &txn, reterr);
        if (r < 0)
                return r;
        o.txn = txn;
        r = archive_open(&o, &a, reterr);
        if (r < 0)
                return r;
        l.archive = a;
        l.assembler = as = assembler_new(t, txn, a);
        return load_archive(&l, reterr);
}
