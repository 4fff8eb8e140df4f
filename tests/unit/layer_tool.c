/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_tool — drives src/image's layers from tests/integration/test_layers.py, as kelp-image does inside U.
 *
 *   layer_tool [OPTION…] unpack DIR NAME [LOWER…]   standard input → DIR/NAME; LOWER: layer directories, lowest first. Prints the result
 *   layer_tool pack LAYER                            → standard output
 *   layer_tool [OPTION…] reown LAYER TMP             prints the variant's name
 *   layer_tool copy TARGET FS…
 * Options: --map IN:OUT:COUNT (container → us, uid and gid; may be repeated; default 0:0:4294967295), --host IN:OUT:COUNT (us → host),
 *   --tee FILE, --entries N, --inodes N, --bytes N, --thread y|n
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "idmap/idmap.h"
#include "image/layer.h"

static struct id_map inner, outer;
static struct layer_unpack_opts opts;
static int tee_fd = -EBADF;
static bool threaded = true;

static int fail(struct err *e)
{
        err_print(e, stderr, "layer_tool", 0);
        (void)err_free(e);
        return 1;
}

static int open_dir(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0) {
                perror(path);
                exit(2);
        }
        return fd;
}

static void warn(void *userdata, const char *text)
{
        (void)userdata;
        (void)fprintf(stderr, "warning: %s\n", text);
}

/* Of this program alone: getrusage() would count what the process was before exec, too. */
static unsigned long peak_kib(void)
{
        AUTO_FREE char *text = NULL;
        const char *line;
        size_t n;

        if (io_read_file(AT_FDCWD, "/proc/self/status", 1 << 16, &text, &n, NULL) < 0)
                return 0;
        line = strstr(text, "VmHWM:");
        return line ? strtoul(line + 6, NULL, 10) : 0;
}

static int cmd_unpack(int argc, char **argv)
{
        struct stream_opts so = STREAM_OPTS_INIT;
        AUTO(stream_freep) struct stream *s = NULL;
        struct layer_result res;
        struct err *e = NULL;
        int fds[64];
        char *names[64];

        for (int i = 2; i < argc && i < 66; i++) {
                AUTO_FREE char *fs = path_join(argv[i], "fs");

                fds[i - 2] = open_dir(fs);
                names[i - 2] = (char *)path_last(argv[i]);
                opts.n_lowers++;
        }
        opts.lower_fds = fds;
        opts.lower_names = names;
        so.fd = 0;
        so.tee_fd = tee_fd;
        so.what = "layer";
        so.threaded = threaded;
        so.max_ratio = STREAM_RATIO_MAX;
        if (stream_open(&so, &s, &e) < 0)
                return fail(e);
        if (layer_unpack(s, open_dir(argv[0]), argv[1], &opts, &res, &e) < 0)
                return fail(e);
        printf("%s %s %s %lu\n", res.name, res.info.blob_digest, res.info.format, peak_kib());
        layer_info_release(&res.info);
        return 0;
}

static int out(void *userdata, const void *data, size_t n)
{
        (void)userdata;
        return io_write_full(1, data, n);
}

static int cmd_pack(int argc, char **argv)
{
        struct err *e = NULL;

        (void)argc;
        return layer_pack(open_dir(argv[0]), out, NULL, &e) < 0 ? fail(e) : 0;
}

static int cmd_reown(int argc, char **argv)
{
        char dir[LAYER_DIR_MAX];
        struct err *e = NULL;

        (void)argc;
        if (layer_reown(open_dir(argv[0]), open_dir(argv[1]), &opts.maps, dir, &e) < 0)
                return fail(e);
        printf("%s\n", dir);
        return 0;
}

static int cmd_copy(int argc, char **argv)
{
        struct err *e = NULL;
        int fds[64];

        for (int i = 1; i < argc && i < 65; i++)
                fds[i - 1] = open_dir(argv[i]);
        return layer_copy_stack(fds, (size_t)(argc - 1), open_dir(argv[0]), &e) < 0 ? fail(e) : 0;
}

static void add_map(struct id_map *m, const char *text)
{
        unsigned in, to, count;

        if (sscanf(text, "%u:%u:%u", &in, &to, &count) != 3)
                exit(2);
        id_map_add(m, in, to, count);
}

static const struct command {
        const char *name;
        int min_args;
        int (*run)(int argc, char **argv);
} commands[] = {
    {"unpack", 2, cmd_unpack},
    {"pack", 1, cmd_pack},
    {"reown", 2, cmd_reown},
    {"copy", 2, cmd_copy},
};

static int take_option(const char *name, const char *value)
{
        if (strcmp(name, "--map") == 0)
                add_map(&inner, value);
        else if (strcmp(name, "--host") == 0)
                add_map(&outer, value);
        else if (strcmp(name, "--tee") == 0)
                tee_fd = open(value, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        else if (strcmp(name, "--entries") == 0)
                opts.limits.entries = strtoull(value, NULL, 10);
        else if (strcmp(name, "--inodes") == 0)
                opts.limits.inodes = strtoull(value, NULL, 10);
        else if (strcmp(name, "--bytes") == 0)
                opts.limits.bytes = strtoull(value, NULL, 10);
        else if (strcmp(name, "--thread") == 0)
                threaded = value[0] == 'y';
        else
                return -1;
        return 0;
}

int main(int argc, char **argv)
{
        int i = 1;

        opts.limits = LAYER_LIMITS_DEFAULT;
        opts.warn = warn;
        for (; i + 1 < argc && argv[i][0] == '-'; i += 2)
                if (take_option(argv[i], argv[i + 1]) < 0)
                        return 2;
        if (inner.n == 0)
                id_map_add(&inner, 0, 0, UINT32_MAX);
        if (outer.n == 0)
                id_map_add(&outer, 0, 0, UINT32_MAX);
        opts.maps = (struct layer_maps){&inner, &inner, &outer, &outer};
        for (size_t k = 0; i < argc && k < ARRAY_SIZE(commands); k++)
                if (strcmp(argv[i], commands[k].name) == 0 && argc - i - 1 >= commands[k].min_args)
                        return commands[k].run(argc - i - 1, argv + i + 1);
        return 2;
}
