/* SPDX-License-Identifier: Apache-2.0 */
#include "security/seccomp_cache.h"

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/sha256.h"
#include "base/str.h"
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

uint64_t seccomp_cache_hash(uint64_t hash, const void *data, size_t n)
{
        const unsigned char *p = data;

        for (size_t i = 0; i < n; i++)
                hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
        return hash;
}

void seccomp_cache_name(const char *key, char name[SECCOMP_CACHE_NAME_MAX])
{
        uint64_t hash = seccomp_cache_hash(SECCOMP_CACHE_HASH_INIT, key, strlen(key));

        (void)snprintf(name, SECCOMP_CACHE_NAME_MAX, "seccomp-%016" PRIx64, hash);
}

int seccomp_cache_key(const char *profile, uint64_t caps, char **ret, struct err **reterr)
{
        struct utsname host;
        struct stat st;

        if (stat(profile, &st) < 0)
                return err_sys(reterr, errno, "seccomp profile '%s'", profile);
        if (!S_ISREG(st.st_mode))
                return err_new(reterr, ERR_USAGE, "seccomp profile '%s' is not a regular file",
                               profile);
        if (uname(&host) < 0)
                return err_sys(reterr, errno, "ask the kernel for its name");
        /* The change time, which nobody can set, makes an edit that keeps size and modification time visible. The kernel's
         * release is part of it since profiles may ask for a minimum. */
        *ret = xasprintf("%s %ju:%ju %jd %jd.%09ld %jd.%09ld caps=%" PRIx64 " %s %s kelp=%s lib=%s",
                         profile, (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
                         (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                         (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, caps, host.machine,
                         host.release, KELP_VERSION, KELP_SECCOMP_VERSION);
        return 0;
}

int seccomp_cache_key_text(const char *text, size_t len, char **ret, struct err **reterr)
{
        unsigned char digest[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        struct utsname host;
        struct sha256 s;

        if (uname(&host) < 0)
                return err_sys(reterr, errno, "ask the kernel for its name");
        sha256_init(&s);
        sha256_add(&s, text, len);
        sha256_end(&s, digest);
        for (size_t i = 0; i < SHA256_SIZE; i++)
                (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        *ret = xasprintf("sha256:%s %s %s kelp=%s lib=%s", hex, host.machine, host.release,
                         KELP_VERSION, KELP_SECCOMP_VERSION);
        return 0;
}

/* The header agrees with the file's length, the key is ours, the checksum fits. */
static bool seccomp_cache_valid(const char *data, size_t len, const char *key)
{
        struct seccomp_cache_header head;
        size_t key_len = strlen(key), insns_len;

        if (len < sizeof(head))
                return false;
        memcpy(&head, data, sizeof(head));
        if (memcmp(head.magic, SECCOMP_CACHE_MAGIC, sizeof(head.magic)) != 0)
                return false;
        if (head.key_len != key_len || head.n_insns == 0 || head.n_insns > SECCOMP_INSNS_MAX)
                return false;
        insns_len = head.n_insns * sizeof(struct sock_filter);
        if (len != sizeof(head) + key_len + insns_len)
                return false;
        if (memcmp(data + sizeof(head), key, key_len) != 0)
                return false;
        return head.checksum == seccomp_cache_hash(SECCOMP_CACHE_HASH_INIT ^ head.flags,
                                                   data + sizeof(head), key_len + insns_len);
}

int seccomp_cache_read(int cache_fd, const char *key, struct seccomp_filter *ret)
{
        enum {
                ROOM = sizeof(struct seccomp_cache_header) + SECCOMP_CACHE_KEY_MAX +
                       SECCOMP_INSNS_MAX * sizeof(struct sock_filter)
        };
        AUTO_FREE char *data = NULL;
        AUTO_CLOSE int fd = -EBADF;
        char name[SECCOMP_CACHE_NAME_MAX];
        struct stat st;
        ssize_t n;

        seccomp_cache_name(key, name);
        fd = openat(cache_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -ENOENT;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
            (st.st_mode & 0777) != 0600 || st.st_size <= 0 || st.st_size > ROOM)
                return -ENOENT;
        data = xmalloc((size_t)st.st_size);
        n = io_read_some(fd, data, (size_t)st.st_size);
        if (n != st.st_size || !seccomp_cache_valid(data, (size_t)n, key))
                return -ENOENT;
        ret->n = ((size_t)n - sizeof(struct seccomp_cache_header) - strlen(key)) /
                 sizeof(struct sock_filter);
        ret->insns = xcalloc(ret->n, sizeof(*ret->insns));
        memcpy(&ret->flags, data + offsetof(struct seccomp_cache_header, flags),
               sizeof(ret->flags));
        memcpy(ret->insns, data + n - ret->n * sizeof(*ret->insns), ret->n * sizeof(*ret->insns));
        return 0;
}

int seccomp_cache_write(int cache_fd, const char *key, const struct seccomp_filter *f,
                        struct err **reterr)
{
        struct seccomp_cache_header head = {
            .key_len = (uint32_t)strlen(key),
            .n_insns = (uint32_t)f->n,
            .flags = f->flags,
        };
        AUTO_STRBUF b = {0};
        char name[SECCOMP_CACHE_NAME_MAX];

        memcpy(head.magic, SECCOMP_CACHE_MAGIC, sizeof(head.magic));
        strbuf_add_len(&b, &head, sizeof(head));
        strbuf_add(&b, key);
        strbuf_add_len(&b, f->insns, f->n * sizeof(*f->insns));
        head.checksum = seccomp_cache_hash(SECCOMP_CACHE_HASH_INIT ^ head.flags,
                                           b.data + sizeof(head), b.len - sizeof(head));
        memcpy(b.data, &head, sizeof(head));
        seccomp_cache_name(key, name);
        /* Not durable: a torn file is a miss, found by its checksum. */
        return atomic_file_write(cache_fd, name, b.data, b.len, 0600, false, reterr);
}

void seccomp_filter_release(struct seccomp_filter *f)
{
        free(f->insns);
        *f = (struct seccomp_filter){0};
}
