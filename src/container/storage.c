/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * A child enters U, takes a mount namespace and tries each driver on directories in tmp/: an overlay must mount with userxattr, show a
 * lower file, and let one be removed (a whiteout) and a directory be replaced (an opaque one): some file systems mount
 * but fail there. The child answers with one line on a pipe: the driver, a tab, the reason. Its mounts go with its namespace.
 */
#include "container/storage.h"

#include "base/atomic_file.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "base/str.h"
#include "base/sys.h"
#include "container/container_internal.h"
#include "idmap/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CACHE_FILE "storage.json"
#define CACHE_MAX  4096
#define ANSWER_MAX 1024

static const char *const drivers[] = {"overlay", "fuse-overlayfs", "copy"};

/* ---- in the child ---- */

static bool make_file(const char *path)
{
        AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        return fd >= 0;
}

/* The current directory is the test's. */
static bool make_tree(void)
{
        return mkdir("lower", 0700) == 0 && mkdir("lower/dir", 0700) == 0 &&
               make_file("lower/file") && make_file("lower/dir/inside") &&
               mkdir("upper", 0700) == 0 && mkdir("work", 0700) == 0 && mkdir("merged", 0700) == 0;
}

/* What containers do all the time. */
static int try_changes(void)
{
        if (access("merged/file", F_OK) < 0 || unlink("merged/file") < 0 ||
            access("merged/file", F_OK) == 0)
                return errno ? errno : EIO;
        if (unlink("merged/dir/inside") < 0 || rmdir("merged/dir") < 0 ||
            mkdir("merged/dir", 0700) < 0)
                return errno;
        return access("merged/dir/inside", F_OK) == 0 ? EIO : 0;
}

static bool try_overlay(char *why, size_t size)
{
        int e = 0;

        if (mount("overlay", "merged", "overlay", 0,
                  "userxattr,lowerdir=lower,upperdir=upper,workdir=work") < 0) {
                (void)snprintf(why, size,
                               "the kernel's overlay cannot be mounted by users here: %s",
                               strerror(errno));
                return false;
        }
        errno = 0;
        e = try_changes();
        (void)umount2("merged", MNT_DETACH);
        if (e)
                (void)snprintf(why, size,
                               "the kernel's overlay does not work on this file system: %s",
                               strerror(e));
        return e == 0;
}

static bool try_fuse(char *why, size_t size)
{
        AUTO_FREE char *program = process_find_program("fuse-overlayfs");
        size_t n = strlen(why);
        int e, status = 0;
        pid_t pid;

        if (!program) {
                (void)snprintf(why + n, size - n, "; fuse-overlayfs is not installed");
                return false;
        }
        pid = fork();
        if (pid == 0) {
                AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                if (null >= 0 && dup3(null, 1, 0) >= 0 && dup3(null, 2, 0) >= 0)
                        (void)execl(program, "fuse-overlayfs", "-o",
                                    "lowerdir=lower,upperdir=upper,workdir=work", "merged", NULL);
                _exit(127);
        }
        /* It goes to the background once it has mounted. */
        if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
                (void)snprintf(why + n, size - n, "; fuse-overlayfs does not start (/dev/fuse?)");
                return false;
        }
        errno = 0;
        e = try_changes();
        (void)umount2("merged", 0);
        if (e)
                (void)snprintf(why + n, size - n, "; fuse-overlayfs does not work: %s",
                               strerror(e));
        return e == 0;
}

static void answer(int fd, const char *driver, const char *why)
{
        char text[ANSWER_MAX];
        int n = snprintf(text, sizeof(text), "%s\t%s", driver, why);

        (void)io_write_full(fd, text, (size_t)MIN(n, (int)sizeof(text) - 1));
}

static NORETURN void probe_child(const struct dirs *d, int fd, const char *dir)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        AUTO_ERR struct err *e = NULL;
        char why[ANSWER_MAX / 2] = "";

        if (idmap_userns_open(d, &u, &e) < 0 || idmap_userns_enter(u, &e) < 0) {
                answer(fd, "", err_message(e));
                _exit(1);
        }
        if (sys_unshare(CLONE_NEWNS) < 0 ||
            sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || chdir(dir) < 0 ||
            !make_tree()) {
                answer(fd, "", "cannot prepare a trial mount");
                _exit(1);
        }
        if (try_overlay(why, sizeof(why)))
                answer(fd, "overlay", "the kernel's overlay works for users here");
        else
                answer(fd, try_fuse(why, sizeof(why)) ? "fuse-overlayfs" : "copy", why);
        _exit(0);
}

/* ---- in the caller ---- */

static struct storage_info *info_new(const char *driver, const char *why)
{
        struct storage_info *s = xnew(struct storage_info);

        s->driver = xstrdup(driver);
        s->why = xstrdup(why);
        return s;
}

struct storage_info *storage_info_free(struct storage_info *s)
{
        if (s) {
                free(s->driver);
                free(s->why);
                free(s);
        }
        return NULL;
}

static int probe_run(const struct dirs *d, const char *dir, struct storage_info **ret,
                     struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        AUTO_CLOSE int in = -EBADF, out = -EBADF;
        size_t len;
        int pair[2], r;
        char *tab;
        pid_t pid;

        r = fd_pipe(pair, reterr);
        if (r < 0)
                return r;
        in = pair[0];
        out = pair[1];
        pid = fork();
        if (pid < 0)
                return err_sys(reterr, errno, "probe the storage drivers");
        if (pid == 0)
                probe_child(d, out, dir);
        out = fd_close(out);
        r = io_read_fd(in, "storage probe", ANSWER_MAX, &text, &len, reterr);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return r;
        tab = strchr(text, '\t');
        if (!tab || tab == text)
                return err_new(reterr, ERR_UNSUPPORTED, "probe the storage drivers: %s",
                               tab ? tab + 1 : "the probe was killed");
        *tab = 0;
        *ret = info_new(text, tab + 1);
        return 0;
}

static struct storage_info *cache_read(const struct dirs *d, const char *key)
{
        AUTO_JSON *o = NULL;
        struct json_at at;
        const char *have, *driver, *why;

        if (json_read_file(d->runtime_fd, CACHE_FILE, CACHE_MAX, &o, NULL) < 0)
                return NULL;
        at = json_root(o, CACHE_FILE);
        if (json_get_string(&at, "key", &have, NULL) < 0 || strcmp(have, key) != 0 ||
            json_get_string(&at, "driver", &driver, NULL) < 0 ||
            json_get_string(&at, "why", &why, NULL) < 0)
                return NULL;
        return info_new(driver, why);
}

static void cache_write(const struct dirs *d, const char *key, const struct storage_info *s)
{
        AUTO_JSON *o = json_object_new_object();

        json_add_string(o, "key", key);
        json_add_string(o, "driver", s->driver);
        json_add_string(o, "why", s->why);
        (void)atomic_file_write_json(d->runtime_fd, CACHE_FILE, o, false, NULL);
}

static int by_option(const char *option, struct storage_info **ret, struct err **reterr)
{
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
                if (strcmp(option, drivers[i]) == 0) {
                        *ret = info_new(option, "asked for with --storage-driver");
                        return 0;
                }
        }
        r = err_new(reterr, ERR_USAGE, "unknown storage driver '%s'", option);
        return err_hint(reterr, r, "use one of: overlay, fuse-overlayfs, copy");
}

int storage_probe(const struct dirs *d, const char *option, struct storage_info **ret,
                  struct err **reterr)
{
        struct tmp_dir tmp = TMP_DIR_NONE;
        AUTO_FREE char *dir = NULL;
        struct stat st;
        char key[80];
        int r;

        if (option)
                return by_option(option, ret, reterr);
        if (fstat(d->root_fd, &st) < 0)
                return err_sys(reterr, errno, "data root '%s'", d->root);
        /* Another boot may bring another kernel, another device is another file system. */
        (void)snprintf(key, sizeof(key), "%s %llx", process_boot_id(),
                       (unsigned long long)st.st_dev);
        *ret = cache_read(d, key);
        if (*ret)
                return 0;
        r = tmp_dir_make(d, &tmp, reterr);
        if (r < 0)
                return r;
        dir = xasprintf("%s/tmp/%s", d->root, tmp.id);
        r = probe_run(d, dir, ret, reterr);
        (void)container_tmp_delete(d, tmp.id, true, NULL);
        tmp_dir_close(&tmp);
        if (r >= 0)
                cache_write(d, key, *ret);
        return r;
}
