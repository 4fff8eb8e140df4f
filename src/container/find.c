/* SPDX-License-Identifier: Apache-2.0 */
/* find — by name, id or prefix; all of them. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "container/container_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int open_by_id(const struct dirs *d, const char *id)
{
        AUTO_FREE char *path = xasprintf("%s/%s", CONTAINERS, id);
        int fd = openat(d->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* 1 loaded, 0 there is none. */
static int load_by_id(const struct dirs *d, const char *id, struct container **ret,
                      struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_CLOSE int fd = open_by_id(d, id);
        int r;

        if (fd == -ENOENT || fd == -ENOTDIR)
                return 0;
        if (fd < 0)
                return err_sys(reterr, -fd, "open container '%.12s'", id);
        c = xnew(struct container);
        c->dir_fd = TAKE_FD(fd);
        r = container_load(d, c->dir_fd, id, c, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 1;
}

static DIR *containers_open(const struct dirs *d)
{
        int fd = openat(d->root_fd, CONTAINERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (fd >= 0 && !dir)
                (void)fd_close(fd);
        return dir;
}

/* 1 and the id, 0 none. */
static int find_prefix(const struct dirs *d, const char *prefix, char ret_id[65],
                       struct err **reterr)
{
        size_t n = strlen(prefix), found = 0;
        DIR *dir;

        if (n == 0 || n > 64 || strspn(prefix, "0123456789abcdef") != n)
                return 0;
        dir = containers_open(d);
        for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
                if (str_is_hex(e->d_name, 64) && memcmp(e->d_name, prefix, n) == 0 && ++found == 1)
                        memcpy(ret_id, e->d_name, 65);
        }
        if (dir)
                (void)closedir(dir);
        if (found > 1)
                return err_new(reterr, ERR_USAGE,
                               "several containers have ids that begin with '%s'", prefix);
        return (int)found;
}

/* A removal that was killed between its two steps leaves a container that is there without its name: it still answers to it. */
static int find_nameless(const struct dirs *d, const char *name, char ret_id[65])
{
        struct container **v;
        size_t n;
        int found = 0;

        if (container_list(d, &v, &n, NULL) < 0)
                return 0;
        for (size_t i = 0; i < n && !found; i++) {
                found = strcmp(v[i]->name, name) == 0;
                if (found)
                        memcpy(ret_id, v[i]->id, 65);
        }
        container_list_free(v, n);
        return found;
}

int container_find_id(const struct dirs *d, const char *name, char ret_id[65], struct err **reterr)
{
        if (name[0] == '/')
                name++;
        if (str_is_hex(name, 64)) {
                memcpy(ret_id, name, 65);
                return 1;
        }
        return name_lookup(d, name, ret_id, NULL) > 0 ? 1 : find_prefix(d, name, ret_id, reterr);
}

int container_find(const struct dirs *d, const char *name, struct container **ret,
                   struct err **reterr)
{
        char id[65];
        int r = 0;

        if (name[0] == '/')
                name++; /* as inspect prints it */
        if (str_is_hex(name, 64))
                r = load_by_id(d, name, ret, reterr);
        if (r == 0 && name_lookup(d, name, id, NULL) > 0) {
                r = load_by_id(d, id, ret, reterr);
                if (r > 0 && strcmp((*ret)->name, name) != 0) {
                        *ret = container_free(*ret); /* left by a rename that was killed */
                        r = 0;
                }
        }
        if (r == 0) {
                r = find_prefix(d, name, id, reterr);
                if (r == 0)
                        r = find_nameless(d, name, id);
                if (r > 0)
                        r = load_by_id(d, id, ret, reterr);
        }
        if (r == 0)
                return err_hint(reterr,
                                err_new(reterr, ERR_NOT_FOUND, "no such container: %s", name),
                                "'kelp ps -a' lists those there are");
        if (r < 0 && reterr && *reterr && err_kind(*reterr) == ERR_INVALID)
                return err_hint(reterr, r, "nothing can be done with it but: kelp rm -f %s", name);
        return r < 0 ? r : 0;
}

static int newest_first(const void *a, const void *b)
{
        const struct container *x = *(struct container *const *)a;
        const struct container *y = *(struct container *const *)b;

        if (x->created_ns != y->created_ns)
                return x->created_ns > y->created_ns ? -1 : 1;
        return strcmp(x->id, y->id);
}

/* Descriptors of a listing are not kept: there may be more containers than descriptors. */
static struct container *load_for_list(const struct dirs *d, const char *id, bool running)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_CLOSE int fd = open_by_id(d, id);
        AUTO_ERR struct err *e = NULL;

        if (fd < 0)
                return NULL; /* removed meanwhile */
        if (running && !container_may_run(fd))
                return NULL;
        c = xnew(struct container);
        c->dir_fd = -EBADF;
        if (container_load(d, fd, id, c, &e) < 0) {
                if (err_kind(e) != ERR_NOT_FOUND)
                        log_debug("container %s is left out: %s", id, err_message(e));
                return NULL;
        }
        container_config_drop(c);
        return TAKE_PTR(c);
}

/* More names than containers: makers that were killed left some. A look at the number costs no more than reading a directory. */
static bool has_loose_names(const struct dirs *d, size_t containers)
{
        int fd = openat(d->root_fd, NAMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        size_t names = 0;

        if (!dir) {
                (void)fd_close(fd);
                return false;
        }
        for (struct dirent *e = readdir(dir); e; e = readdir(dir))
                names += e->d_name[0] != '.';
        (void)closedir(dir);
        return names > containers;
}

static int list(const struct dirs *d, bool running, struct container ***ret, size_t *ret_n)
{
        DIR *dir = containers_open(d);
        struct container **v = NULL;
        size_t n = 0, cap = 0, seen = 0;

        container_tmp_sweep(d);
        for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
                struct container *c;

                if (!str_is_hex(e->d_name, 64))
                        continue;
                seen++;
                c = load_for_list(d, e->d_name, running);
                if (!c)
                        continue;
                if (n == cap) {
                        cap = cap ? cap * 2 : 64;
                        v = xrealloc(v, cap, sizeof(*v));
                }
                v[n++] = c;
        }
        if (dir)
                (void)closedir(dir);
        if (has_loose_names(d, seen))
                names_sweep(d);
        if (n > 0)
                qsort(v, n, sizeof(*v), newest_first);
        *ret = v;
        *ret_n = n;
        return 0;
}

int container_list(const struct dirs *d, struct container ***ret, size_t *ret_n,
                   struct err **reterr)
{
        return list(d, false, ret, ret_n);
}

int container_list_running(const struct dirs *d, struct container ***ret, size_t *ret_n,
                           struct err **reterr)
{
        int r = list(d, true, ret, ret_n);
        size_t kept = 0;

        for (size_t i = 0; r >= 0 && i < *ret_n; i++) {
                if (container_is_up((*ret)[i]))
                        (*ret)[kept++] = (*ret)[i];
                else
                        (void)container_free((*ret)[i]);
        }
        if (r >= 0)
                *ret_n = kept;
        return r;
}

/* A name without a container is one that is being made, or a leftover. */
static bool name_is_of(const struct dirs *d, const char *name, enum container_names_of which)
{
        AUTO_CLOSE int fd = -EBADF;
        char id[65];

        if (name_lookup(d, name, id, NULL) <= 0)
                return false;
        fd = open_by_id(d, id);
        if (fd < 0)
                return false;
        return which == CONTAINER_NAMES_ALL ||
               container_may_run(fd) == (which == CONTAINER_NAMES_RUNNING);
}

int container_names(const struct dirs *d, enum container_names_of which, struct strv *ret)
{
        int fd = openat(d->root_fd, NAMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir) {
                int r = -errno;

                (void)fd_close(fd);
                return r == -ENOENT ? 0 : r;
        }
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                if (e->d_name[0] != '.' && name_is_of(d, e->d_name, which))
                        strv_add(ret, e->d_name);
        }
        (void)closedir(dir);
        return 0;
}

void container_list_free(struct container **v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                (void)container_free(v[i]);
        free(v);
}
