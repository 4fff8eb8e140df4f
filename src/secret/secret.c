/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   A secret is made in tmp/ and published by a rename that replaces nothing: of two makers of one name one wins. To replace one, the two
 *   directories change places, so that there is one of that name at every moment; the old one is then in tmp/, like one that was removed.
 */
#include "secret/secret.h"

#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/random_id.h"
#include "base/tmp_dir.h"
#include "events/events.h"
#include "secret/secret_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_LEN_MAX     253
#define PUBLISH_ATTEMPTS 16

int secret_check_name(const char *name, struct err **reterr)
{
        bool ok = isalnum((unsigned char)name[0]) && strlen(name) <= NAME_LEN_MAX;
        int r;

        for (const char *p = name; ok && *p; p++)
                ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
        if (ok)
                return 0;
        r = err_new(reterr, ERR_USAGE, "'%s' is not a name for a secret", name);
        return err_hint(reterr, r,
                        "use at most %d characters of [a-zA-Z0-9_.-], the first a letter or a "
                        "digit",
                        NAME_LEN_MAX);
}

static int check(const struct secret_create_opts *o, struct err **reterr)
{
        int r = secret_check_name(o->name, reterr);

        if (r < 0)
                return r;
        if (!str_empty(o->driver) && strcmp(o->driver, SECRET_DRIVER) != 0) {
                r = err_new(reterr, ERR_UNSUPPORTED, "secret driver '%s': there is no such driver",
                            o->driver);
                return err_hint(reterr, r, "the one driver is '" SECRET_DRIVER "'");
        }
        if (o->len == 0 || o->len > SECRET_MAX)
                return err_new(reterr, ERR_USAGE, "it has %zu bytes: 1 to %d are possible", o->len,
                               SECRET_MAX);
        return 0;
}

/* ---- making ---- */

static int write_file(int dir_fd, const char *name, const void *data, size_t n, struct err **reterr)
{
        AUTO_CLOSE int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        int r = fd < 0 ? -errno : io_write_full(fd, data, n);

        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        return r < 0 ? err_sys(reterr, -r, "write '%s'", name) : 0;
}

static int write_info(int dir_fd, const struct secret_create_opts *o, const char *id,
                      int64_t created_ns, int64_t now_ns, struct err **reterr)
{
        AUTO_JSON *doc = json_object_new_object();
        char time[CLOCK_RFC3339_MAX];
        struct json_object *labels;
        const char *text;
        int r;

        json_add_string(doc, "ID", id);
        json_add_string(doc, "CreatedAt", clock_format(created_ns, time));
        json_add_string(doc, "UpdatedAt", clock_format(now_ns, time));
        labels = json_object(doc, "Labels");
        if (o->labels)
                json_add_pairs(labels, o->labels);
        r = json_to_text(doc, SECRET_INFO, &text, reterr);
        return r < 0 ? r : write_file(dir_fd, SECRET_INFO, text, strlen(text), reterr);
}

/* 1: in its place, 0: there is one of that name already. */
static int publish(const struct dirs *d, const struct tmp_dir *t, const char *name, bool replace,
                   struct err **reterr)
{
        AUTO_FREE char *from = xasprintf("tmp/%s", t->id);
        AUTO_CLOSE int secrets = dirs_sub(d, SECRETS, reterr);

        if (secrets < 0)
                return secrets;
        if (fsync(t->fd) < 0)
                return err_sys(reterr, errno, "write it to disk");
        FAULT_POINT("secret-written");
        /* Another may remove or make the one of that name between the two attempts: not for ever. */
        for (int i = 0; i < PUBLISH_ATTEMPTS; i++) {
                unsigned flags = replace && i % 2 == 1 ? RENAME_EXCHANGE : RENAME_NOREPLACE;

                if (renameat2(d->root_fd, from, secrets, name, flags) == 0) {
                        FAULT_POINT("secret-published");
                        return fsync(secrets) < 0 ? err_sys(reterr, errno, "write it to disk")
                                                  : (int)flags;
                }
                if (errno != EEXIST && errno != ENOENT)
                        return err_sys(reterr, errno, "put it in its place");
                if (!replace)
                        return 0;
        }
        return err_new(reterr, ERR_BUSY, "others make and remove it all the time");
}

static void delete_tmp(const struct dirs *d, const char *id)
{
        AUTO_CLOSE int tmp = dirs_sub(d, "tmp", NULL);

        if (tmp >= 0)
                (void)path_remove_tree(tmp, id, NULL);
}

static int make(const struct dirs *d, const struct secret_create_opts *o, const char *id,
                int64_t created_ns, struct err **reterr)
{
        struct tmp_dir t = TMP_DIR_NONE;
        int64_t now = clock_now_ns();
        int r = tmp_dir_make(d, &t, reterr);

        if (r < 0)
                return r;
        r = write_info(t.fd, o, id, created_ns ? created_ns : now, now, reterr);
        if (r >= 0)
                r = write_file(t.fd, SECRET_DATA, o->data, o->len, reterr);
        if (r >= 0)
                r = publish(d, &t, o->name, o->replace, reterr);
        /* What has its name in tmp/ now: nothing, our own failed attempt, or the one that we replaced. */
        if (r != RENAME_NOREPLACE)
                delete_tmp(d, t.id);
        tmp_dir_close(&t);
        return r;
}

static void tell(const struct dirs *d, const char *action, const char *name, const char *id,
                 const struct strv *labels)
{
        const char *attributes[] = {"driver", SECRET_DRIVER, "name", name, NULL};

        event_emit(d, &(struct event){.type = "secret",
                                      .action = action,
                                      .id = id,
                                      .labels = labels,
                                      .attributes = attributes});
}

static int exists_already(const struct dirs *d, const struct secret_create_opts *o, char **ret_id,
                          struct err **reterr)
{
        AUTO(secret_freep) struct secret *old = NULL;
        int r;

        if (o->ignore && secret_find(d, o->name, &old, NULL) >= 0) {
                *ret_id = xstrdup(old->id);
                return 0;
        }
        r = err_new(reterr, ERR_EXISTS, "there is one of that name");
        return err_hint(reterr, r, "remove it first (kelp secret rm %s), or use --replace",
                        o->name);
}

int secret_create(const struct dirs *d, const struct secret_create_opts *o, char **ret_id,
                  struct err **reterr)
{
        AUTO(secret_freep) struct secret *old = NULL;
        char id[RANDOM_ID_LEN + 1];
        int r = check(o, reterr);

        random_id(id);
        id[SECRET_ID_LEN] = '\0';
        if (r >= 0) {
                (void)secret_load(d, o->name, &old, NULL);
                if (old && o->ignore && !o->replace) {
                        *ret_id = xstrdup(old->id);
                        return 0;
                }
                r = make(d, o, id, old && o->replace ? old->created_ns : 0, reterr);
                if (r == 0) {
                        r = exists_already(d, o, ret_id, reterr);
                } else if (r > 0) {
                        if (r == RENAME_EXCHANGE && old)
                                tell(d, "remove", o->name, old->id, &old->labels);
                        tell(d, "create", o->name, id, o->labels);
                        *ret_id = xstrdup(id);
                }
        }
        return r < 0 ? err_wrap(reterr, r, "create secret '%s'", o->name) : 0;
}

/* ---- taking away ---- */

int secret_remove(const struct dirs *d, const char *name, char **ret_id, struct err **reterr)
{
        AUTO(secret_freep) struct secret *s = NULL;
        AUTO_FREE char *from = NULL, *to = NULL;
        AUTO_CLOSE int tmp = dirs_sub(d, "tmp", reterr);
        char id[RANDOM_ID_LEN + 1];
        int r = tmp < 0 ? tmp : secret_find(d, name, &s, reterr);

        if (r < 0)
                return r;
        random_id(id);
        from = xasprintf(SECRETS "/%s", s->name);
        to = xasprintf("tmp/%s", id);
        if (renameat(d->root_fd, from, d->root_fd, to) < 0)
                return errno == ENOENT ? secret_no_such(name, reterr)
                                       : err_sys(reterr, errno, "remove secret '%s'", name);
        FAULT_POINT("secret-removed");
        (void)path_remove_tree(tmp, id, NULL);
        tell(d, "remove", s->name, s->id, &s->labels);
        *ret_id = TAKE_PTR(s->id);
        return 0;
}
