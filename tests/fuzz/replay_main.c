/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_main — runs a fuzz target once for every file of the directories (or files) given, where there is no libFuzzer.
 * For each input it also runs every prefix up to a bound: half-read input is what parsers trip over.
 */
#include "fuzz.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPLAY_MAX          (16U * 1024 * 1024)
#define REPLAY_MAX_PREFIXES 512U

/* A copy of exactly @n bytes, so that reading one too many is seen by the sanitizers. */
static void run_exact(const char *data, size_t n)
{
        AUTO_FREE char *copy = xmalloc(n);

        memcpy(copy, data, n);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)copy, n);
}

static int replay_file(int dirfd, const char *name)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *data = NULL;
        size_t n, step;

        if (io_read_file(dirfd, name, REPLAY_MAX, &data, &n, &e) < 0) {
                err_print(e, stderr, "replay", 0);
                return -1;
        }
        step = n / REPLAY_MAX_PREFIXES + 1;
        for (size_t i = 0; i < n; i += step)
                run_exact(data, i);
        run_exact(data, n);
        return 0;
}

/* Number of inputs run, or -1. */
static int replay_directory(const char *path)
{
        DIR *dir = opendir(path);
        struct dirent *d;
        int count = 0;

        if (!dir) {
                perror(path);
                return -1;
        }
        while (count >= 0 && (d = readdir(dir)))
                if (d->d_name[0] != '.')
                        count = replay_file(dirfd(dir), d->d_name) < 0 ? -1 : count + 1;
        (void)closedir(dir);
        return count;
}

int main(int argc, char **argv)
{
        int total = 0;

        for (int i = 1; i < argc; i++) {
                int n = replay_directory(argv[i]);

                if (n < 0)
                        return 1;
                total += n;
        }
        (void)printf("%d inputs\n", total);
        /* An empty corpus tests nothing, and should not look like a success. */
        return total > 0 ? 0 : 1;
}
