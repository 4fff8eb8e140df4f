/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy — between a container and the host, or two containers. kelp-monitor lends the container's root, with all that is mounted in it; the host's side is
 * opened here, outside U; kelp-image does the work between the two descriptors and sees nothing else.
 */
#include "container/copy.h"

#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "container/container_internal.h"
#include "container/copy_path.h"
#include "idmap/idmap.h"
#include "image/image_job.h"
#include "spec/spec.h"
#include "volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct end {
        struct container *c; /* borrowed; NULL: the host */
        struct copy_path path;
        struct container_io io; /* of who lends it */
        struct json_object *json;
};
#define END_NONE                                                                                   \
        {                                                                                          \
                .path = {.fd = -EBADF}, .io = { -EBADF, -EBADF }                                   \
        }

/* The lender has written everything and let go of the container before this returns. */
static void end_release(struct end *e)
{
        copy_path_release(&e->path);
        e->io.attach_fd = fd_close(e->io.attach_fd);
        if (e->io.status_fd >= 0)
                (void)container_await_exit(&e->io, NULL);
        container_io_close(&e->io);
        (void)json_unref(e->json);
}

/* ---- a container's side ---- */

static int borrow(const struct dirs *d, struct end *e, bool write, struct err **reterr)
{
        struct monitor_spawn m = {.attach = true, .request_fd = -EBADF};
        size_t n_fds = 1;
        char byte;
        int r;

        strv_add(&m.argv, MONITOR_PROGRAM);
        strv_add(&m.argv, "lend");
        strv_add(&m.argv, d->root);
        strv_add(&m.argv, e->c->id);
        strv_add(&m.argv, write ? "write" : "read");
        r = monitor_spawn(&m, &e->io, reterr);
        strv_release(&m.argv);
        if (r < 0)
                return r;
        if (fd_recv(e->io.attach_fd, &byte, sizeof(byte), &e->path.fd, &n_fds) != 1 || n_fds != 1)
                return err_new(reterr, ERR_REMOTE, "its root file system was not handed over");
        return 0;
}

/* The directories of its volumes. Not parts of them, nor what a volume only stands for (o=bind): that may be the host's. */
static struct json_object *volume_places(const struct dirs *d, const struct spec *s)
{
        struct json_object *list = json_object_new_array();
        struct stat st;

        for (size_t i = 0; i < s->n_mounts; i++) {
                const struct spec_mount *m = &s->mounts[i];
                struct json_object *place;

                if (!m->file || m->subpath || !m->source || !str_starts(m->source, VOLUMES "/") ||
                    fstatat(d->root_fd, m->source, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                place = json_object_new_object();
                json_add_uint(place, "dev", st.st_dev);
                json_add_uint(place, "ino", st.st_ino);
                json_object_array_add(list, place);
        }
        return list;
}

static int open_container(const struct dirs *d, struct end *e, bool write, struct err **reterr)
{
        AUTO(spec_freep) struct spec *s = NULL;
        int dir = container_dir(d, e->c, reterr), r;

        if (dir < 0)
                return dir;
        r = container_read_spec(dir, &s, reterr);
        if (r >= 0)
                r = borrow(d, e, write, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "container '%s'", e->c->name);
        json_add_bool(e->json, "container", true);
        json_object_object_add(e->json, "uid", id_map_to_json(&s->uid_map));
        json_object_object_add(e->json, "gid", id_map_to_json(&s->gid_map));
        json_object_object_add(e->json, "volumes", volume_places(d, s));
        return 0;
}

/* ---- both ---- */

static void describe(const struct container_copy_end *from, struct end *e)
{
        AUTO_FREE char *what = from->container
                                   ? xasprintf("%s:%s", from->container->name, from->path)
                                   : xstrdup(from->path);

        e->c = from->container;
        e->json = json_object_new_object();
        copy_path_set(&e->path, what, from->path, e->c != NULL);
        json_add_bool(e->json, "stream", from->stream_fd >= 0);
}

static void finish_json(struct end *e, bool follow)
{
        json_add_string(e->json, "what", e->path.what);
        json_add_string(e->json, "path", e->path.path);
        json_add_string(e->json, "name", e->path.name);
        json_add_bool(e->json, "directory", e->path.directory);
        json_add_bool(e->json, "contents", e->path.contents);
        json_add_bool(e->json, "follow", follow);
}

static int copy(const struct dirs *d, struct end *from, struct end *to,
                const struct container_copy_opts *o, const struct container_job *j,
                struct err **reterr)
{
        AUTO_JSON *request = json_object_new_object();
        struct image_job job = IMAGE_JOB_INIT("copy");

        finish_json(from, o->follow);
        finish_json(to, false);
        json_object_object_add(request, "from", json_object_get(from->json));
        json_object_object_add(request, "to", json_object_get(to->json));
        json_add_bool(request, "archive", o->archive);
        json_add_bool(request, "overwrite", o->overwrite);
        job.request = request;
        job.in_fd = from->path.fd;
        job.out_fd = to->path.fd;
        job.progress = j->progress;
        job.warning = j->warning;
        job.arg = j->arg;
        return image_job_run(d, &job, NULL, reterr);
}

/* Of one container that does not run there is one lender: the second would find it taken. */
static int borrow_again(struct end *to, const struct end *from, struct err **reterr)
{
        static const char *const same[] = {"uid", "gid", "volumes"};

        to->path.fd = fd_dup(from->path.fd, reterr);
        json_add_bool(to->json, "container", true);
        for (size_t i = 0; i < ARRAY_SIZE(same); i++)
                json_object_object_add(
                    to->json, same[i],
                    json_object_get(json_object_object_get(from->json, same[i])));
        return to->path.fd < 0 ? to->path.fd : 0;
}

static int open_end(const struct dirs *d, const struct container_copy_end *given, struct end *e,
                    bool source, bool follow, bool write, struct err **reterr)
{
        if (given->stream_fd >= 0) {
                e->path.fd = fd_dup(given->stream_fd, reterr);
                return e->path.fd;
        }
        if (e->c)
                return open_container(d, e, write, reterr);
        return source ? copy_path_open_source(&e->path, follow, reterr)
                      : copy_path_open_destination(&e->path, reterr);
}

int container_copy(const struct dirs *d, const struct container_copy_end *source,
                   const struct container_copy_end *destination,
                   const struct container_copy_opts *o, const struct container_job *job,
                   struct err **reterr)
{
        AUTO(end_release) struct end from = END_NONE, to = END_NONE;
        bool same = source->container && destination->container &&
                    strcmp(source->container->id, destination->container->id) == 0;
        int r;

        describe(source, &from);
        describe(destination, &to);
        r = open_end(d, source, &from, true, o->follow, same, reterr);
        if (r >= 0)
                r = same ? borrow_again(&to, &from, reterr)
                         : open_end(d, destination, &to, false, false, true, reterr);
        return r < 0 ? r : copy(d, &from, &to, o, job, reterr);
}
