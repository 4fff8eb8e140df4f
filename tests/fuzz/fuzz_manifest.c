/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of archives. The first byte chooses the reader. */
#include "fuzz.h"

#include "base/alloc.h"
#include "base/macros.h"
#include "image/archive.h"
#include "image/digest.h"
#include "image/manifest.h"

#include <stdlib.h>
#include <string.h>

static void check_list(const struct descriptor_list *l)
{
        for (size_t i = 0; i < l->n; i++) {
                (void)descriptor_kind(&l->v[i]);
                if (!digest_is_valid(l->v[i].digest))
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO(descriptor_list_release) struct descriptor_list index = {0};
        AUTO(manifest_release) struct manifest manifest = {0};
        AUTO(config_summary_release) struct config_summary config = {0};
        AUTO(docker_manifest_release) struct docker_manifest docker = {0};
        AUTO_STRV names = {0}, ids = {0};
        AUTO_FREE char *text = NULL;
        char kind;

        if (n == 0)
                return 0;
        kind = (char)data[0];
        /* On the heap and not terminated: a reader that goes too far is seen. */
        text = xmalloc(n);
        memcpy(text, data + 1, n - 1);
        text = xrealloc(text, n > 1 ? n - 1 : 1, 1);
        n--;
        (void)archive_sniff(text, n);
        if (kind == 'i' && index_parse(text, n, "index", &index, NULL) >= 0)
                check_list(&index);
        if (kind == 'm' && manifest_parse(text, n, "manifest", &manifest, NULL) >= 0)
                check_list(&manifest.layers);
        if (kind == 'c' && config_parse(text, n, "config", &config, NULL) >= 0)
                for (size_t i = 0; i < config.diff_ids.n; i++)
                        if (!digest_is_valid(config.diff_ids.v[i]))
                                abort();
        if (kind == 'd')
                (void)docker_manifest_parse(text, n, &docker, NULL);
        if (kind == 'r' && repositories_parse(text, n, &names, &ids, NULL) >= 0 && names.n != ids.n)
                abort();
        return 0;
}
