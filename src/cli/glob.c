/* SPDX-License-Identifier: Apache-2.0 */
/* glob — see glob.h. */
#include "cli/glob.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_wildcard(const char *s)
{
        return strpbrk(s, "*?[") != NULL;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every entry of the directories in @from whose name matches. A directory that cannot be read has none. */
static void match_names(const struct strv *from, const char *pattern, struct strv *to)
{
        for (size_t i = 0; i < from->n; i++) {
                DIR *dir = opendir(*from->v[i] ? from->v[i] : "/");

                for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
                        if (fnmatch(pattern, e->d_name, FNM_PERIOD) == 0 &&
                            strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                                strv_addf(to, "%s/%s", from->v[i], e->d_name);
                }
                if (dir)
                        (void)closedir(dir);
        }
}

static void match_literally(const struct strv *from, const char *name, struct strv *to)
{
        for (size_t i = 0; i < from->n; i++) {
                AUTO_FREE char *path = xasprintf("%s/%s", from->v[i], name);

                if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                        strv_add(to, path);
        }
}

int glob_expand(const char *pattern, struct strv *ret, size_t *ret_base)
{
        AUTO_STRV parts = {0};
        struct strv now = {0};
        bool base_known = false;

        if (pattern[0] != '/')
                return -EINVAL;
        strv_split(&parts, pattern + 1, '/');
        strv_add(&now, "");
        *ret_base = 0;
        for (size_t i = 0; i < parts.n; i++) {
                struct strv next = {0};

                if (!*parts.v[i])
                        continue;
                if (has_wildcard(parts.v[i]) || i + 1 == parts.n) {
                        *ret_base = base_known ? *ret_base : now.n ? strlen(now.v[0]) : 0;
                        base_known = true;
                }
                if (has_wildcard(parts.v[i]))
                        match_names(&now, parts.v[i], &next);
                else
                        match_literally(&now, parts.v[i], &next);
                strv_release(&now);
                now = next;
        }
        if (now.n > 1)
                qsort(now.v, now.n, sizeof(*now.v), by_name);
        strv_copy(ret, &now);
        strv_release(&now);
        return 0;
}
