/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.c — theory of operation
 *
 * A cgroup is made before the child: directory, controllers, limits, and then its descriptor is given to clone3, so that no instruction
 * of the container runs outside of its limits. Nothing needs to be undone by the child. kill -9 of the maker at any point leaves
 * an empty directory, which the next create of the same path uses as it is: only a cgroup with processes in it is somebody's.
 */
#include "cgroup/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"
#include "cgroup/cgroup_internal.h"
#include "spec/resources.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

static const char *const manager_names[] = {
    [CGROUP_CGROUPFS] = "cgroupfs",
    [CGROUP_SYSTEMD] = "systemd",
    [CGROUP_DISABLED] = "disabled",
};
static_assert(ARRAY_SIZE(manager_names) == CGROUP_MANAGER_COUNT, "a name for every manager");

const char *cgroup_manager_name(enum cgroup_manager m)
{
        return manager_names[m];
}

int cgroup_manager_from_name(const char *name)
{
        for (int i = 0; i < CGROUP_MANAGER_COUNT; i++) {
                if (strcmp(manager_names[i], name) == 0)
                        return i;
        }
        return -EINVAL;
}

struct cgroup *cgroup_new_take(struct cgroup_mount *mount, const char *path)
{
        struct cgroup *cg = xnew(struct cgroup);

        cg->mount = *mount;
        *mount = (struct cgroup_mount){.fd = -EBADF};
        cg->path = xstrdup(path);
        cg->fd = openat(cg->mount.fd, path[1] ? path + 1 : ".", DIR_FLAGS | O_CLOEXEC);
        return cg;
}

struct cgroup *cgroup_free(struct cgroup *cg)
{
        if (!cg)
                return NULL;
        (void)fd_close(cg->fd);
        cgroup_mount_release(&cg->mount);
        free(cg->path);
        free(cg->unit);
        free(cg);
        return NULL;
}

int cgroup_fd(const struct cgroup *cg)
{
        return cg ? cg->fd : -EBADF;
}

const char *cgroup_path(const struct cgroup *cg)
{
        return cg ? cg->path : NULL;
}

/* ---- making it ---- */

/* cgroupsPath below the mount, cleaned: ".." stays inside. */
static int place_of(const struct cgroup_opts *o, const struct cgroup_mount *m, char **ret,
                    struct err **reterr)
{
        AUTO_FREE char *joined = NULL;

        if (o->path[0] != '/' && !m->own)
                return err_new(reterr, ERR_UNSUPPORTED,
                               "cgroup '%s': is relative to our own, which is not below %s",
                               o->path, m->path);
        joined = o->path[0] == '/' ? xstrdup(o->path) : xasprintf("%s/%s", m->own, o->path);
        *ret = path_clean(joined);
        if (strcmp(*ret, "/") == 0)
                return err_new(reterr, ERR_USAGE,
                               "cgroup '%s': is the root of the hierarchy, which is not a "
                               "container's",
                               o->path);
        return 0;
}

static bool is_populated(int fd)
{
        AUTO_FREE char *events = cgroup_read(fd, "cgroup.events");

        return cgroup_keyed(events, "populated") != 0;
}

/* Every directory of @path. *ret_made: how many names, from the left, were there. */
static int make_directories(const struct cgroup_mount *m, const char *path, size_t *ret_there,
                            struct err **reterr)
{
        AUTO_CLOSE int fd = fd_dup(m->fd, reterr);
        AUTO_STRV names = {0};

        strv_split(&names, path + 1, '/');
        *ret_there = 0;
        for (size_t i = 0; i < names.n; i++) {
                int next, r = mkdirat(fd, names.v[i], 0755) < 0 ? -errno : 0;

                if (r == -EEXIST)
                        *ret_there = i + 1;
                next = r == 0 || r == -EEXIST ? openat(fd, names.v[i], DIR_FLAGS | O_CLOEXEC) : r;
                if (next < 0)
                        return err_sys(reterr, r == 0 || r == -EEXIST ? errno : -r,
                                       "make cgroup '%s'", path);
                (void)fd_close(fd);
                fd = next;
        }
        return 0;
}

/* Removes the directories of @path from the right until @there names are left. */
static void unmake_directories(const struct cgroup_mount *m, const char *path, size_t there)
{
        AUTO_FREE char *p = xstrdup(path + 1);
        size_t n = 1;

        for (const char *s = p; *s; s++)
                n += *s == '/';
        for (; n > there; n--) {
                char *slash = strrchr(p, '/');

                if (unlinkat(m->fd, p, AT_REMOVEDIR) < 0 || !slash)
                        return;
                *slash = '\0';
        }
}

static int busy(const struct cgroup_opts *o, const char *path, struct err **reterr)
{
        int r = err_new(reterr, ERR_BUSY, "cgroup '%s' of container '%s' has processes already",
                        path, o->id ? o->id : "");

        return err_hint(reterr, r, "it is another container's: see linux.cgroupsPath");
}

static int set_up(struct cgroup *cg, const struct spec_resources *res, struct strv *warnings,
                  struct err **reterr)
{
        struct cgroup_settings settings = {0};
        AUTO_STRV controllers = {0};
        int r = res ? cgroup_convert(res, &settings, warnings, reterr) : 0;

        if (r < 0)
                return r;
        cgroup_settings_controllers(&settings, &controllers);
        r = cgroup_enable(&cg->mount, cg->path, &controllers, reterr);
        if (r == 0)
                r = cgroup_apply(cg->fd, &cg->mount, cg->path, &settings, reterr);
        cgroup_settings_release(&settings);
        return r;
}

static int create_here(const struct cgroup_opts *o, struct cgroup_mount *m, struct cgroup **ret,
                       struct strv *warnings, struct err **reterr)
{
        AUTO_FREE char *path = NULL;
        AUTO(cgroup_freep) struct cgroup *cg = NULL;
        size_t there = 0;
        int r = place_of(o, m, &path, reterr);

        if (r < 0)
                return r;
        r = make_directories(m, path, &there, reterr);
        if (r < 0) {
                unmake_directories(m, path, there);
                return r;
        }
        cg = cgroup_new_take(m, path);
        if (is_populated(cg->fd))
                return busy(o, path, reterr);
        r = set_up(cg, o->resources, warnings, reterr);
        if (r < 0) {
                unmake_directories(&cg->mount, path, there);
                return r;
        }
        *ret = TAKE_PTR(cg);
        return 0;
}

/* That there is no cgroup is let pass: a user without delegation, a host without v2. */
static bool may_do_without(const struct cgroup_opts *o, int r)
{
        bool refused =
            r == -EACCES || r == -EPERM || r == -EROFS || r == -EOPNOTSUPP || r == -ENOENT;

        return o->lenient && refused && !spec_resources_limits(o->resources);
}

static int explain(const struct cgroup_opts *o, int r, struct err **reterr)
{
        if (r == -EACCES || r == -EPERM || r == -EROFS)
                return err_hint(reterr, r,
                                "no cgroup is delegated to us there: use "
                                "--cgroup-manager disabled, without limits");
        return r;
}

int cgroup_create(const struct cgroup_opts *o, struct cgroup **ret, struct strv *warnings,
                  struct err **reterr)
{
        struct cgroup_mount m = {.fd = -EBADF};
        struct err *e = NULL;
        int r;

        *ret = NULL;
        if (o->manager == CGROUP_DISABLED || !o->path) {
                if (!spec_resources_limits(o->resources))
                        return 0;
                r = err_new(reterr, ERR_UNSUPPORTED,
                            "limits need a cgroup, and the container has none: %s",
                            o->path ? "cgroups are disabled" : "linux.cgroupsPath is not given");
                return err_hint(reterr, r, "%s",
                                o->path ? "leave out --cgroup-manager disabled"
                                        : "give linux.cgroupsPath, or leave linux.resources out");
        }
        if (o->manager == CGROUP_SYSTEMD) {
                r = err_new(reterr, ERR_UNSUPPORTED,
                            "cgroup '%s': scopes of systemd cannot be made yet", o->path);
                return err_hint(reterr, r, "use --cgroup-manager cgroupfs, or disabled");
        }
        r = cgroup_mount_open(&m, &e);
        if (r == 0)
                r = create_here(o, &m, ret, warnings, &e);
        cgroup_mount_release(&m);
        if (r < 0 && may_do_without(o, r)) {
                (void)err_free(e);
                return 0;
        }
        return r < 0 ? explain(o, err_move(reterr, r, &e), reterr) : 0;
}

int cgroup_attach(struct cgroup *cg, pid_t pid, struct err **reterr)
{
        char text[16];
        int r;

        if (!cg)
                return 0;
        (void)snprintf(text, sizeof text, "%d", (int)pid);
        r = cgroup_write(cg->fd, "cgroup.procs", text);
        if (r < 0) {
                r = err_sys(reterr, -r, "move the container's first process to cgroup '%s'",
                            cg->path);
                return err_hint(reterr, r,
                                "a process can be moved only by who may write the cgroup above "
                                "both places");
        }
        return 0;
}

/* ---- state ---- */

struct json_object *cgroup_to_json(const struct cgroup *cg)
{
        struct json_object *o;

        if (!cg)
                return NULL;
        o = json_object_new_object();
        json_add_string(o, "path", cg->path);
        if (cg->unit)
                json_add_string(o, "unit", cg->unit);
        return o;
}

int cgroup_from_json(struct json_object *obj, const char *what, struct cgroup **ret,
                     struct err **reterr)
{
        struct json_at at = json_root(obj, what);
        struct cgroup_mount m = {.fd = -EBADF};
        const char *path = NULL, *unit = NULL;
        AUTO_FREE char *clean = NULL;
        int r;

        *ret = NULL;
        if (!obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = json_get_string(&at, "path", &path, reterr)) < 0 ||
            (r = json_opt_string(&at, "unit", &unit, reterr)) < 0)
                return r;
        clean = path_clean(path);
        if (path[0] != '/' || strcmp(clean, path) != 0 || strcmp(path, "/") == 0)
                return json_fail(&at, reterr, "'%s' is no cgroup of a container", path);
        r = cgroup_mount_open(&m, reterr);
        if (r < 0)
                return r;
        *ret = cgroup_new_take(&m, path);
        (*ret)->unit = xstrdup(unit);
        return 0;
}

/* ---- changing it ---- */

static int64_t current_number(const struct cgroup *cg, const char *file)
{
        AUTO_FREE char *text = cgroup_read(cg->fd, file);
        int64_t v = SPEC_RES_UNSET;

        if (!text)
                return SPEC_RES_UNSET;
        text[strcspn(text, "\n ")] = '\0';
        return strcmp(text, "max") == 0 ? -1 : parse_i64(text, &v) < 0 ? SPEC_RES_UNSET : v;
}

static bool given(int64_t v)
{
        return v != SPEC_RES_UNSET && v != 0;
}

/* Values of v2 that are made of two of the spec's: the one that is not given is as it is now. */
static void complete(const struct cgroup *cg, struct spec_resources *res)
{
        if (given(res->cpu.period) && !given(res->cpu.quota))
                res->cpu.quota = current_number(cg, "cpu.max");
        if (given(res->cpu.quota) && !given(res->cpu.period)) {
                AUTO_FREE char *max = cgroup_read(cg->fd, "cpu.max");
                const char *period = max ? strchr(max, ' ') : NULL;

                if (period) {
                        max[strcspn(max, "\n")] = '\0';
                        (void)parse_i64(period + 1, &res->cpu.period);
                }
        }
        if (given(res->memory.swap) && !given(res->memory.limit))
                res->memory.limit = current_number(cg, "memory.max");
}

static int check_memory(const struct cgroup *cg, const struct spec_resources *res,
                        struct err **reterr)
{
        int64_t used = current_number(cg, "memory.current");

        if (!res->memory.check_before_update || res->memory.limit <= 0 || used <= res->memory.limit)
                return 0;
        return err_new(reterr, ERR_BUSY,
                       "memory.limit %" PRId64 " is less than what the container uses (%" PRId64
                       "), and checkBeforeUpdate is set",
                       res->memory.limit, used);
}

int cgroup_update(struct cgroup *cg, const struct spec_resources *res, struct strv *warnings,
                  struct err **reterr)
{
        struct spec_resources all = *res;
        int r;

        if (cg->fd < 0)
                return err_new(reterr, ERR_NOT_FOUND, "cgroup '%s' is gone", cg->path);
        complete(cg, &all);
        r = check_memory(cg, &all, reterr);
        return r < 0 ? r : set_up(cg, &all, warnings, reterr);
}
