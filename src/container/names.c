/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names — theory of operation
 *
 * names/<name> is a symbolic link to ../containers/<id>: whoever makes it has the name, and the kernel lets only one make it. A maker that
 * died before its container was committed leaves a link that leads nowhere, and no lock on tmp/<id>. Such a name is taken over
 * by renaming a new link over it, under names/.lock, so that of two takers the second one sees the first one's link. Listings
 * delete such names under the same lock.
 *
 * ids/<n> likewise: a block of ids in U (create_ids.c), which goes back when the container is removed (monitor/removal.c).
 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/path.h"
#include "container/container_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_LENGTH_MAX 200 /* the name is a file's, and ".new-<name>" must fit as well */
#define TARGET_PREFIX   "../containers/"

int name_check(const char *name, struct err **reterr)
{
        bool ok = isalnum((unsigned char)name[0]) && strlen(name) <= NAME_LENGTH_MAX;
        int r;

        for (const char *p = name; ok && *p; p++)
                ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
        if (ok)
                return 0;
        r = err_new(reterr, ERR_USAGE, "'%s' is not a name for a container", name);
        return err_hint(
            reterr, r, "use at most %d characters of [a-zA-Z0-9_.-], the first a letter or a digit",
            NAME_LENGTH_MAX);
}

/* 1 and the id, 0 when there is no such link. A link that we did not make counts as none. */
static int name_read(int names_fd, const char *name, char ret_id[65])
{
        char target[128];
        ssize_t n = readlinkat(names_fd, name, target, sizeof(target) - 1);

        if (n < 0)
                return errno == ENOENT || errno == EINVAL ? 0 : -errno;
        target[n] = 0;
        if (!str_starts(target, TARGET_PREFIX) || !str_is_hex(target + strlen(TARGET_PREFIX), 64))
                return 0;
        memcpy(ret_id, target + strlen(TARGET_PREFIX), 65);
        return 1;
}

/* @name says nothing of it. */
static bool id_is_alive(const struct dirs *d, const char *name, const char *id)
{
        AUTO_FREE char *container = xasprintf("%s/%s", CONTAINERS, id);
        AUTO_FREE char *lock = xasprintf("tmp/%s/lock", id);

        /* In this order and once more: a maker moves from tmp/ to containers/. */
        return faccessat(d->root_fd, container, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
               lock_is_held(d->root_fd, lock) ||
               faccessat(d->root_fd, container, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A name that leads to a container which has another one was left by a rename that was killed; while the rename is under way it is taken. */
static bool name_is_alive(const struct dirs *d, const char *name, const char *id)
{
        AUTO_FREE char *config = xasprintf("%s/%s/%s", CONTAINERS, id, CONFIG_FILE);
        AUTO_FREE char *lock = xasprintf("%s/%s/%s", CONTAINERS, id, CONFIG_LOCK);
        AUTO_JSON *doc = NULL;
        struct json_at root;
        const char *own = NULL;

        if (!id_is_alive(d, name, id))
                return false;
        if (lock_is_held(d->root_fd, lock) ||
            json_read_file(d->root_fd, config, CONFIG_MAX, &doc, NULL) < 0)
                return true;
        root = json_root(doc, CONFIG_FILE);
        return json_want_object(&root, NULL) < 0 ||
               json_opt_string(&root, "Name", &own, NULL) < 0 || !own || strcmp(own, name) == 0;
}

int name_lookup(const struct dirs *d, const char *name, char ret_id[65], struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        int r;

        if (!path_is_clean_name(name) || name[0] == '.')
                return 0;
        fd = openat(d->root_fd, NAMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : err_sys(reterr, errno, "open names/");
        r = name_read(fd, name, ret_id);
        return r < 0 ? err_sys(reterr, -r, "look up container '%s'", name) : r;
}

struct reservation {
        const char *dir;
        bool (*is_alive)(const struct dirs *d, const char *name, const char *id);
};
static const struct reservation of_names = {NAMES, name_is_alive}, of_ids = {IDS, id_is_alive};

/* 1 taken over, 0 somebody else was faster. */
static int take_over(const struct dirs *d, const struct reservation *res, int dir_fd,
                     const char *name, const char *target, char ret_id[65], struct err **reterr)
{
        AUTO_CLOSE int lock = lock_acquire(dir_fd, ".lock", true, reterr);
        AUTO_FREE char *fresh = xasprintf(".new-%s", name);
        int r;

        if (lock < 0)
                return lock;
        r = name_read(dir_fd, name, ret_id);
        /* Whoever gives it up takes no lock: where it is free by now, it is reserved as anybody does it, and only a dead link is replaced. */
        if (r == 0 && symlinkat(target, dir_fd, name) == 0)
                return 1;
        if (r == 0)
                r = name_read(dir_fd, name, ret_id);
        if (r <= 0 || res->is_alive(d, name, ret_id))
                return 0;
        (void)unlinkat(dir_fd, fresh, 0);
        if (symlinkat(target, dir_fd, fresh) < 0 || renameat(dir_fd, fresh, dir_fd, name) < 0)
                return err_sys(reterr, errno, "take '%s/%s'", res->dir, name);
        return 1;
}

static int reserve(const struct dirs *d, const struct reservation *res, const char *name,
                   const char *id, char ret_id[65], struct err **reterr)
{
        AUTO_CLOSE int fd = dirs_sub(d, res->dir, reterr);
        AUTO_FREE char *target = xasprintf("%s%s", TARGET_PREFIX, id);

        if (fd < 0)
                return fd;
        if (symlinkat(target, fd, name) == 0)
                return 1;
        if (errno != EEXIST)
                return err_sys(reterr, errno, "reserve '%s/%s'", res->dir, name);
        if (name_read(fd, name, ret_id) > 0 && res->is_alive(d, name, ret_id))
                return 0;
        return take_over(d, res, fd, name, target, ret_id, reterr);
}

int name_reserve(const struct dirs *d, const char *name, const char *id, char ret_id[65],
                 struct err **reterr)
{
        FAULT_POINT("name-reserve");
        return reserve(d, &of_names, name, id, ret_id, reterr);
}

int ids_reserve(const struct dirs *d, uint32_t block, const char *id, struct err **reterr)
{
        char name[16], other[65];
        int r;

        (void)snprintf(name, sizeof(name), "%u", block);
        r = reserve(d, &of_ids, name, id, other, reterr);
        FAULT_POINT("ids-reserved");
        /* Ours already: a block may be asked for twice. */
        return r == 0 && strcmp(other, id) == 0 ? 1 : r;
}

void ids_release(const struct dirs *d, uint32_t block, const char *id)
{
        AUTO_CLOSE int fd = openat(d->root_fd, IDS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char name[16], owner[65];

        (void)snprintf(name, sizeof(name), "%u", block);
        /* As long as we live nobody takes over what is ours. */
        if (fd >= 0 && name_read(fd, name, owner) > 0 && strcmp(owner, id) == 0)
                (void)unlinkat(fd, name, 0);
}

void names_sweep(const struct dirs *d)
{
        AUTO_CLOSE int fd = openat(d->root_fd, NAMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO_CLOSE int lock = fd < 0 ? -EBADF : lock_acquire(fd, ".lock", true, NULL);
        DIR *dir = lock < 0 ? NULL : fdopendir(fd);
        char id[65];

        if (!dir)
                return;
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                if (e->d_name[0] != '.' && name_read(fd, e->d_name, id) > 0 &&
                    !name_is_alive(d, e->d_name, id))
                        (void)unlinkat(fd, e->d_name, 0);
        }
        (void)closedir(dir);
        (void)TAKE_FD(fd);
}
