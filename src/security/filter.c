/* SPDX-License-Identifier: Apache-2.0 */
#include "security/filter.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/process.h"
#include "base/str.h"
#include "config.h"
#include "security/seccomp_cache.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECCOMP_REPLY_MAX 65536

static char *seccomp_readable_take(char *path)
{
        if (access(path, R_OK) == 0)
                return path;
        free(path);
        return NULL;
}

/* In a build tree the profile lies below the helper programs, where they were copied together beside them; installed, in the
 * data directory, found from where they are so that a whole prefix can be moved. */
static char *seccomp_own_profile(void)
{
        static const char *const places[] = {"src/security", ".", "../../share/kelp"};
        AUTO_FREE char *helper = process_helper_path("kelp-seccomp");
        int dir_len = (int)(strrchr(helper, '/') - helper);

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                char *path = seccomp_readable_take(
                    xasprintf("%.*s/%s/seccomp.json", dir_len, helper, places[i]));
                if (path)
                        return path;
        }
        return xstrdup(KELP_DATADIR "/kelp/seccomp.json");
}

char *seccomp_default_profile(bool *ret_own)
{
        const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        char *path = NULL;

        if (config && config[0] == '/')
                path = seccomp_readable_take(xasprintf("%s/containers/seccomp.json", config));
        else if (home && home[0] == '/')
                path = seccomp_readable_take(xasprintf("%s/.config/containers/seccomp.json", home));
        if (!path)
                path = seccomp_readable_take(xstrdup("/etc/containers/seccomp.json"));
        *ret_own = !path;
        return path ? path : seccomp_own_profile();
}

/* What the program said: nothing and 0, or an encoded error and something else. */
static int seccomp_verdict(int code, const char *text, size_t len, struct err **reterr)
{
        AUTO_JSON *obj = NULL;
        int r;

        if (code == 0)
                return 0;
        if (len == 0)
                return err_new(reterr, ERR_INVALID, "kelp-seccomp ended with %d and no reason",
                               code);
        r = json_parse(text, len, "kelp-seccomp", &obj, reterr);
        if (r < 0)
                return r;
        return err_decode(reterr, obj);
}

/* Runs kelp-seccomp, which writes the filter into the cache under the same key. @in: its standard input, for the profile "-". */
static int seccomp_compile(const char *profile, int in, const char *key, uint64_t caps,
                           int cache_fd, struct err **reterr)
{
        AUTO_FREE char *helper = process_helper_path("kelp-seccomp"), *text = NULL;
        AUTO_CLOSE int pidfd = -EBADF, rd = -EBADF, wr = -EBADF;
        char mask[24];
        char *argv[] = {(char *)"kelp-seccomp", (char *)profile, mask, (char *)key, NULL};
        int pipe_fds[2], fds[4], code, r;
        struct process_spawn_opts opts = {
            .path = helper,
            .argv = argv,
            .fds = fds,
            .n_fds = ARRAY_SIZE(fds),
            .reset_signals = true,
            .death_signal = 9,
        };
        size_t len;
        pid_t pid;

        (void)snprintf(mask, sizeof(mask), "%" PRIu64, caps);
        r = fd_pipe(pipe_fds, reterr);
        if (r < 0)
                return r;
        rd = pipe_fds[0];
        wr = pipe_fds[1];
        fds[0] = in;
        fds[1] = wr;
        fds[2] = STDERR_FILENO;
        fds[3] = cache_fd;
        r = process_spawn(&opts, &pid, &pidfd, reterr);
        if (r < 0)
                return r;
        wr = fd_close(wr);
        r = io_read_fd(rd, "kelp-seccomp", SECCOMP_REPLY_MAX, &text, &len, reterr);
        if (r < 0)
                return r;
        code = process_wait(pidfd, reterr);
        if (code < 0)
                return code;
        return seccomp_verdict(code, text, len, reterr);
}

int seccomp_filter_get(const char *profile, uint64_t caps, int cache_fd, struct seccomp_filter *ret,
                       struct err **reterr)
{
        AUTO_FREE char *key = NULL;
        int r;

        r = seccomp_cache_key(profile, caps, &key, reterr);
        if (r < 0)
                return r;
        if (seccomp_cache_read(cache_fd, key, ret) == 0)
                return 0;
        r = seccomp_compile(profile, -EBADF, key, caps, cache_fd, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "compile seccomp profile '%s'", profile);
        r = seccomp_cache_read(cache_fd, key, ret);
        if (r < 0)
                return err_new(reterr, ERR_INVALID,
                               "seccomp profile '%s': the compiled filter is not in the cache",
                               profile);
        return 0;
}

static int seccomp_text_file(const char *text, size_t len, struct err **reterr)
{
        AUTO_CLOSE int fd = memfd_create("seccomp", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "make a memory file");
        r = io_write_full(fd, text, len);
        if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return err_sys(reterr, r < 0 ? -r : errno, "write a memory file");
        return TAKE_FD(fd);
}

int seccomp_filter_get_text(const char *text, size_t len, int cache_fd, struct seccomp_filter *ret,
                            struct err **reterr)
{
        AUTO_FREE char *key = NULL;
        AUTO_CLOSE int in = -EBADF;
        int r;

        r = seccomp_cache_key_text(text, len, &key, reterr);
        if (r < 0)
                return r;
        if (seccomp_cache_read(cache_fd, key, ret) == 0)
                return 0;
        in = seccomp_text_file(text, len, reterr);
        if (in < 0)
                return in;
        /* Conditions on capabilities are no part of the runtime specification, so that all containers with the profile share its filter. */
        r = seccomp_compile("-", in, key, 0, cache_fd, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "compile the seccomp profile");
        if (seccomp_cache_read(cache_fd, key, ret) < 0)
                return err_new(reterr, ERR_INVALID,
                               "the compiled seccomp filter is not in the cache");
        return 0;
}
