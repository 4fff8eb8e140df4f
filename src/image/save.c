/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `save`: images as an archive or as an OCI layout directory.
 *
 * Theory of operation. A format first lists every file with its size, without making any: that gives the order (sorted), finds what
 * is missing before a byte is written, and lets the archive be written in one pass. Layers that came compressed are copied as
 * they came; the others are packed from their files and recipe, and their digest is checked while they are written, so that a
 * damaged store can't give an archive that looks sound: the job fails and the caller throws the output away.
 */
#include "image/save.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "image/digest.h"
#include "image/image_protocol.h"
#include "image/layer.h"
#include "image/store.h"
#include "image/store_internal.h"
#include "image/tar_writer.h"
#include "image/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BUFFER (256U * 1024)

/* ---- the list of files ---- */

static struct save_file *add_file(struct save_files *f, const char *name)
{
        for (size_t i = 0; i < f->n; i++)
                if (strcmp(f->v[i].name, name) == 0)
                        return NULL;
        if (f->n == f->cap) {
                f->cap = f->cap ? f->cap * 2 : 64;
                f->v = xrealloc(f->v, f->cap, sizeof(*f->v));
        }
        f->v[f->n] = (struct save_file){.name = xstrdup(name)};
        return &f->v[f->n++];
}

static void save_files_release(struct save_files *f)
{
        for (size_t i = 0; i < f->n; i++) {
                free(f->v[i].name);
                free(f->v[i].text);
                free(f->v[i].blob);
                free(f->v[i].layer);
                free(f->v[i].item);
        }
        free(f->v);
        *f = (struct save_files){0};
}

void save_add_text(struct save_files *f, const char *name, const char *text, size_t len)
{
        struct save_file *file = add_file(f, name);

        if (!file)
                return;
        file->text = xstrndup(text, len);
        file->text_len = len;
        file->size = len;
}

static char *blob_path(const char *digest)
{
        return xasprintf(STORE_BLOBS "/%s", digest_hex(digest));
}

bool save_has_blob(const struct tool *t, const char *digest)
{
        AUTO_FREE char *path = blob_path(digest);

        return faccessat(t->dirs->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int save_add_blob(struct tool *t, struct save_files *f, const char *name, const char *digest,
                  struct err **reterr)
{
        AUTO_FREE char *path = blob_path(digest);
        struct save_file *file;
        struct stat st;

        if (fstatat(t->dirs->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(reterr, errno, "blob %.19s", digest);
        file = add_file(f, name);
        if (!file)
                return 0;
        file->blob = xstrdup(digest);
        file->item = xstrdup(digest_hex(digest));
        file->size = (uint64_t)st.st_size;
        return 0;
}

int save_add_layer(struct tool *t, struct save_files *f, const char *name, const char *layer,
                   struct err **reterr)
{
        struct layer_info info = {0};
        struct save_file *file;
        int r = store_layer_info(t->dirs, layer, &info, reterr);

        if (r == 0)
                return err_new(reterr, ERR_INVALID, "layer %.12s is missing in the store", layer);
        if (r < 0)
                return r;
        file = add_file(f, name);
        if (file) {
                file->layer = xstrdup(layer);
                file->item = xasprintf("%.64s", layer);
                file->size = info.tar_size;
        }
        layer_info_release(&info);
        return 0;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct save_file *)a)->name, ((const struct save_file *)b)->name);
}

/* ---- the images ---- */

static void save_images_release(struct save_images *s)
{
        for (size_t i = 0; i < s->n; i++) {
                struct save_image *m = &s->v[i];

                free(m->id);
                free(m->manifest_digest);
                strv_release(&m->names);
                free(m->config);
                free(m->manifest);
                manifest_release(&m->parsed);
                config_summary_release(&m->summary);
                strv_release(&m->layers);
        }
        free(s->v);
        *s = (struct save_images){0};
}

static int check_blob(const char *digest, const char *data, size_t n, struct err **reterr)
{
        char got[HASH_DIGEST_SIZE];

        hash_bytes(data, n, got);
        if (strcmp(got, digest) != 0)
                return err_new(reterr, ERR_INVALID, "blob %.19s is damaged in the store", digest);
        return 0;
}

static int read_image(struct tool *t, const struct json_at *at, struct save_image *m,
                      struct err **reterr)
{
        const char *id = NULL, *manifest = NULL;
        struct store_layer_sum sum;
        int r;

        if ((r = json_get_string(at, "id", &id, reterr)) < 0 ||
            (r = json_get_string(at, "manifest", &manifest, reterr)) < 0 ||
            (r = json_opt_strv(at, "names", &m->names, reterr)) < 0)
                return r;
        m->id = xstrdup(id);
        m->manifest_digest = xstrdup(manifest);
        if ((r = store_blob_read(t->dirs, id, &m->config, &m->config_len, reterr)) < 0 ||
            (r = store_blob_read(t->dirs, manifest, &m->manifest, &m->manifest_len, reterr)) < 0 ||
            (r = check_blob(id, m->config, m->config_len, reterr)) < 0 ||
            (r = check_blob(manifest, m->manifest, m->manifest_len, reterr)) < 0 ||
            (r = config_parse(m->config, m->config_len, "image config", &m->summary, reterr)) < 0 ||
            (r = manifest_parse(m->manifest, m->manifest_len, "image manifest", &m->parsed,
                                reterr)) < 0 ||
            (r = store_layer_names(t->dirs, &m->summary.diff_ids, &m->layers, &sum, reterr)) < 0)
                return r;
        if (m->parsed.layers.n != m->layers.n)
                return err_new(reterr, ERR_INVALID, "the manifest has %zu layers, the config %zu",
                               m->parsed.layers.n, m->layers.n);
        return 0;
}

/* Claims first: an image that is removed meanwhile keeps its layers until we are done. */
static int claim_all(struct store_txn *txn, const struct save_image *m, struct err **reterr)
{
        int r = store_txn_claim_blob(txn, m->id, reterr);

        for (size_t i = 0; r >= 0 && i < m->layers.n; i++)
                r = store_txn_claim_layer(txn, m->layers.v[i], reterr);
        for (size_t i = 0; r >= 0 && i < m->parsed.layers.n; i++)
                r = store_txn_claim_blob(txn, m->parsed.layers.v[i].digest, reterr);
        return r < 0 ? r : 0;
}

static int read_images(struct tool *t, struct store_txn *txn, struct save_images *ret,
                       struct err **reterr)
{
        struct json_at root = json_root(t->request, "request"), list = json_key(&root, "images");
        size_t n = 0;
        int r = json_want_array(&list, 4096, &n, reterr);

        if (r < 0)
                return r;
        ret->v = xcalloc(n + 1, sizeof(*ret->v));
        for (size_t i = 0; i < n; i++) {
                struct json_at at = json_elem(&list, i);

                ret->n = i + 1;
                r = read_image(t, &at, &ret->v[i], reterr);
                if (r >= 0)
                        r = claim_all(txn, &ret->v[i], reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "image %.19s",
                                        ret->v[i].id ? ret->v[i].id : "?");
        }
        return 0;
}

/* ---- writing ---- */

struct sink {
        struct tool *tool;
        int (*out)(void *userdata, const void *data, size_t n);
        void *userdata;
        uint64_t done;
};

static int sink_write(void *userdata, const void *data, size_t n)
{
        struct sink *s = userdata;
        int r = s->out(s->userdata, data, n);

        s->done += n;
        tool_progress(s->tool, s->done);
        return r;
}

static int copy_blob(struct tool *t, const struct save_file *f, struct sink *s, struct err **reterr)
{
        AUTO_FREE char *path = blob_path(f->blob), *buf = xmalloc(COPY_BUFFER);
        AUTO_CLOSE int fd = openat(t->dirs->root_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        AUTO(hash_freep) struct hash *h = hash_new();
        char digest[HASH_DIGEST_SIZE];

        if (fd < 0)
                return err_sys(reterr, errno, "blob %.19s", f->blob);
        for (;;) {
                ssize_t n = io_read_some(fd, buf, COPY_BUFFER);
                int r;

                if (n < 0)
                        return err_sys(reterr, (int)-n, "read blob %.19s", f->blob);
                if (n == 0)
                        break;
                hash_add(h, buf, (size_t)n);
                r = sink_write(s, buf, (size_t)n);
                if (r < 0)
                        return err_sys(reterr, -r, "write '%s'", f->name);
        }
        hash_end(h, digest);
        if (strcmp(digest, f->blob) != 0)
                return err_new(reterr, ERR_INVALID, "blob %.19s is damaged in the store", f->blob);
        return 0;
}

static int pack_layer(struct tool *t, const struct save_file *f, struct sink *s,
                      struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(STORE_LAYERS "/%s", f->layer);
        AUTO_CLOSE int fd =
            openat(t->dirs->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "layer %.12s", f->layer);
        r = layer_pack(fd, sink_write, s, reterr);
        return r < 0 ? err_wrap(reterr, r, "layer %.12s", f->layer) : 0;
}

static int write_content(struct tool *t, const struct save_file *f, struct sink *s,
                         struct err **reterr)
{
        int r;

        if (f->text) {
                r = s->out(s->userdata, f->text, f->text_len);
                return r < 0 ? err_sys(reterr, -r, "write '%s'", f->name) : 0;
        }
        tool_begin(t, f->item, f->size);
        r = f->blob ? copy_blob(t, f, s, reterr) : pack_layer(t, f, s, reterr);
        if (r >= 0)
                tool_end(t, f->size);
        return r;
}

/* Directories as the formats' own tools write them, each before its first file. */
static int write_dirs(struct tar_writer *w, const char *name, char last[256], struct err **reterr)
{
        for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
                AUTO_FREE char *dir = xstrndup(name, (size_t)(slash - name) + 1);
                int r;

                if (str_starts(last, dir))
                        continue;
                r = tar_writer_dir(w, dir, reterr);
                if (r < 0)
                        return r;
        }
        (void)snprintf(last, 256, "%s", name);
        return 0;
}

static int write_archive(struct tool *t, const struct save_files *files, struct err **reterr)
{
        AUTO(tar_writer_freep) struct tar_writer *w = tar_writer_new(t, IMAGE_FD_OUTPUT);
        char last[256] = "";
        int r = 0;

        for (size_t i = 0; r >= 0 && i < files->n; i++) {
                const struct save_file *f = &files->v[i];
                struct sink s = {.tool = t, .out = tar_writer_data, .userdata = w};

                if ((r = write_dirs(w, f->name, last, reterr)) < 0 ||
                    (r = tar_writer_file(w, f->name, f->size, reterr)) < 0 ||
                    (r = write_content(t, f, &s, reterr)) < 0)
                        break;
                r = tar_writer_file_end(w, reterr);
        }
        if (tool_interrupted(t)) {
                if (r < 0 && reterr)
                        *reterr = err_free(*reterr);
                return tool_interrupted_error(reterr);
        }
        return r < 0 ? r : tar_writer_end(w, reterr);
}

static int fd_out(void *userdata, const void *data, size_t n)
{
        return io_write_full(*(const int *)userdata, data, n);
}

static int write_dir_file(struct tool *t, const struct save_file *f, struct err **reterr)
{
        const char *slash = strrchr(f->name, '/');
        AUTO_FREE char *dir = slash ? xstrndup(f->name, (size_t)(slash - f->name)) : xstrdup(".");
        AUTO_CLOSE int dirfd = path_mkdir_open(IMAGE_FD_OUTPUT, dir, 0755, reterr), fd = -EBADF;
        struct sink s = {.tool = t, .out = fd_out, .userdata = &fd};
        int r;

        if (dirfd < 0)
                return dirfd;
        fd = openat(dirfd, path_last(f->name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0644);
        if (fd < 0)
                return err_sys(reterr, errno, "make '%s'", f->name);
        r = write_content(t, f, &s, reterr);
        if (r >= 0 && fsync(fd) < 0)
                r = err_sys(reterr, errno, "write '%s'", f->name);
        return r;
}

/* index.json last: a directory without it is no layout. */
static int write_directory(struct tool *t, const struct save_files *files, struct err **reterr)
{
        int r = 0;

        for (int last = 0; last < 2; last++)
                for (size_t i = 0; r >= 0 && i < files->n; i++)
                        if ((strcmp(files->v[i].name, "index.json") == 0) == last)
                                r = tool_interrupted(t) ? tool_interrupted_error(reterr)
                                                        : write_dir_file(t, &files->v[i], reterr);
        return r;
}

int tool_save(struct tool *t, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        AUTO(store_txn_endp) struct store_txn *txn = NULL;
        AUTO(save_images_release) struct save_images images = {0};
        AUTO(save_files_release) struct save_files files = {0};
        const char *format = "docker";
        struct stat st;
        int r;

        if ((r = json_opt_string(&root, "format", &format, reterr)) < 0 ||
            (r = store_txn_begin(t->dirs, &txn, reterr)) < 0 ||
            (r = read_images(t, txn, &images, reterr)) < 0)
                return r;
        if (strcmp(format, "docker-v1") == 0)
                r = save_docker_v1(t, &images, &files, reterr);
        else
                r = save_oci(t, &images, strcmp(format, "docker") == 0, &files, reterr);
        if (r < 0)
                return r;
        qsort(files.v, files.n, sizeof(*files.v), by_name);
        if (fstat(IMAGE_FD_OUTPUT, &st) < 0)
                return err_sys(reterr, errno, "the output");
        return S_ISDIR(st.st_mode) ? write_directory(t, &files, reterr)
                                   : write_archive(t, &files, reterr);
}
