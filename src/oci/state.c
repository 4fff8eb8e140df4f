/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c — the state directory. Theory of operation: whoever makes ROOT/ID has the id. What the directory lacks after a "kill -9" says how far
 * its maker came: without a lock's holder and without a process it is "stopped", which delete knows how to end.
 */
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/path.h"
#include "cgroup/cgroup.h"
#include "launch/launch.h"
#include "oci/oci.h"
#include "spec/spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define STATE_FILE  "state.json"
#define CONFIG_FILE "config.json"
#define STATE_MAX   65536

struct oci_container *oci_container_free(struct oci_container *c)
{
        if (!c)
                return NULL;
        free(c->id);
        free(c->bundle);
        free(c->rootfs);
        (void)fd_close(c->lock_fd);
        (void)fd_close(c->dir_fd);
        (void)cgroup_free(c->cgroup);
        (void)spec_free(c->spec);
        free(c);
        return NULL;
}

const char *oci_status_name(enum oci_status s)
{
        static const char *const names[] = {[OCI_CREATING] = "creating",
                                            [OCI_CREATED] = "created",
                                            [OCI_RUNNING] = "running",
                                            [OCI_PAUSED] = "paused",
                                            [OCI_STOPPED] = "stopped"};

        return names[s];
}

/* ---- the root ---- */

static bool initial_userns(void)
{
        AUTO_FREE char *map = NULL;
        size_t len;

        return io_read_file(AT_FDCWD, "/proc/self/uid_map", 4096, &map, &len, NULL) >= 0 &&
               strstr(map, "4294967295");
}

/* Callers leave us nothing but PATH and XDG_RUNTIME_DIR, and must find again what they created. */
static char *root_path(const struct oci *o, struct err **reterr)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");

        if (!str_empty(o->globals->root))
                return path_make_absolute(o->globals->root, reterr);
        if (geteuid() == 0 && initial_userns())
                return xstrdup("/run/kelp-oci");
        if (!str_empty(runtime))
                return path_join(runtime, "kelp-oci");
        (void)err_hint(reterr,
                       err_new(reterr, ERR_USAGE, "no state directory: XDG_RUNTIME_DIR is not set"),
                       "set it, or name a directory with --root");
        return NULL;
}

int oci_open_root(struct oci *o, struct err **reterr)
{
        AUTO_FREE char *path = root_path(o, reterr);
        int r;

        if (!path)
                return -EINVAL;
        r = o->root_fd = path_mkdir_open(AT_FDCWD, path, 0700, reterr);
        return r < 0 ? err_wrap(reterr, r, "state directory '%s'", path) : 0;
}

/* ---- containers ---- */

int oci_check_id(const char *id, struct err **reterr)
{
        size_t len = strlen(id);
        int r;

        if (len > 0 && len <= NAME_MAX && id[0] != '.' &&
            strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.") == len)
                return 0;
        r = err_new(reterr, ERR_USAGE, "container id '%s' is invalid", id);
        return err_hint(
            reterr, r,
            "an id has 1 to 255 letters, digits and '_+-.', and does not begin with a dot");
}

static struct oci_container *container_alloc(const char *id)
{
        struct oci_container *c = xnew(struct oci_container);

        c->id = xstrdup(id);
        c->dir_fd = c->lock_fd = -EBADF;
        c->owner = geteuid();
        return c;
}

static int open_dir(const struct oci *o, struct oci_container *c, struct err **reterr)
{
        c->dir_fd = openat(o->root_fd, c->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (c->dir_fd < 0 && errno == ENOENT)
                return err_new(reterr, ERR_NOT_FOUND, "container does not exist: '%s'", c->id);
        return c->dir_fd < 0 ? err_sys(reterr, errno, "container '%s'", c->id) : 0;
}

static int lock_dir(struct oci_container *c, struct err **reterr)
{
        struct stat st;
        int r = c->lock_fd = lock_acquire(c->dir_fd, ".", true, reterr);

        if (r < 0)
                return err_wrap(reterr, r, "container '%s'", c->id);
        /* Deleted while we waited. */
        if (fstat(c->dir_fd, &st) == 0 && st.st_nlink == 0)
                return err_new(reterr, ERR_NOT_FOUND, "container does not exist: '%s'", c->id);
        return 0;
}

int oci_container_new(const struct oci *o, const char *id, struct oci_container **ret,
                      struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = container_alloc(id);
        int r = oci_check_id(id, reterr);

        if (r < 0)
                return r;
        if (mkdirat(o->root_fd, id, 0700) < 0) {
                if (errno != EEXIST)
                        return err_sys(reterr, errno, "container '%s'", id);
                r = err_new(reterr, ERR_EXISTS, "container already exists: '%s'", id);
                return err_hint(reterr, r, "choose another id, or remove it: kelp-oci delete %s",
                                id);
        }
        r = open_dir(o, c, reterr);
        if (r == 0)
                r = lock_dir(c, reterr);
        if (r < 0)
                return r;
        c->created_ns = clock_now_ns();
        *ret = TAKE_PTR(c);
        return 0;
}

int oci_container_save(const struct oci_container *c, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();
        char created[CLOCK_RFC3339_MAX];
        int r;

        json_add_string(o, "bundle", c->bundle);
        json_add_string(o, "rootfs", c->rootfs);
        json_add_string(o, "created", clock_format(c->created_ns, created));
        json_add_uint(o, "owner", c->owner);
        json_add_int(o, "pid", c->init.pid);
        json_add_uint(o, "startTime", c->init.start_time);
        json_add_string(o, "bootId", c->init.boot_id);
        json_object_object_add(o, "cgroup", cgroup_to_json(c->cgroup));
        r = atomic_file_write_json(c->dir_fd, STATE_FILE, o, false, reterr);
        return r < 0 ? err_wrap(reterr, r, "container '%s'", c->id) : 0;
}

static int read_state(struct oci_container *c, struct json_object *doc, struct err **reterr)
{
        struct json_at at = json_root(doc, STATE_FILE);
        const char *bundle = NULL, *rootfs = NULL, *created = NULL, *boot = NULL;
        uint32_t owner = 0;
        int64_t pid = 0;
        int r;

        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = json_get_string(&at, "bundle", &bundle, reterr)) < 0 ||
            (r = json_get_string(&at, "rootfs", &rootfs, reterr)) < 0 ||
            (r = json_get_string(&at, "created", &created, reterr)) < 0 ||
            (r = json_get_string(&at, "bootId", &boot, reterr)) < 0 ||
            (r = json_opt_i64(&at, "pid", &pid, reterr)) < 0 ||
            (r = json_opt_u32(&at, "owner", &owner, reterr)) < 0 ||
            (r = json_get_u64(&at, "startTime", &c->init.start_time, reterr)) < 0)
                return r;
        if (clock_parse(created, &c->created_ns) < 0 || pid < 0 || pid > INT_MAX)
                return json_fail(&at, reterr, "damaged");
        c->bundle = xstrdup(bundle);
        c->rootfs = xstrdup(rootfs);
        c->owner = owner;
        c->init.pid = (pid_t)pid;
        (void)snprintf(c->init.boot_id, sizeof(c->init.boot_id), "%s", boot);
        return cgroup_from_json(json_key(&at, "cgroup").obj, STATE_FILE, &c->cgroup, reterr);
}

/*
 * Its maker was killed before it could write down the process, which listens all the same: the socket's peer is the process that called
 * listen(2). It takes a connection that says nothing for none.
 */
static void find_waiting(struct oci_container *c)
{
        AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        struct ucred peer;
        socklen_t len = sizeof(peer);
        char dir[FD_PATH_MAX];

        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" OCI_START_SOCKET,
                       fd_path(c->dir_fd, dir));
        if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
                return;
        if (process_identify(peer.pid, &c->init, NULL) < 0)
                c->init.pid = 0;
}

int oci_container_find(const struct oci *o, const char *id, bool lock, struct oci_container **ret,
                       struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = container_alloc(id);
        AUTO_JSON *doc = NULL;
        struct err *e = NULL;
        int r;

        if (oci_check_id(id, NULL) < 0)
                return err_new(reterr, ERR_NOT_FOUND, "container does not exist: '%s'", id);
        r = open_dir(o, c, reterr);
        if (r == 0 && lock)
                r = lock_dir(c, reterr);
        if (r < 0)
                return r;
        r = json_read_file(c->dir_fd, STATE_FILE, STATE_MAX, &doc, &e);
        if (r == -ENOENT) {
                (void)err_free(e);
                c->bundle = xstrdup("");
                c->rootfs = xstrdup("");
                c->created_ns = clock_now_ns();
        } else if (r < 0) {
                (void)err_move(reterr, r, &e);
                return err_wrap(reterr, r, "container '%s'", id);
        } else if ((r = read_state(c, doc, reterr)) < 0) {
                return err_wrap(reterr, r, "container '%s'", id);
        }
        if (c->init.pid == 0 && !(!lock && lock_is_held(c->dir_fd, ".")))
                find_waiting(c);
        *ret = TAKE_PTR(c);
        return 0;
}

int oci_container_spec(struct oci_container *c, struct strv *warnings, struct err **reterr)
{
        AUTO_JSON *config = NULL;
        int r;

        if (c->spec)
                return 0;
        r = json_read_file(c->dir_fd, CONFIG_FILE, SPEC_CONFIG_MAX, &config, reterr);
        if (r >= 0)
                r = spec_from_bundle(config, CONFIG_FILE, c->bundle, &c->spec, warnings, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "container '%s'", c->id);
        free(c->spec->id);
        c->spec->id = xstrdup(c->id);
        return 0;
}

enum oci_status oci_container_status(const struct oci_container *c, int *ret_pidfd)
{
        AUTO_CLOSE int pidfd = -EBADF;

        if (ret_pidfd)
                *ret_pidfd = -EBADF;
        if (c->init.pid == 0)
                return c->lock_fd < 0 && lock_is_held(c->dir_fd, ".") ? OCI_CREATING : OCI_STOPPED;
        pidfd = process_open(&c->init, NULL);
        if (pidfd < 0)
                return OCI_STOPPED;
        if (ret_pidfd)
                *ret_pidfd = TAKE_FD(pidfd);
        if (cgroup_is_frozen(c->cgroup))
                return OCI_PAUSED;
        return launch_is_held(c->dir_fd, OCI_START_SOCKET) ? OCI_CREATED : OCI_RUNNING;
}

struct json_object *oci_container_state(struct oci_container *c, struct err **reterr)
{
        enum oci_status status = oci_container_status(c, NULL);
        AUTO_STRV warnings = {0}; /* were given at create */
        char created[CLOCK_RFC3339_MAX], owner[16];
        struct json_object *o;
        AUTO(spec_freep) struct spec *none = NULL;
        const struct spec *s;

        if (oci_container_spec(c, &warnings, NULL) < 0) {
                /* Its maker did not come so far. */
                none = spec_new();
                none->id = xstrdup(c->id);
                none->bundle = xstrdup(c->bundle);
        }
        s = none ? none : c->spec;
        o = spec_oci_state_json(s, oci_status_name(status),
                                status == OCI_STOPPED ? 0 : c->init.pid);
        json_add_string(o, "rootfs", c->rootfs);
        json_add_string(o, "created", clock_format(c->created_ns, created));
        (void)snprintf(owner, sizeof(owner), "%u", c->owner);
        json_add_string(o, "owner", owner);
        return o;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

int oci_list(const struct oci *o, struct strv *ret, struct err **reterr)
{
        AUTO_CLOSE int fd = openat(o->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *de;
        DIR *dir;

        if (fd < 0 || !(dir = fdopendir(fd)))
                return err_sys(reterr, errno, "list the state directory");
        (void)TAKE_FD(fd);
        while ((de = readdir(dir))) {
                if (oci_check_id(de->d_name, NULL) == 0)
                        strv_add(ret, de->d_name);
        }
        (void)closedir(dir);
        if (ret->n)
                qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
        return 0;
}

int oci_container_forget(const struct oci *o, struct oci_container *c, struct err **reterr)
{
        return path_remove_tree(o->root_fd, c->id, reterr);
}
