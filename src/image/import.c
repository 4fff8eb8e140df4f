/* SPDX-License-Identifier: Apache-2.0 */
/* `import`: a root file system's tar becomes an image of one layer. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/str.h"
#include "image/assemble.h"
#include "image/change.h"
#include "image/hash.h"
#include "image/image_protocol.h"
#include "image/layer.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "image/store.h"
#include "image/tool.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct import_request {
        const char *what, *name, *message, *platform;
        struct strv changes;
};

static void import_request_release(struct import_request *q)
{
        strv_release(&q->changes);
}

static int read_request(const struct tool *t, struct import_request *q, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        int r;

        if ((r = json_get_string(&root, "what", &q->what, reterr)) < 0 ||
            (r = json_opt_string(&root, "name", &q->name, reterr)) < 0 ||
            (r = json_opt_string(&root, "message", &q->message, reterr)) < 0 ||
            (r = json_opt_string(&root, "platform", &q->platform, reterr)) < 0 ||
            (r = json_opt_strv(&root, "changes", &q->changes, reterr)) < 0)
                return r;
        return 0;
}

static int make_config(const struct import_request *q, struct json_object **ret,
                       struct err **reterr)
{
        AUTO_JSON *config = json_object_new_object();
        struct json_object *settings, *history, *entry;
        char now[CLOCK_RFC3339_MAX];
        struct platform p;
        int r;

        platform_host(&p);
        p.variant[0] = '\0'; /* a tar says nothing about levels of the processor */
        if (q->platform && (r = platform_parse(q->platform, &p, reterr)) < 0)
                return r;
        clock_format(clock_now_ns(), now);
        json_add_string(config, "created", now);
        json_add_string(config, "architecture", p.arch);
        json_add_string(config, "os", p.os);
        if (p.variant[0])
                json_add_string(config, "variant", p.variant);
        settings = json_object(config, "config");
        for (size_t i = 0; i < q->changes.n; i++) {
                r = change_apply(settings, q->changes.v[i], reterr);
                if (r < 0)
                        return r;
        }
        history = json_array(config, "history");
        entry = json_object_new_object();
        json_add_string(entry, "created", now);
        if (q->message) {
                json_add_string(entry, "comment", q->message);
        } else {
                AUTO_FREE char *comment = xasprintf("Imported from %s", q->what);

                json_add_string(entry, "comment", comment);
        }
        json_object_array_add(history, entry);
        *ret = TAKE_PTR(config);
        return 0;
}

static void warn_layer(void *userdata, const char *text)
{
        tool_warn(userdata, text);
}

static void show_progress(void *data, uint64_t done)
{
        tool_progress(data, done);
}

int tool_unpack_input(struct tool *t, int dir_fd, const char *what, bool plain,
                      struct layer_result *res, struct err **reterr)
{
        struct tool_source source = {
            .fd = IMAGE_FD_INPUT, .signal_fd = t->signal_fd, .left = UINT64_MAX};
        struct layer_unpack_opts opts = {
            .maps = t->maps,
            .limits = LAYER_LIMITS_DEFAULT,
            .plain = plain,
            .warn = warn_layer,
            .warn_data = t,
        };
        struct stream_opts so = STREAM_OPTS_INIT;
        AUTO(stream_freep) struct stream *s = NULL;
        struct stat st;
        int r;

        if (fstat(IMAGE_FD_INPUT, &st) < 0)
                return err_sys(reterr, errno, "%s", what);
        if (S_ISDIR(st.st_mode)) {
                r = err_new(reterr, ERR_USAGE, "%s is a directory, not a tar archive", what);
                return err_hint(reterr, r, "pack it: tar -C DIR -c . | kelp %s",
                                plain ? "volume import NAME -" : "import - NAME");
        }
        source.seekable = S_ISREG(st.st_mode);
        if (source.seekable)
                source.pos = lseek(IMAGE_FD_INPUT, 0, SEEK_CUR);
        so.what = what;
        so.max_ratio = STREAM_RATIO_MAX;
        so.read = tool_source_read;
        so.userdata = &source;
        so.threaded = true;
        so.progress = show_progress;
        so.progress_data = t;
        tool_begin(t, "import", source.seekable ? (uint64_t)st.st_size : 0);
        r = stream_open(&so, &s, reterr);
        if (r >= 0)
                r = layer_unpack(s, dir_fd, "layer", &opts, res, reterr);
        if (tool_interrupted(t)) {
                if (r < 0 && reterr)
                        *reterr = err_free(*reterr);
                return tool_interrupted_error(reterr);
        }
        if (r >= 0 && res->info.entries == 0) {
                layer_info_release(&res->info);
                return err_new(reterr, ERR_INVALID, "%s: there is nothing in it", what);
        }
        if (r >= 0)
                tool_end(t, t->total);
        return r;
}

static int publish(struct tool *t, struct store_txn *txn, const struct import_request *q,
                   const struct layer_result *res, struct json_object *config, struct err **reterr)
{
        char *names[] = {NULL, NULL};
        AUTO(assembler_freep) struct assembler *as = assembler_new(t, txn, NULL);
        AUTO_FREE char *name = xstrdup(q->name);
        AUTO_STRV diff_ids = {0};
        uint64_t size = res->info.tar_size;
        struct assembled image = {.diff_ids = &diff_ids, .sizes = &size, .names = names};
        struct json_object *rootfs = json_object(config, "rootfs");
        AUTO_FREE char *text = NULL;
        int r;

        strv_add(&diff_ids, res->info.diff_id);
        json_add_string(rootfs, "type", "layers");
        json_object_object_add(rootfs, "diff_ids", json_from_strv(&diff_ids));
        text = xstrdup(json_object_to_json_string_ext(config, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
        image.config = text;
        image.config_len = strlen(text);
        names[0] = name;
        if (syncfs(store_txn_dir(txn)) < 0)
                return err_sys(reterr, errno, "write the layer to disk");
        FAULT_POINT("import-put");
        r = store_txn_put_layer(txn, "layer", res->name, reterr);
        return r < 0 ? r : assembler_publish(as, &image, reterr);
}

int tool_import(struct tool *t, struct err **reterr)
{
        AUTO(import_request_release) struct import_request q = {0};
        AUTO(store_txn_endp) struct store_txn *txn = NULL;
        struct layer_result res = {0};
        AUTO_JSON *config = NULL;
        int r;

        /* What the user typed is checked before the archive is read. */
        if ((r = read_request(t, &q, reterr)) < 0 || (r = make_config(&q, &config, reterr)) < 0 ||
            (r = store_txn_begin(t->dirs, &txn, reterr)) < 0 ||
            (r = tool_unpack_input(t, store_txn_dir(txn), q.what, false, &res, reterr)) < 0)
                return r;
        r = publish(t, txn, &q, &res, config, reterr);
        layer_info_release(&res.info);
        return r;
}
