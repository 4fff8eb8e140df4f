/* SPDX-License-Identifier: Apache-2.0 */
/* changes — diff and export: kelp-image does the work, inside U; here it is told where everything is. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "container/container_internal.h"
#include "idmap/idmap.h"
#include "image/image_job.h"
#include "image/store.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- where everything is ---- */

static void add_mount_points(struct json_object *o, const struct spec *s)
{
        struct json_object *list = json_array(o, "mounts");

        for (size_t i = 0; i < s->n_mounts; i++)
                json_object_array_add(list, json_object_new_string(s->mounts[i].destination));
        for (size_t i = 0; i < s->n_secrets; i++) {
                if (!s->secrets[i].env)
                        json_object_array_add(list, json_object_new_string(s->secrets[i].target));
        }
        for (size_t i = 0; i < s->n_devices; i++)
                json_object_array_add(list, json_object_new_string(s->devices[i].path));
}

static int layer_dirs(const struct dirs *d, const struct strv *names, const struct id_map *uid,
                      const struct id_map *gid, struct strv *ret, struct strv *missing,
                      struct err **reterr)
{
        strv_release(ret);
        for (size_t i = 0; i < names->n; i++) {
                AUTO_FREE char *path = NULL;
                int r = store_layer_path(d, names->v[i], uid, gid, &path, reterr);

                if (r == -ENOENT && (!reterr || !*reterr))
                        strv_add(missing, names->v[i]);
                else if (r < 0)
                        return r;
                else
                        strv_add(ret, path);
        }
        return 0;
}

/* With the driver "copy" the layers are only there to compare with: with the owners that the copy has. */
static int find_layers(const struct dirs *d, const struct spec *s, const struct strv *names,
                       struct strv *ret, struct err **reterr)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        AUTO(id_map_release) struct id_map uid = {0}, gid = {0};
        AUTO_STRV missing = {0};
        bool own = s->uid_map.n > 0;
        int r = idmap_userns_open(d, &u, reterr);

        if (r < 0)
                return r;
        if (own) {
                uid = id_map_compose(&s->uid_map, &u->uid);
                gid = id_map_compose(&s->gid_map, &u->gid);
        }
        r = layer_dirs(d, names, own ? &uid : &u->uid, own ? &gid : &u->gid, ret, &missing, reterr);
        if (r < 0 || missing.n == 0)
                return r;
        r = image_job_reown(d, &missing, own ? &uid : &u->uid, own ? &gid : &u->gid, reterr);
        if (r >= 0)
                r = layer_dirs(d, names, own ? &uid : &u->uid, own ? &gid : &u->gid, ret, &missing,
                               reterr);
        return r;
}

static int open_directory(const struct spec *s, int *ret_fd, struct err **reterr)
{
        *ret_fd = open(s->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? err_sys(reterr, errno, "root file system '%s'", s->root_path) : 0;
}

/* Has it ever been started? Overlay makes this directory. Where we may not look, somebody else's ids are at work already. */
static bool is_fresh(const struct container *c, const struct spec *s)
{
        return s->work && faccessat(c->dir_fd, "work/work", F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
               errno == ENOENT;
}

static int describe(const struct dirs *d, struct container *c, const struct spec *s, bool compare,
                    struct json_object *o, int *ret_fd, struct err **reterr)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        AUTO_STRV layers = {0}, dirs = {0};
        const char *driver = "";
        int r;

        if ((r = json_opt_string(&root, "Driver", &driver, reterr)) < 0 ||
            (r = json_opt_strv(&root, "Layers", &layers, reterr)) < 0)
                return r;
        json_add_string(o, "container", c->id);
        json_add_string(o, "driver", driver);
        json_object_object_add(o, "uid", id_map_to_json(&s->uid_map));
        json_object_object_add(o, "gid", id_map_to_json(&s->gid_map));
        json_add_bool(o, "fresh", is_fresh(c, s));
        add_mount_points(o, s);
        if (s->root_kind == SPEC_ROOT_LAYERS) {
                json_add_string(o, "now", s->upper);
                strv_copy(&dirs, &s->layers);
        } else if (strcmp(driver, "copy") == 0) {
                json_add_string(o, "now", s->root_path);
                r = compare ? find_layers(d, s, &layers, &dirs, reterr) : 0;
        } else if (compare) {
                r = err_new(reterr, ERR_UNSUPPORTED,
                            "it was made from a directory: there is no image to compare it with");
                return err_hint(
                    reterr, r,
                    "kelp export writes all its files; kelp import makes an image of them");
        } else {
                r = open_directory(s, ret_fd, reterr);
        }
        json_object_object_add(o, "layers", json_from_strv(&layers));
        json_object_object_add(o, "dirs", json_from_strv(&dirs));
        return r;
}

int container_source(const struct dirs *d, struct container *c, bool compare,
                     struct json_object **ret, int *ret_fd, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();
        AUTO(spec_freep) struct spec *s = NULL;
        int dir = container_dir(d, c, reterr), r;

        *ret_fd = -EBADF;
        if (dir < 0)
                return dir;
        r = container_read_spec(dir, &s, reterr);
        if (r >= 0)
                r = describe(d, c, s, compare, o, ret_fd, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

/* ---- changes ---- */

/* Records of a letter, a name, a NUL; there may be millions of them, and one name is at most a page. */
struct reading {
        container_change_fn fn;
        void *arg;
        char buf[65536];
        size_t len;
};

static int give(struct reading *g, struct err **reterr)
{
        size_t at = 0;

        for (char *end; (end = memchr(g->buf + at, 0, g->len - at));
             at = (size_t)(end - g->buf) + 1) {
                int r = end - g->buf > (ptrdiff_t)at
                            ? g->fn(g->arg, g->buf[at], g->buf + at + 1, reterr)
                            : 0;

                if (r < 0)
                        return r;
        }
        memmove(g->buf, g->buf + at, g->len - at);
        g->len -= at;
        return g->len < sizeof(g->buf) ? 0 : err_new(reterr, ERR_REMOTE, "a change without an end");
}

static int read_changes(int fd, container_change_fn fn, void *arg, struct err **reterr)
{
        AUTO_FREE struct reading *g = xnew(struct reading);
        ssize_t n;
        int r = 0;

        g->fn = fn;
        g->arg = arg;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_sys(reterr, errno, "read the changes");
        while (r >= 0 && (n = io_read_some(fd, g->buf + g->len, sizeof(g->buf) - g->len)) != 0) {
                if (n < 0)
                        return err_sys(reterr, (int)-n, "read the changes");
                g->len += (size_t)n;
                r = give(g, reterr);
        }
        return r;
}

int container_changes(const struct dirs *d, struct container *c, container_change_fn fn, void *arg,
                      struct err **reterr)
{
        struct image_job job = IMAGE_JOB_INIT("changes");
        AUTO_CLOSE int in = -EBADF, out = -EBADF;
        AUTO_JSON *request = NULL;
        int r = container_source(d, c, true, &request, &in, reterr);

        if (r >= 0) {
                out = memfd_create("kelp-changes", MFD_CLOEXEC);
                if (out < 0)
                        r = err_sys(reterr, errno, "make room for the changes");
        }
        if (r >= 0) {
                job.program = CHANGES_PROGRAM;
                job.request = request;
                job.out_fd = out;
                r = image_job_run(d, &job, NULL, reterr);
        }
        if (r >= 0)
                r = read_changes(out, fn, arg, reterr);
        return r < 0 ? err_wrap(reterr, r, "container '%s'", c->name) : 0;
}

/* ---- export ---- */

int container_export(const struct dirs *d, struct container *c, int out_fd,
                     const struct container_job *j, struct err **reterr)
{
        struct image_job job = IMAGE_JOB_INIT("export");
        AUTO_CLOSE int in = -EBADF;
        AUTO_JSON *request = NULL;
        int r = container_source(d, c, false, &request, &in, reterr);

        if (r >= 0) {
                job.request = request;
                job.in_fd = in;
                job.out_fd = out_fd;
                job.progress = j->progress;
                job.warning = j->warning;
                job.arg = j->arg;
                r = image_job_run(d, &job, NULL, reterr);
        }
        if (r < 0)
                return err_wrap(reterr, r, "export container '%s'", c->name);
        container_event(d, c, "export", NULL);
        return 0;
}
