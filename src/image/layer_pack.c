/* SPDX-License-Identifier: Apache-2.0 */
/* An archive again: the recipe's bytes and the files' content, in the recipe's order, hashed on the way out. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"
#include "image/layer_internal.h"

#define COPY_SIZE ((size_t)128 * 1024)
#define BENEATH   (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

struct pack {
        int layer_fd, fs_fd;
        struct recipe_reader *recipe;
        struct recipe_kept *kept;
        EVP_MD_CTX *md;
        layer_out_fn out;
        void *userdata;
        char *buf;

        char path[PATH_MAX]; /* of the latest node */
        uint64_t nodes;      /* its ordinal is nodes - 1 */
        int file_fd;         /* its file, once content of it was wanted */
};

static int damaged(const struct pack *p, const char *why, struct err **reterr)
{
        int r = err_new(reterr, ERR_INVALID, "the layer is damaged: '%s': %s", p->path, why);

        return err_hint(reterr, r, "remove the image and load or import it again");
}

static int give(struct pack *p, const void *data, size_t n, struct err **reterr)
{
        int r;

        EVP_DigestUpdate(p->md, data, n);
        r = p->out(p->userdata, data, n);
        return r < 0 ? err_sys(reterr, -r, "write the layer's archive") : 0;
}

static int open_content(struct pack *p, struct err **reterr)
{
        char moved[2 * PATH_MAX];
        const char *at;

        if (p->nodes == 0)
                return damaged(p, "content of no file", reterr);
        at = recipe_kept_find(p->kept, p->nodes - 1, p->path, moved, sizeof(moved));
        p->file_fd = sys_openat2(at ? p->layer_fd : p->fs_fd, at ? at : p->path,
                                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, BENEATH);
        if (p->file_fd == -ENOENT || p->file_fd == -ENOTDIR || p->file_fd == -ELOOP)
                return damaged(p, "the file is missing", reterr);
        if (p->file_fd < 0)
                return err_sys(reterr, -p->file_fd, "open '%s' of the layer", p->path);
        return 0;
}

static int give_content(struct pack *p, uint64_t at, uint64_t n, struct err **reterr)
{
        int r = p->file_fd < 0 ? open_content(p, reterr) : 0;

        while (r == 0 && n > 0) {
                ssize_t k =
                    pread(p->file_fd, p->buf, (size_t)MIN((uint64_t)COPY_SIZE, n), (off_t)at);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return err_sys(reterr, errno, "read '%s' of the layer", p->path);
                if (k == 0)
                        return damaged(p, "the file is too short", reterr);
                r = give(p, p->buf, (size_t)k, reterr);
                at += (uint64_t)k;
                n -= (uint64_t)k;
        }
        return r;
}

static int give_all(struct pack *p, struct err **reterr)
{
        for (;;) {
                struct recipe_record rec;
                int r = recipe_next(p->recipe, &rec, reterr);

                if (r < 0)
                        return r;
                switch (rec.type) {
                case RECIPE_RAW:
                        r = give(p, rec.data, (size_t)rec.n, reterr);
                        break;
                case RECIPE_NODE:
                        p->file_fd = fd_close(p->file_fd);
                        memcpy(p->path, rec.node.path, strlen(rec.node.path) + 1);
                        p->nodes++;
                        break;
                case RECIPE_CONTENT:
                        r = give_content(p, rec.offset, rec.n, reterr);
                        break;
                case RECIPE_KEPT:
                        break;
                case RECIPE_END:
                default:
                        return 0;
                }
                if (r < 0)
                        return r;
        }
}

static int check_digest(struct pack *p, const char *diff_id, struct err **reterr)
{
        unsigned char sum[EVP_MAX_MD_SIZE];
        char hex[2 * EVP_MAX_MD_SIZE + 1];
        unsigned n = 0;

        EVP_DigestFinal_ex(p->md, sum, &n);
        for (unsigned i = 0; i < n; i++)
                (void)snprintf(hex + (size_t)2 * i, 3, "%02x", sum[i]);
        if (strncmp(diff_id, "sha256:", 7) == 0 && strcmp(diff_id + 7, hex) == 0)
                return 0;
        p->path[0] = '\0';
        int r = err_new(reterr, ERR_INVALID, "the layer is damaged: its archive is no longer %s",
                        diff_id);
        return err_hint(reterr, r, "remove the image and load or import it again");
}

static int start(struct pack *p, struct err **reterr)
{
        int r;

        p->fs_fd = openat(p->layer_fd, LAYER_FS_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (p->fs_fd < 0)
                return err_sys(reterr, errno, "open the layer's files");
        p->md = EVP_MD_CTX_new();
        if (!p->md || EVP_DigestInit_ex(p->md, EVP_sha256(), NULL) != 1)
                return err_new(reterr, ERR_UNSUPPORTED, "libcrypto gives no sha256");
        p->buf = xmalloc(COPY_SIZE);
        r = recipe_kept_load(p->layer_fd, &p->kept, reterr);
        return r < 0 ? r : recipe_open(p->layer_fd, &p->recipe, reterr);
}

int layer_pack(int layer_fd, layer_out_fn out, void *userdata, struct err **reterr)
{
        struct pack p = {.layer_fd = layer_fd,
                         .fs_fd = -EBADF,
                         .file_fd = -EBADF,
                         .out = out,
                         .userdata = userdata};
        AUTO(layer_info_release) struct layer_info info = {0};
        int r = layer_info_read(layer_fd, &info, reterr);

        if (r == 0)
                r = start(&p, reterr);
        if (r == 0)
                r = give_all(&p, reterr);
        if (r == 0)
                r = check_digest(&p, info.diff_id, reterr);
        (void)recipe_reader_free(p.recipe);
        (void)recipe_kept_free(p.kept);
        (void)fd_close(p.file_fd);
        (void)fd_close(p.fs_fd);
        EVP_MD_CTX_free(p.md);
        free(p.buf);
        return r;
}
