/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_passwd — names for those whom the image does not know: who keeps his id (--userns=keep-id), a user by number (--passwd,
 * --passwd-entry), users of the host (--hostuser). /etc/passwd and /etc/group of the image with lines more, as files of the container that
 * are mounted over them.
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

/* Whose an image's files are is no matter here, so its layers need not be there yet with the owners that the container wants. */
bool creation_read_etc(const struct creation *k, const char *name, char **ret)
{
        const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
        AUTO_CLOSE int plain = k->o->rootfs ? open(k->spec->root_path, flags) : -EBADF;

        if (plain >= 0)
                return read_in_layer(plain, name, ret) > 0;
        for (size_t i = k->image ? k->image->layers.n : 0; i > 0; i--) {
                AUTO_FREE char *path = xasprintf("layers/%s/fs", k->image->layers.v[i - 1]);
                AUTO_CLOSE int fd = openat(k->d->root_fd, path, flags);
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

/* What "$NAME" stands for in an entry. */
struct word {
        const char *name, *value;
};

static char *fill_in(const char *text, const struct word *words, size_t n)
{
        AUTO_STRBUF out = {0};

        while (*text) {
                const struct word *found = NULL;

                for (size_t i = 0; i < n && *text == '$' && !found; i++) {
                        if (str_starts(text + 1, words[i].name))
                                found = &words[i];
                }
                strbuf_add_len(&out, found ? found->value : text, found ? strlen(found->value) : 1);
                text += found ? 1 + strlen(found->name) : 1;
        }
        return strbuf_take(&out);
}

/* One of the two files while lines are added. */
struct accounts {
        const char *name; /* "passwd", "group" */
        char *text;
        bool there, changed;
};

static void accounts_read(const struct creation *k, struct accounts *a)
{
        a->there = creation_read_etc(k, a->name, &a->text);
        if (!a->there)
                a->text = xstrdup("");
}

static void accounts_add(struct accounts *a, const char *line)
{
        size_t n = strlen(a->text);
        char *text =
            xasprintf("%s%s%s\n", a->text, n > 0 && a->text[n - 1] != '\n' ? "\n" : "", line);

        free(a->text);
        a->text = text;
        a->changed = true;
}

static int accounts_write(struct creation *k, struct accounts *a, struct err **reterr)
{
        AUTO_STRBUF text = {0};

        if (!a->changed)
                return 0;
        strbuf_add(&text, a->text);
        return creation_put_file(k, a->name, &text, reterr);
}

/* With the ids of the host: they are names, and give nobody anything. */
static int add_host_users(const struct creation *k, struct accounts *passwd, struct err **reterr)
{
        for (size_t i = 0; i < k->o->host_users.n; i++) {
                const char *name = k->o->host_users.v[i];
                AUTO_STRV f = {0};
                AUTO_FREE char *line = NULL;

                if (!accounts_of_host(name, &f))
                        return err_hint(reterr,
                                        err_new(reterr, ERR_NOT_FOUND,
                                                "option '--hostuser': there is no user '%s' in the "
                                                "host's /etc/passwd",
                                                name),
                                        "users of a directory service can be given with "
                                        "--passwd-entry");
                if (accounts_have(passwd->text, 0, f.v[0]))
                        continue;
                line = xasprintf("%s:*:%s:%s:%s:%s:%s", f.v[0], f.v[2], f.v[3], f.v[4], f.v[5],
                                 f.v[6]);
                accounts_add(passwd, line);
        }
        return 0;
}

/* "1000" or "1000:1000": whoever has a name has a line. */
static bool user_by_number(const char *user, char **ret_uid, char **ret_gid)
{
        AUTO_STRV ids = {0};
        uint32_t number;

        strv_split(&ids, user ? user : "", ':');
        if (ids.n > 2 || parse_u32(ids.v[0], &number) < 0 ||
            (ids.n == 2 && parse_u32(ids.v[1], &number) < 0))
                return false;
        *ret_uid = xstrdup(ids.v[0]);
        *ret_gid = xstrdup(ids.n == 2 ? ids.v[1] : "0");
        return true;
}

static void add_own(const struct creation *k, struct accounts *passwd, struct accounts *group)
{
        const struct spec_process *p = &k->spec->process;
        const char *home = str_empty(p->cwd) || strpbrk(p->cwd, ":\n") ? "/" : p->cwd;
        const struct run_options *o = k->o;
        AUTO_FREE char *uid = NULL, *gid = NULL, *user = NULL, *of_group = NULL;

        if (!user_by_number(p->user, &uid, &gid))
                return;
        user = pick_name(passwd->text, uid);
        of_group = pick_name(group->text, gid);
        const struct word words[] = {{"USERNAME", user}, {"GROUPNAME", of_group},
                                     {"USERLIST", ""},   {"UID", uid},
                                     {"GID", gid},       {"NAME", ""},
                                     {"HOME", home}};

        if (!accounts_have(passwd->text, 2, uid) && (passwd->there || o->passwd_entry)) {
                AUTO_FREE char *line = fill_in(
                    o->passwd_entry ? o->passwd_entry : "$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh",
                    words, ARRAY_SIZE(words));

                accounts_add(passwd, line);
        }
        if (!accounts_have(group->text, 2, gid) && (group->there || o->group_entry)) {
                AUTO_FREE char *line =
                    fill_in(o->group_entry ? o->group_entry : "$GROUPNAME:x:$GID:$USERLIST", words,
                            ARRAY_SIZE(words));

                accounts_add(group, line);
        }
}

int creation_accounts(struct creation *k, struct err **reterr)
{
        const struct run_options *o = k->o;
        bool keeps_id = k->userns && str_starts(k->userns, "keep-id");
        struct accounts passwd = {.name = "passwd"}, group = {.name = "group"};
        int r = 0;

        if (o->passwd < 0 || (!keeps_id && o->passwd == 0 && !o->passwd_entry && !o->group_entry &&
                              o->host_users.n == 0))
                return 0;
        accounts_read(k, &passwd);
        accounts_read(k, &group);
        r = add_host_users(k, &passwd, reterr);
        if (r >= 0 && (keeps_id || o->passwd > 0 || o->passwd_entry || o->group_entry))
                add_own(k, &passwd, &group);
        /* What the user has mounted there is what he wants to have there. */
        if (r >= 0 && !creation_mounts_over(k, "passwd"))
                r = accounts_write(k, &passwd, reterr);
        if (r >= 0 && !creation_mounts_over(k, "group"))
                r = accounts_write(k, &group, reterr);
        free(passwd.text);
        free(group.text);
        return r;
}
