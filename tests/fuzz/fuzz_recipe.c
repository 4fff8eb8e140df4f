/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's recipe, damaged: packing and re-owning must fail or succeed, and give nothing of what lies outside the layer. */
#include "fuzz.h"
#include "fuzz_layer.h"

#include <sys/stat.h>

#include "base/err.h"
#include "image/recipe.h"

#define SECRET "outside-secret"
static const char info[] =
    "{\"diffId\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\","
    "\"blob\":\"\",\"format\":\"plain\","
    "\"blobSize\":0,\"tarSize\":0,\"bytes\":0,\"diskBytes\":0,\"inodes\":0,\"entries\":0,\"uids\":["
    "[0,1,1]],\"gids\":[[0,0,1]]}";

static int look_for_secret(void *userdata, const void *data, size_t n)
{
        (void)userdata;
        CHECK(!memmem(data, n, SECRET, strlen(SECRET)));
        return 0;
}

static int make_layer(int dir)
{
        int fd;

        CHECK(mkdirat(dir, "layer", 0755) == 0 && mkdirat(dir, "tmp", 0755) == 0);
        CHECK(mkdirat(dir, "layer/fs", 0755) == 0 && mkdirat(dir, "layer/fs/d", 0755) == 0);
        CHECK(mkdirat(dir, "layer/kept", 0755) == 0 && mkdirat(dir, "layer/kept/0", 0755) == 0);
        fuzz_write(dir, "layer/fs/f", "content", 7);
        fuzz_write(dir, "layer/kept/0/g", "g", 1);
        CHECK(symlinkat("../../outside", dir, "layer/fs/l") == 0);
        fuzz_write(dir, "outside", SECRET, strlen(SECRET));
        fuzz_write(dir, "layer/info.json", info, sizeof(info) - 1);
        fd = openat(dir, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(fd >= 0);
        return fd;
}

static void reown(struct fuzz_place *p, int layer)
{
        AUTO_CLOSE int tmp = openat(p->dir, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char name[LAYER_DIR_MAX];

        if (layer_reown(layer, tmp, &p->maps, name, NULL) >= 0)
                CHECK(path_remove_tree(layer, name, NULL) >= 0);
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
        static const char magic[] = "KELP-RECIPE-1\n";
        static int layer = -EBADF;
        struct fuzz_place *p = fuzz_place();
        AUTO_FREE char *copy = xmalloc(n + sizeof(magic));

        if (layer < 0)
                layer = make_layer(p->dir);
        /* Not compressed: the stream takes it as it comes. */
        memcpy(copy, magic, sizeof(magic) - 1);
        memcpy(copy + sizeof(magic) - 1, data, n);
        fuzz_write(layer, RECIPE_NAME, copy, n + sizeof(magic) - 1);
        (void)layer_pack(layer, look_for_secret, NULL, NULL);
        if (n < 2048)
                reown(p, layer);
        return 0;
}
