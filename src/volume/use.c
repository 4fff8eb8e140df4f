/* SPDX-License-Identifier: Apache-2.0 */
/*
 * use — locks of volumes, and who has them.
 *
 * Deadlock: who waits here holds shared locks only (of volumes that he took before), and whoever holds an exclusive one waits for no
 * volume: it is taken without waiting and given back, or made shared, before the next volume is asked for.
 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "volume/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONTAINERS "containers"
#define CONFIG_MAX JSON_OWN_MAX

/* Whoever makes a container holds a volume for milliseconds, and he who fills it a little longer. */
#define LOCK_TRIES    500
#define LOCK_PAUSE_NS 2000000L

static int open_lock(const struct dirs *d, const char *name, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(VOLUMES "/%s/" VOLUME_LOCK, name);
        int fd = openat(d->root_fd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT) {
                int r = err_new(reterr, ERR_NOT_FOUND, "get %s: no such volume", name);

                return err_hint(reterr, r, "'kelp volume ls' lists those there are");
        }
        return fd < 0 ? err_sys(reterr, errno, "lock volume '%s'", name) : fd;
}

/* Is the file that was locked still that volume's? */
static bool still_there(const struct dirs *d, const char *name, int lock_fd)
{
        AUTO_FREE char *path = xasprintf(VOLUMES "/%s/" VOLUME_LOCK, name);
        struct stat held, now;

        return fstat(lock_fd, &held) == 0 &&
               fstatat(d->root_fd, path, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
               held.st_ino == now.st_ino && held.st_dev == now.st_dev;
}

static bool was_used(const struct dirs *d, const char *name)
{
        AUTO_FREE char *path = xasprintf(VOLUMES "/%s/" VOLUME_USED, name);

        return faccessat(d->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int flock_retry(int fd, int how)
{
        int r;

        do
                r = flock(fd, how);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : 0;
}

int volume_hold(const struct dirs *d, const char *name, int *ret_lock, bool *ret_first,
                struct err **reterr)
{
        for (;;) {
                AUTO_CLOSE int fd = open_lock(d, name, reterr);
                bool exclusive = false;
                int r;

                if (fd < 0)
                        return fd;
                if (!was_used(d, name))
                        exclusive = flock_retry(fd, LOCK_EX | LOCK_NB) == 0;
                r = exclusive ? 0 : flock_retry(fd, LOCK_SH);
                if (r < 0)
                        return err_sys(reterr, -r, "lock volume '%s'", name);
                if (!still_there(d, name, fd))
                        continue; /* removed; perhaps there is a new one of that name */
                /* Shared and yet unused: who wanted to fill it was killed, or only looked. */
                if (!exclusive && !was_used(d, name))
                        continue;
                *ret_first = exclusive && !was_used(d, name);
                if (exclusive && !*ret_first && flock_retry(fd, LOCK_SH) < 0)
                        return err_sys(reterr, errno, "lock volume '%s'", name);
                /* Between the two locks it may have been removed. */
                if (exclusive && !*ret_first && !still_there(d, name, fd))
                        continue;
                *ret_lock = TAKE_FD(fd);
                return 0;
        }
}

int volume_first_use_done(const struct dirs *d, const char *name, int lock_fd, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(VOLUMES "/%s/" VOLUME_USED, name);
        AUTO_CLOSE int fd =
            openat(d->root_fd, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "mark volume '%s' as used", name);
        FAULT_POINT("volume-used");
        r = flock_retry(lock_fd, LOCK_SH);
        if (r < 0)
                return err_sys(reterr, -r, "lock volume '%s'", name);
        if (!still_there(d, name, lock_fd))
                return err_new(reterr, ERR_NOT_FOUND, "volume '%s' was removed meanwhile", name);
        return 0;
}

int volume_lock(const struct dirs *d, const char *name, int *ret_lock, struct err **reterr)
{
        const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

        for (int i = 0; i < LOCK_TRIES; i++) {
                AUTO_CLOSE int fd = open_lock(d, name, reterr);
                int r;

                if (fd < 0)
                        return fd;
                r = flock_retry(fd, LOCK_EX | LOCK_NB);
                if (r == 0 && still_there(d, name, fd)) {
                        *ret_lock = TAKE_FD(fd);
                        return 0;
                }
                if (r < 0 && r != -EWOULDBLOCK)
                        return err_sys(reterr, -r, "lock volume '%s'", name);
                /* lint-allow: nanosleep: a flock cannot be waited for with an end */
                (void)nanosleep(&pause, NULL);
        }
        return err_new(reterr, ERR_BUSY, "volume '%s' is being used by a command", name);
}

/* ---- who has it ---- */

typedef int (*mount_fn)(const char *id, const char *name, void *arg);

/* A volume's name as config.json holds it: nothing in it is ever escaped. */
static bool may_name(const char *text, const char *name)
{
        return !name || strstr(text, name);
}

static void each_mount(struct json_object *doc, const char *id, mount_fn fn, void *arg)
{
        struct json_object *mounts = NULL;
        size_t n;

        if (!json_object_is_type(doc, json_type_object) ||
            !json_object_object_get_ex(doc, "Mounts", &mounts) ||
            !json_object_is_type(mounts, json_type_array))
                return;
        n = json_object_array_length(mounts);
        for (size_t i = 0; i < n; i++) {
                struct json_object *m = json_object_array_get_idx(mounts, i), *name = NULL;

                if (json_object_is_type(m, json_type_object) &&
                    json_object_object_get_ex(m, "Name", &name) && name)
                        fn(id, json_object_get_string(name), arg);
        }
}

static int one_container(int dir_fd, const char *id, const char *name, mount_fn fn, void *arg,
                         struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("%s/config.json", id), *text = NULL;
        AUTO_JSON *doc = NULL;
        AUTO_ERR struct err *e = NULL;
        size_t len;
        int r = io_read_file(dir_fd, path, CONFIG_MAX, &text, &len, &e);

        if (r == -ENOENT)
                return 0; /* removed meanwhile */
        /* What cannot be read may name it: nothing is removed on a guess. */
        if (r < 0)
                return err_move(reterr, r, &e);
        if (!may_name(text, name))
                return 0;
        if (json_parse(text, len, "config.json", &doc, &e) < 0) {
                r = err_new(reterr, ERR_INVALID, "container %.12s, which may use it: %s", id,
                            err_message(e));
                return err_hint(reterr, r, "if nothing else reads it: kelp rm -f %.12s", id);
        }
        each_mount(doc, id, fn, arg);
        return 0;
}

static int each_container(const struct dirs *d, const char *name, mount_fn fn, void *arg,
                          struct err **reterr)
{
        int fd = openat(d->root_fd, CONTAINERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir) {
                int errnum = errno;

                (void)fd_close(fd);
                return errnum == ENOENT ? 0 : err_sys(reterr, errnum, "open " CONTAINERS "/");
        }
        for (struct dirent *e = readdir(dir); e && r >= 0; e = readdir(dir)) {
                if (str_is_hex(e->d_name, 64))
                        r = one_container(fd, e->d_name, name, fn, arg, reterr);
        }
        (void)closedir(dir);
        return r;
}

struct users {
        const char *name, *except;
        struct strv *ret;
};

static int add_user(const char *id, const char *name, void *arg)
{
        const struct users *u = arg;

        if (strcmp(name, u->name) == 0 && (!u->except || strcmp(id, u->except) != 0) &&
            !strv_contains(u->ret, id))
                strv_add(u->ret, id);
        return 0;
}

int volume_users(const struct dirs *d, const char *name, const char *except, struct strv *ret,
                 struct err **reterr)
{
        struct users u = {name, except, ret};

        return each_container(d, name, add_user, &u, reterr);
}

static int add_name(const char *id, const char *name, void *arg)
{
        struct strv *ret = arg;

        (void)id;
        if (!strv_contains(ret, name))
                strv_add(ret, name);
        return 0;
}

int volume_used_names(const struct dirs *d, struct strv *ret, struct err **reterr)
{
        return each_container(d, NULL, add_name, ret, reterr);
}
