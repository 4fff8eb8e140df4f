/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp-seccomp PROFILE CAPS KEY — compiles a profile into the cache, whose directory is descriptor 3. PROFILE "-": that of a bundle, on
 * standard input.
 *
 * Run by the monitor on a cache miss, and a program of its own so that a container start does not load libseccomp. On
 * failure the error goes to standard output, encoded; the exit code is then 1. Point of no return: the rename of the finished file.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "security/profile.h"
#include "security/seccomp_cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CACHE_FD       3
#define BUNDLE_PROFILE "linux.seccomp"

static int read_profile(const char *path, struct json_object **ret, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        size_t len;
        int r;

        if (strcmp(path, "-") != 0)
                return json_read_file(AT_FDCWD, path, PROFILE_FILE_MAX, ret, reterr);
        r = io_read_fd(STDIN_FILENO, BUNDLE_PROFILE, PROFILE_FILE_MAX, &text, &len, reterr);
        return r < 0 ? r : json_parse(text, len, BUNDLE_PROFILE, ret, reterr);
}

static int run(const char *path, uint64_t caps, const char *key, struct err **reterr)
{
        AUTO_JSON *obj = NULL;
        struct seccomp_filter filter = {0};
        struct profile profile = {0};
        struct profile_host host;
        int r;

        (void)profile_host_get(caps, &host);
        host.bundle = strcmp(path, "-") == 0;
        r = read_profile(path, &obj, reterr);
        if (r == 0)
                r = profile_parse(obj, host.bundle ? BUNDLE_PROFILE : path, &host, &profile,
                                  reterr);
        if (r == 0)
                r = profile_compile(&profile, &filter, reterr);
        if (r == 0)
                r = seccomp_cache_write(CACHE_FD, key, &filter, reterr);
        profile_release(&profile);
        seccomp_filter_release(&filter);
        return r;
}

static void report(const struct err *e)
{
        AUTO_JSON *obj = err_encode(e);
        const char *text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN);

        (void)io_write_full(STDOUT_FILENO, text, strlen(text));
}

int main(int argc, char **argv)
{
        AUTO_ERR struct err *e = NULL;
        uint64_t caps;

        if (fd_sanitize_stdio() < 0)
                return 1;
        if (argc != 4) {
                (void)fprintf(stderr, "kelp-seccomp: run by kelp-monitor, not by hand\n");
                return 2;
        }
        if (parse_u64(argv[2], &caps) < 0 || strlen(argv[3]) > SECCOMP_CACHE_KEY_MAX)
                return 2;
        if (run(argv[1], caps, argv[3], &e) < 0) {
                report(e);
                return 1;
        }
        return 0;
}
