/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_passwd — a name for who keeps his id (--userns=keep-id) in an image that does not know him: /etc/passwd and /etc/group of
 * the image with a line more, as files of the container that are mounted over them.
 *
 * Only a regular file in a real directory is taken over. The image's own files are looked for in its layers, where they lie unmerged:
 * no link is followed, and what a layer hides (a whiteout, an opaque directory) ends the search.
 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "container/container_internal.h"
#include "image/accounts.h"
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NAME_LENGTH 32

/* 1: *ret is the file's text; 0: there is none that we take over; -ENOENT: look in the layer below. */
static int read_in_layer(int layer, const char *name, char **ret)
{
        AUTO_CLOSE int etc = openat(layer, "etc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        AUTO_CLOSE int fd = -EBADF;
        struct stat st;
        size_t n;

        if (etc < 0)
                return errno == ENOENT ? -ENOENT : 0;
        fd = openat(etc, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT && fgetxattr(etc, "user.overlay.opaque", NULL, 0) < 0
                           ? -ENOENT
                           : 0;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return 0;
        return io_read_fd(fd, name, ACCOUNTS_MAX, ret, &n, NULL) < 0 ? 0 : 1;
}

/* Whose the files are is no matter, so the layers need not be there yet with the owners that the container wants. */
bool creation_read_etc(const struct creation *k, const char *name, char **ret)
{
        for (size_t i = k->image ? k->image->layers.n : 0; i > 0; i--) {
                AUTO_FREE char *path = xasprintf("layers/%s/fs", k->image->layers.v[i - 1]);
                AUTO_CLOSE int fd = openat(k->d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                int r = fd < 0 ? 0 : read_in_layer(fd, name, ret);

                if (r != -ENOENT)
                        return r > 0;
        }
        return false;
}

/* The caller's name as his session has it, when it can be one in there. */
static char *pick_name(const char *file, const char *id)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
        const char *user = getenv("USER");

        if (user && *user && *user != '-' && (*user < '0' || *user > '9') &&
            strlen(user) <= NAME_LENGTH && strspn(user, letters) == strlen(user) &&
            !accounts_have(file, 0, user))
                return xstrdup(user);
        return xasprintf("user%s", id);
}

static int add_line(struct creation *k, const char *name, const char *id, const char *line_rest,
                    struct err **reterr)
{
        AUTO_FREE char *file = NULL, *account = NULL;
        AUTO_STRBUF text = {0};
        size_t n;

        if (creation_mounts_over(k, name) || !creation_read_etc(k, name, &file) ||
            accounts_have(file, 2, id))
                return 0;
        account = pick_name(file, id);
        n = strlen(file);
        strbuf_addf(&text, "%s%s%s:%s%s\n", file, n > 0 && file[n - 1] != '\n' ? "\n" : "", account,
                    strcmp(name, "passwd") == 0 ? "*:" : "x:", line_rest);
        return creation_put_file(k, name, &text, reterr);
}

int creation_accounts(struct creation *k, struct err **reterr)
{
        const struct spec_process *p = &k->spec->process;
        AUTO_FREE char *passwd = NULL, *group = NULL;
        AUTO_STRV ids = {0};
        const char *cwd = str_empty(p->cwd) ? "/" : p->cwd;
        uint32_t number;
        int r;

        if (!k->userns || !str_starts(k->userns, "keep-id") || !p->user)
                return 0;
        strv_split(&ids, p->user, ':');
        if (ids.n != 2 || parse_u32(ids.v[0], &number) < 0 || parse_u32(ids.v[1], &number) < 0 ||
            strpbrk(cwd, ":\n"))
                return 0;
        passwd = xasprintf("%s:%s::%s:/bin/sh", ids.v[0], ids.v[1], cwd);
        group = xasprintf("%s:", ids.v[1]);
        r = add_line(k, "passwd", ids.v[0], passwd, reterr);
        return r < 0 ? r : add_line(k, "group", ids.v[1], group, reterr);
}
