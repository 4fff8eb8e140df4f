/* SPDX-License-Identifier: Apache-2.0 */
/* query — what secrets there are. Only secret_read() opens the data. */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "secret/secret_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOAD_TRIES 100
#define INFO_MAX   JSON_OWN_MAX

struct secret *secret_free(struct secret *s)
{
        if (s) {
                free(s->name);
                free(s->id);
                strv_release(&s->labels);
                free(s);
        }
        return NULL;
}

int secret_no_such(const char *name, struct err **reterr)
{
        int r = err_new(reterr, ERR_NOT_FOUND, "no such secret: %s", name);

        return err_hint(reterr, r, "'kelp secret ls' lists those there are");
}

static int parse_info(struct json_object *doc, struct secret *s, struct err **reterr)
{
        struct json_at root = json_root(doc, SECRET_INFO);
        const char *id = NULL, *created = NULL, *updated = NULL;
        int r;

        if ((r = json_want_object(&root, reterr)) < 0 ||
            (r = json_get_string(&root, "ID", &id, reterr)) < 0 ||
            (r = json_get_string(&root, "CreatedAt", &created, reterr)) < 0 ||
            (r = json_get_string(&root, "UpdatedAt", &updated, reterr)) < 0 ||
            (r = json_opt_pairs(&root, "Labels", &s->labels, reterr)) < 0)
                return r;
        if (!str_is_hex(id, SECRET_ID_LEN))
                return err_new(reterr, ERR_INVALID, SECRET_INFO ": '%s' is no id", id);
        if (clock_parse(created, &s->created_ns) < 0 || clock_parse(updated, &s->updated_ns) < 0)
                return err_new(reterr, ERR_INVALID, SECRET_INFO ": '%s' is no time", created);
        s->id = xstrdup(id);
        return 0;
}

/* The directory that has the name now: what is read from it belongs together, whatever takes its place meanwhile. */
static int open_secret(const struct dirs *d, const char *name, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(SECRETS "/%s", name);
        int fd;

        if (secret_check_name(name, NULL) < 0)
                return secret_no_such(name, reterr);
        fd = openat(d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? secret_no_such(name, reterr)
                                       : err_sys(reterr, errno, "open secret '%s'", name);
        return fd;
}

static int load_from(int dir_fd, const char *name, struct secret **ret, struct err **reterr)
{
        AUTO(secret_freep) struct secret *s = xnew(struct secret);
        AUTO_JSON *doc = NULL;
        int r = json_read_file(dir_fd, SECRET_INFO, INFO_MAX, &doc, reterr);

        if (r >= 0)
                r = parse_info(doc, s, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "secret '%s'", name);
        s->name = xstrdup(name);
        *ret = TAKE_PTR(s);
        return 0;
}

/* With its data, unless @ret_data is NULL. Opened, and then replaced or removed, it loses its files one by one: then what has the name now is read. */
static int load(const struct dirs *d, const char *name, struct secret **ret, char **ret_data,
                size_t *ret_len, struct err **reterr)
{
        for (int i = 1;; i++) {
                AUTO(secret_freep) struct secret *s = NULL;
                AUTO_ERR struct err *e = NULL;
                AUTO_CLOSE int fd = open_secret(d, name, reterr);
                int r;

                if (fd < 0)
                        return fd;
                r = load_from(fd, name, &s, &e);
                if (r >= 0 && ret_data)
                        r = io_read_file(fd, SECRET_DATA, SECRET_MAX, ret_data, ret_len, &e);
                if (r == -ENOENT && i < LOAD_TRIES)
                        continue;
                if (r < 0)
                        return err_move(reterr, r, &e);
                *ret = TAKE_PTR(s);
                return 0;
        }
}

int secret_load(const struct dirs *d, const char *name, struct secret **ret, struct err **reterr)
{
        return load(d, name, ret, NULL, NULL, reterr);
}

static int by_name(const void *a, const void *b)
{
        const struct secret *x = *(struct secret *const *)a;
        const struct secret *y = *(struct secret *const *)b;

        return strcmp(x->name, y->name);
}

int secret_list(const struct dirs *d, struct secret ***ret, size_t *ret_n, struct err **reterr)
{
        int fd = openat(d->root_fd, SECRETS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        size_t n = 0;

        *ret = NULL;
        *ret_n = 0;
        if (!dir) {
                int errnum = errno;

                (void)fd_close(fd);
                return errnum == ENOENT ? 0 : err_sys(reterr, errnum, "open " SECRETS "/");
        }
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                AUTO_ERR struct err *one = NULL;
                struct secret *s = NULL;

                if (e->d_name[0] == '.')
                        continue;
                if (secret_load(d, e->d_name, &s, &one) < 0) {
                        log_debug("secret %s is left out: %s", e->d_name, err_message(one));
                        continue;
                }
                *ret = xrealloc(*ret, n + 1, sizeof(**ret));
                (*ret)[n++] = s;
        }
        (void)closedir(dir);
        if (n > 0)
                qsort(*ret, n, sizeof(**ret), by_name);
        *ret_n = n;
        return 0;
}

void secret_list_free(struct secret **v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                (void)secret_free(v[i]);
        free(v);
}

static int find_by_id(const struct dirs *d, const char *prefix, struct secret **ret,
                      struct err **reterr)
{
        struct secret **v = NULL;
        size_t n = 0, found = 0;
        int r = secret_list(d, &v, &n, reterr);

        for (size_t i = 0; r >= 0 && i < n; i++) {
                if (!str_starts(v[i]->id, prefix))
                        continue;
                if (found++ == 0)
                        *ret = TAKE_PTR(v[i]);
        }
        secret_list_free(v, n);
        if (r < 0 || found == 1)
                return r;
        *ret = secret_free(*ret);
        if (found == 0)
                return secret_no_such(prefix, reterr);
        return err_new(reterr, ERR_USAGE, "'%s' begins the id of %zu secrets", prefix, found);
}

int secret_find(const struct dirs *d, const char *name, struct secret **ret, struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        int r = secret_load(d, name, ret, &e);

        if (r >= 0)
                return 0;
        if (err_kind(e) != ERR_NOT_FOUND || !*name)
                return err_move(reterr, r, &e);
        return find_by_id(d, name, ret, reterr);
}

int secret_read(const struct dirs *d, const char *name, struct secret **ret, char **ret_data,
                size_t *ret_len, struct err **reterr)
{
        AUTO(secret_freep) struct secret *found = NULL;
        int r = secret_find(d, name, &found, reterr);

        return r < 0 ? r : load(d, found->name, ret, ret_data, ret_len, reterr);
}

struct json_object *secret_inspect(const struct dirs *d, const struct secret *s)
{
        struct json_object *o = json_object_new_object(), *spec, *driver;
        AUTO_FREE char *path = xasprintf("%s/" SECRETS, d->root);
        char time[CLOCK_RFC3339_MAX];

        json_add_string(o, "ID", s->id);
        json_add_string(o, "CreatedAt", clock_format(s->created_ns, time));
        json_add_string(o, "UpdatedAt", clock_format(s->updated_ns, time));
        spec = json_object(o, "Spec");
        json_add_string(spec, "Name", s->name);
        driver = json_object(spec, "Driver");
        json_add_string(driver, "Name", SECRET_DRIVER);
        json_add_string(json_object(driver, "Options"), "path", path);
        json_add_pairs(json_object(spec, "Labels"), &s->labels);
        return o;
}
