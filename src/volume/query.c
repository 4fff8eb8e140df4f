/* SPDX-License-Identifier: Apache-2.0 */
/* query — what there is. */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "volume/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define INFO_MAX JSON_OWN_MAX

struct volume *volume_free(struct volume *v)
{
        if (v) {
                free(v->name);
                strv_release(&v->labels);
                strv_release(&v->options);
                free(v);
        }
        return NULL;
}

const char *volume_pair(const struct strv *pairs, const char *key)
{
        return strv_env_get(pairs, key);
}

bool volume_is_anonymous(const struct volume *v)
{
        return volume_pair(&v->labels, VOLUME_ANONYMOUS) != NULL;
}

char *volume_relative_path(const char *name)
{
        return xasprintf(VOLUMES "/%s/" VOLUME_DATA, name);
}

bool volume_exists(const struct dirs *d, const char *name)
{
        AUTO_FREE char *path = volume_relative_path(name);

        return faccessat(d->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int parse_info(struct json_object *doc, struct volume *v, struct err **reterr)
{
        struct json_at root = json_root(doc, VOLUME_INFO);
        const char *created = NULL;
        int r;

        if ((r = json_want_object(&root, reterr)) < 0 ||
            (r = json_get_string(&root, "CreatedAt", &created, reterr)) < 0 ||
            (r = json_opt_pairs(&root, "Labels", &v->labels, reterr)) < 0 ||
            (r = json_opt_pairs(&root, "Options", &v->options, reterr)) < 0)
                return r;
        if (clock_parse(created, &v->created_ns) < 0)
                return err_new(reterr, ERR_INVALID, VOLUME_INFO ": '%s' is no time", created);
        return 0;
}

static int no_such(const char *name, struct err **reterr)
{
        int r = err_new(reterr, ERR_NOT_FOUND, "get %s: no such volume", name);

        return err_hint(reterr, r, "'kelp volume ls' lists those there are");
}

int volume_load(const struct dirs *d, const char *name, struct volume **ret, struct err **reterr)
{
        AUTO(volume_freep) struct volume *v = NULL;
        AUTO_FREE char *path = xasprintf(VOLUMES "/%s/" VOLUME_INFO, name);
        AUTO_JSON *doc = NULL;
        AUTO_ERR struct err *e = NULL;
        int r;

        if (volume_check_name(name, NULL) < 0)
                return no_such(name, reterr);
        v = xnew(struct volume);
        v->name = xstrdup(name);
        r = json_read_file(d->root_fd, path, INFO_MAX, &doc, &e);
        if (r == -ENOENT && !volume_exists(d, name))
                return no_such(name, reterr);
        if (r >= 0)
                r = parse_info(doc, v, &e);
        if (r < 0) {
                (void)err_wrap(&e, r, "volume '%s'", name);
                return err_move(reterr, r, &e);
        }
        *ret = TAKE_PTR(v);
        return 0;
}

static int by_name(const void *a, const void *b)
{
        const struct volume *x = *(struct volume *const *)a;
        const struct volume *y = *(struct volume *const *)b;

        return strcmp(x->name, y->name);
}

int volume_list(const struct dirs *d, struct volume ***ret, size_t *ret_n, struct err **reterr)
{
        int fd = openat(d->root_fd, VOLUMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        size_t n = 0, cap = 0;

        *ret = NULL;
        *ret_n = 0;
        if (!dir) {
                int errnum = errno;

                (void)fd_close(fd);
                return errnum == ENOENT ? 0 : err_sys(reterr, errnum, "open " VOLUMES "/");
        }
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                struct volume *v = NULL;
                AUTO_ERR struct err *one = NULL;

                if (e->d_name[0] == '.')
                        continue;
                if (volume_load(d, e->d_name, &v, &one) < 0) {
                        log_debug("volume %s is left out: %s", e->d_name, err_message(one));
                        continue;
                }
                if (n == cap) {
                        cap = cap ? cap * 2 : 16;
                        *ret = xrealloc(*ret, cap, sizeof(**ret));
                }
                (*ret)[n++] = v;
        }
        (void)closedir(dir);
        if (n > 0)
                qsort(*ret, n, sizeof(**ret), by_name);
        *ret_n = n;
        return 0;
}

void volume_list_free(struct volume **v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                (void)volume_free(v[i]);
        free(v);
}

static void add_pairs(struct json_object *o, const char *key, const struct strv *pairs)
{
        if (pairs->n == 0)
                (void)json_object_object_add(o, key, NULL); /* as Docker has it */
        else
                json_add_pairs(json_object(o, key), pairs);
}

struct json_object *volume_inspect(const struct dirs *d, const struct volume *v)
{
        struct json_object *o = json_object_new_object();
        AUTO_FREE char *path = xasprintf("%s/" VOLUMES "/%s/" VOLUME_DATA, d->root, v->name);
        char time[CLOCK_RFC3339_MAX];

        json_add_string(o, "CreatedAt", clock_format(v->created_ns, time));
        json_add_string(o, "Driver", VOLUME_DRIVER);
        add_pairs(o, "Labels", &v->labels);
        json_add_string(o, "Mountpoint", path);
        json_add_string(o, "Name", v->name);
        add_pairs(o, "Options", &v->options);
        json_add_string(o, "Scope", "local");
        return o;
}
