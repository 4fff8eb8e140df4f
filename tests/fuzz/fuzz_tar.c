/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's archive, hostile: it is unpacked over a lower layer with small limits. What unpacks must pack again to the same bytes (layer_pack()
 * checks the digest), and a file beside the layer must be as it was. The first byte holds switches: 1 puts checksums right, since no
 * fuzzer finds them.
 */
#include "fuzz.h"
#include "fuzz_layer.h"

#include <sys/stat.h>

#include "base/err.h"
#include "image/tar_internal.h"

struct source {
        const uint8_t *data;
        size_t n;
};

static ssize_t source_read(void *userdata, void *buf, size_t n)
{
        struct source *s = userdata;

        n = MIN(n, s->n);
        memcpy(buf, s->data, n);
        s->data += n;
        s->n -= n;
        return (ssize_t)n;
}

static void fix_checksums(uint8_t *p, size_t n)
{
        for (size_t at = 0; at + TAR_BLOCK_SIZE <= n;) {
                int64_t size = 0;
                unsigned sum = 0;
                char text[8];

                if (tar_block_is_zero(p + at))
                        return;
                memset(p + at + 148, ' ', 8);
                for (unsigned i = 0; i < TAR_BLOCK_SIZE; i++)
                        sum += p[at + i];
                (void)snprintf(text, sizeof(text), "%06o", sum);
                memcpy(p + at + 148, text, 7);
                if (tar_number(p + at + 124, 12, &size) < 0 || size < 0 || size > (int64_t)n)
                        size = 0;
                at += TAR_BLOCK_SIZE * (size_t)(1 + (size + TAR_BLOCK_SIZE - 1) / TAR_BLOCK_SIZE);
        }
}

static int discard(void *userdata, const void *data, size_t n)
{
        (void)userdata;
        (void)data;
        (void)n;
        return 0;
}

/* fs of the lower layer: a link as parent, a file to link to, a directory with content. */
static int make_lower(int dir)
{
        int fd;

        CHECK(mkdirat(dir, "lower", 0755) == 0 && mkdirat(dir, "lower/usr", 0750) == 0);
        CHECK(mkdirat(dir, "lower/d", 0755) == 0 && symlinkat("usr", dir, "lower/lib") == 0);
        fuzz_write(dir, "lower/low", "low", 3);
        fuzz_write(dir, "lower/d/x", "x", 1);
        fd = openat(dir, "lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(fd >= 0);
        fuzz_write(dir, "outside", "safe", 4);
        return fd;
}

static void check_outside(int dir)
{
        struct stat st;

        CHECK(fstatat(dir, "outside", &st, AT_SYMLINK_NOFOLLOW) == 0);
        CHECK(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0644 && st.st_size == 4 &&
              st.st_nlink == 1);
}

static void unpack(struct fuzz_place *p, struct source *src, const int *lower, bool with_lower)
{
        static const char *const lower_name = "lower";
        struct stream_opts so = STREAM_OPTS_INIT;
        struct layer_unpack_opts o = {
            .maps = p->maps,
            .lower_fds = lower,
            .lower_names = (char *const *)&lower_name,
            .n_lowers = with_lower,
            .limits = {.entries = 300, .bytes = 4 << 20, .file_size = 1 << 20},
        };
        AUTO(stream_freep) struct stream *s = NULL;
        struct layer_result res;

        so.read = source_read;
        so.userdata = src;
        so.max_content = 4 << 20;
        if (stream_open(&so, &s, NULL) < 0)
                return;
        if (layer_unpack(s, p->dir, "new", &o, &res, NULL) >= 0) {
                AUTO_CLOSE int layer = openat(p->dir, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                AUTO_ERR struct err *e = NULL;

                layer_info_release(&res.info);
                if (layer_pack(layer, discard, NULL, &e) < 0) {
                        err_print(e, stderr, "pack", 0);
                        abort();
                }
        }
        CHECK(path_remove_tree(p->dir, "new", NULL) >= 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        (void)fuzz_place();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static int lower = -EBADF;
        struct fuzz_place *p = fuzz_place();
        AUTO_FREE uint8_t *copy = NULL;

        if (lower < 0)
                lower = make_lower(p->dir);
        if (n == 0)
                return 0;
        copy = xmalloc(n);
        memcpy(copy, data + 1, n - 1);
        if (data[0] & 1)
                fix_checksums(copy, n - 1);
        unpack(p, &(struct source){copy, n - 1}, &lower, !(data[0] & 2));
        check_outside(p->dir);
        return 0;
}
