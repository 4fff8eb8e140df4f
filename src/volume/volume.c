/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   A volume is made in tmp/ under the lock that stays its lock, and published by a rename that replaces nothing: of two makers of
 *   one name one wins, and the other finds what he wanted. info.json never changes. Removal is a rename back into tmp/.
 */
#include "volume/volume.h"

#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/random_id.h"
#include "events/events.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_MAX (1024U * 1024)

int volume_check_name(const char *name, struct err **reterr)
{
        bool ok = isalnum((unsigned char)name[0]) && strlen(name) <= NAME_MAX;
        int r;

        for (const char *p = name; ok && *p; p++)
                ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
        if (ok)
                return 0;
        r = err_new(reterr, ERR_USAGE, "'%s' is not a name for a volume", name);
        return err_hint(reterr, r,
                        "use at most %d characters of [a-zA-Z0-9_.-], the first a letter or a "
                        "digit; a directory of the host is written as a path: ./%s",
                        NAME_MAX, name);
}

int volume_check_driver(const char *driver, struct err **reterr)
{
        int r;

        if (str_empty(driver) || strcmp(driver, VOLUME_DRIVER) == 0)
                return 0;
        r = err_new(reterr, ERR_UNSUPPORTED, "volume driver '%s': there is no such driver", driver);
        return err_hint(reterr, r, "the one driver is '" VOLUME_DRIVER "'");
}

/* ---- making ---- */

static int write_info(int dir_fd, const struct volume_create_opts *o, struct err **reterr)
{
        AUTO_CLOSE int fd =
            openat(dir_fd, VOLUME_INFO, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        AUTO_JSON *doc = json_object_new_object();
        struct json_object *labels, *options;
        char time[CLOCK_RFC3339_MAX];
        const char *text;
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "write " VOLUME_INFO);
        json_add_string(doc, "CreatedAt", clock_format(clock_now_ns(), time));
        json_add_string(doc, "Driver", VOLUME_DRIVER);
        labels = json_object(doc, "Labels");
        options = json_object(doc, "Options");
        if (o->labels)
                json_add_pairs(labels, o->labels);
        if (o->options)
                json_add_pairs(options, o->options);
        if (!o->name || o->anonymous)
                json_add_string(labels, VOLUME_ANONYMOUS, "");
        r = json_to_text(doc, VOLUME_INFO, &text, reterr);
        if (r < 0)
                return r;
        r = io_write_full(fd, text, strlen(text));
        if (r >= 0 && !o->quick && fsync(fd) < 0)
                r = -errno;
        return r < 0 ? err_sys(reterr, -r, "write " VOLUME_INFO) : 0;
}

/* 1: made, 0: somebody has made one. */
static int publish(const struct dirs *d, const struct tmp_dir *t, const char *name, bool quick,
                   struct err **reterr)
{
        AUTO_FREE char *from = xasprintf("tmp/%s", t->id);
        AUTO_CLOSE int volumes = dirs_sub(d, VOLUMES, reterr);

        if (volumes < 0)
                return volumes;
        if (!quick && fsync(t->fd) < 0)
                return err_sys(reterr, errno, "write it to disk");
        FAULT_POINT("volume-written");
        if (renameat2(d->root_fd, from, volumes, name, RENAME_NOREPLACE) < 0)
                return errno == EEXIST ? 0 : err_sys(reterr, errno, "put it in its place");
        FAULT_POINT("volume-published");
        return !quick && fsync(volumes) < 0 ? err_sys(reterr, errno, "write it to disk") : 1;
}

void volume_event(const struct dirs *d, const char *name, const char *action,
                  const char *const *attributes)
{
        const char *all[2 * 5 + 1] = {"driver", VOLUME_DRIVER};

        for (size_t i = 0; attributes && attributes[i] && i < 2 * 4; i++)
                all[2 + i] = attributes[i];
        event_emit(
            d, &(struct event){.type = "volume", .action = action, .id = name, .attributes = all});
}

static int make(const struct dirs *d, const struct volume_create_opts *o, const char *name,
                struct err **reterr)
{
        struct tmp_dir t = TMP_DIR_NONE;
        int r = tmp_dir_make(d, &t, reterr);

        if (r < 0)
                return r;
        /* 0755 whatever our umask is: the container's users are others to the directory's owner. */
        if (mkdirat(t.fd, VOLUME_DATA, 0755) < 0 || fchmodat(t.fd, VOLUME_DATA, 0755, 0) < 0)
                r = err_sys(reterr, errno, "make its directory");
        if (r >= 0)
                r = write_info(t.fd, o, reterr);
        if (r >= 0)
                r = publish(d, &t, name, o->quick, reterr);
        if (r <= 0) {
                AUTO_CLOSE int tmp = dirs_sub(d, "tmp", NULL);

                if (tmp >= 0)
                        (void)path_remove_tree(tmp, t.id, NULL);
        }
        tmp_dir_close(&t);
        return r;
}

int volume_create(const struct dirs *d, const struct volume_create_opts *o, char **ret_name,
                  bool *ret_made, struct err **reterr)
{
        struct volume_mount m = {0};
        char id[RANDOM_ID_LEN + 1];
        const char *name = o->name;
        int r = name ? volume_check_name(name, reterr) : 0;

        if (r < 0)
                return r;
        if (!name) {
                random_id(id);
                name = id;
        }
        r = volume_check_driver(o->driver, reterr);
        if (r >= 0 && o->options)
                r = volume_mount_parse(o->options, &m, reterr);
        volume_mount_release(&m);
        if (r >= 0 && volume_exists(d, name))
                r = 0;
        else if (r >= 0)
                r = make(d, o, name, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "create volume '%s'", name);
        if (r > 0)
                volume_event(d, name, "create", NULL);
        if (ret_made)
                *ret_made = r > 0;
        *ret_name = xstrdup(name);
        return 0;
}

/* ---- taking away ---- */

static int in_use(const struct dirs *d, const char *name, const char *except, struct err **reterr)
{
        AUTO_STRV users = {0};
        AUTO_STRBUF list = {0};
        int r = volume_users(d, name, except, &users, reterr);

        if (r < 0 || users.n == 0)
                return r;
        for (size_t i = 0; i < users.n; i++)
                strbuf_addf(&list, "%s%s", i > 0 ? ", " : "", users.v[i]);
        r = err_new(reterr, ERR_BUSY, "remove %s: volume is in use - [%s]", name, list.data);
        return err_hint(reterr, r, "remove the container first: kelp rm %.12s", users.v[0]);
}

int volume_remove(const struct dirs *d, const char *name, const char *except,
                  struct tmp_dir *ret_tmp, struct err **reterr)
{
        AUTO_FREE char *from = xasprintf(VOLUMES "/%s", name), *to = NULL;
        AUTO_CLOSE int lock = -EBADF, tmp = dirs_sub(d, "tmp", reterr);
        int r = tmp < 0 ? tmp : volume_lock(d, name, &lock, reterr);

        if (r >= 0)
                r = in_use(d, name, except, reterr);
        if (r < 0)
                return r;
        FAULT_POINT("volume-unused");
        random_id(ret_tmp->id);
        to = xasprintf("tmp/%s", ret_tmp->id);
        if (renameat(d->root_fd, from, d->root_fd, to) < 0)
                return err_sys(reterr, errno, "remove volume '%s'", name);
        FAULT_POINT("volume-removed");
        volume_event(d, name, "destroy", NULL);
        ret_tmp->fd = -EBADF;
        ret_tmp->lock_fd = TAKE_FD(lock);
        return 0;
}

void volume_take_listed(const struct dirs *d, const char *tmp_name)
{
        AUTO_FREE char *list = xasprintf("tmp/%s/" VOLUME_LIST, tmp_name), *text = NULL;
        AUTO_STRV names = {0};
        size_t len;

        if (io_read_file(d->root_fd, list, LIST_MAX, &text, &len, NULL) < 0)
                return;
        strv_split(&names, text, '\n');
        for (size_t i = 0; i < names.n; i++) {
                AUTO_FREE char *from = xasprintf(VOLUMES "/%s", names.v[i]);
                AUTO_FREE char *to = xasprintf("tmp/%s/volume-%s", tmp_name, names.v[i]);
                AUTO_CLOSE int lock = -EBADF;

                if (volume_check_name(names.v[i], NULL) < 0 ||
                    volume_lock(d, names.v[i], &lock, NULL) < 0 ||
                    in_use(d, names.v[i], NULL, NULL) < 0)
                        continue;
                if (renameat(d->root_fd, from, d->root_fd, to) == 0)
                        volume_event(d, names.v[i], "destroy", NULL);
                FAULT_POINT("volume-taken");
        }
}
