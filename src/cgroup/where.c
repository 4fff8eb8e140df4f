/* SPDX-License-Identifier: Apache-2.0 */
/* where.c — the v2 hierarchy as it is mounted here, and where in it we are. */
#include "cgroup/cgroup_internal.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#define MOUNTINFO_MAX (16 * 1024 * 1024)

/* Where distributions have it: alone, or (hybrid) beside v1. */
static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

static int open_v2(const char *path)
{
        struct statfs fs;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                return fd;
        return fd_close(fd);
}

/* The directory of the hierarchy that is mounted at @path: field 4 of mountinfo. The last one is on top. */
static char *mounted_root(const char *path)
{
        AUTO_FREE char *text = NULL;
        AUTO_STRV lines = {0};
        char *root = NULL;
        size_t n;

        if (io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, &n, NULL) < 0)
                return NULL;
        strv_split(&lines, text, '\n');
        for (size_t i = 0; i < lines.n; i++) {
                AUTO_STRV words = {0};

                strv_split(&words, lines.v[i], ' ');
                if (words.n > 5 && strcmp(words.v[4], path) == 0) {
                        free(root);
                        root = xstrdup(words.v[3]);
                }
        }
        return root;
}

/* From "0::/user.slice/…" of /proc/self/cgroup; it is relative to the root of our cgroup namespace, as mountinfo's is. */
static char *own_path(const char *root)
{
        AUTO_FREE char *text = NULL;
        AUTO_STRV lines = {0};
        size_t n, skip = root && strcmp(root, "/") != 0 ? strlen(root) : 0;

        if (io_read_file(AT_FDCWD, "/proc/self/cgroup", CGROUP_FILE_MAX, &text, &n, NULL) < 0)
                return NULL;
        strv_split(&lines, text, '\n');
        for (size_t i = 0; i < lines.n; i++) {
                const char *path = lines.v[i] + 3;

                if (!str_starts(lines.v[i], "0::/"))
                        continue;
                if (skip && (strncmp(path, root, skip) != 0 || (path[skip] && path[skip] != '/')))
                        return NULL;
                if (str_starts(path, "/..")) /* above the namespace's root */
                        return NULL;
                return xstrdup(path[skip] ? path + skip : "/");
        }
        return NULL;
}

int cgroup_mount_open(struct cgroup_mount *ret, struct err **reterr)
{
        int r;

        *ret = (struct cgroup_mount){.fd = -EBADF};
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                AUTO_FREE char *root = NULL;
                int fd = open_v2(places[i]);

                if (fd < 0)
                        continue;
                root = mounted_root(places[i]);
                *ret = (struct cgroup_mount){
                    .fd = fd, .path = xstrdup(places[i]), .own = own_path(root), .hybrid = i > 0};
                return 0;
        }
        r = err_new(reterr, ERR_UNSUPPORTED, "cgroup v2 is not mounted at /sys/fs/cgroup");
        return err_hint(reterr, r,
                        "boot with systemd.unified_cgroup_hierarchy=1, or run without "
                        "limits");
}

void cgroup_mount_release(struct cgroup_mount *m)
{
        m->fd = fd_close(m->fd);
        free(m->path);
        free(m->own);
        *m = (struct cgroup_mount){.fd = -EBADF};
}

/* ---- small files ---- */

char *cgroup_read(int fd, const char *file)
{
        char *text = NULL;
        size_t n;

        return fd >= 0 && io_read_file(fd, file, CGROUP_FILE_MAX, &text, &n, NULL) == 0 ? text
                                                                                        : NULL;
}

int cgroup_write(int fd, const char *file, const char *value)
{
        AUTO_CLOSE int out = openat(fd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

        return out < 0 ? -errno : io_write_full(out, value, strlen(value));
}

uint64_t cgroup_keyed(const char *text, const char *key)
{
        size_t n = strlen(key);

        while (text && *text) {
                if (strncmp(text, key, n) == 0 && text[n] == ' ') {
                        uint64_t v = 0;

                        for (text += n + 1; *text >= '0' && *text <= '9'; text++)
                                v = v * 10 + (uint64_t)(*text - '0');
                        return v;
                }
                text = strchr(text, '\n');
                text = text ? text + 1 : NULL;
        }
        return 0;
}

bool cgroup_has_word(const char *words, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = words; p && *p; p += strspn(p, " \n")) {
                size_t len = strcspn(p, " \n");

                if (len == n && strncmp(p, word, n) == 0)
                        return true;
                p += len;
        }
        return false;
}
