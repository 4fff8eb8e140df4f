/* SPDX-License-Identifier: Apache-2.0 */
/* commit — the container's side of it: what it was asked to be, and its processes at rest. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "container/container_internal.h"
#include "image/image_job.h"

#include <errno.h>
#include <string.h>

/* What the container ran, as one line of the image's history. */
static void add_created_by(struct json_object *request, struct json_object *config)
{
        struct json_at root = json_root(config, CONFIG_FILE);
        AUTO_STRBUF line = {0};
        AUTO_STRV args = {0};
        const char *path = "";

        if (json_opt_string(&root, "Path", &path, NULL) >= 0)
                strbuf_add(&line, path);
        if (json_opt_strv(&root, "Args", &args, NULL) >= 0)
                for (size_t i = 0; i < args.n; i++)
                        strbuf_addf(&line, " %s", args.v[i]);
        json_add_string(request, "createdBy", line.data ? line.data : "");
}

static void fill_request(struct json_object *request, const struct container *c,
                         const struct container_commit_opts *o)
{
        struct json_object *settings = NULL;

        if (*c->image_id)
                json_add_string(request, "image", c->image_id);
        if (json_object_object_get_ex(c->config, "Config", &settings))
                json_object_object_add(request, "config", json_object_get(settings));
        add_created_by(request, c->config);
        if (o->changes)
                json_object_object_add(request, "changes", json_from_strv(o->changes));
        if (o->author)
                json_add_string(request, "author", o->author);
        if (o->message)
                json_add_string(request, "message", o->message);
        if (o->name)
                json_add_string(request, "name", o->name);
        json_add_bool(request, "docker", o->docker);
        json_add_bool(request, "squash", o->squash);
}

static int run(const struct dirs *d, struct json_object *request, const struct container_job *j,
               char **ret_id, struct err **reterr)
{
        struct image_job job = IMAGE_JOB_INIT("commit");
        AUTO_JSON *results = NULL;
        const char *id = NULL;
        struct json_at at;
        int r;

        job.request = request;
        job.progress = j->progress;
        job.warning = j->warning;
        job.arg = j->arg;
        r = image_job_run(d, &job, &results, reterr);
        if (r < 0)
                return r;
        at = json_root(json_object_array_get_idx(results, 0), "result");
        r = json_get_string(&at, "id", &id, reterr);
        if (r >= 0)
                *ret_id = xstrdup(id);
        return r;
}

/* ---- at rest meanwhile ---- */

static int pause_start(const struct dirs *d, const struct container *c, struct container_io *io,
                       struct err **reterr)
{
        struct monitor_spawn m = {.attach = true, .request_fd = -EBADF};
        int r;

        strv_add(&m.argv, MONITOR_PROGRAM);
        strv_add(&m.argv, "pause");
        strv_add(&m.argv, d->root);
        strv_add(&m.argv, c->id);
        r = monitor_spawn(&m, io, reterr);
        strv_release(&m.argv);
        return r;
}

/* Its processes go on as soon as the descriptor is closed, so even when we are killed. */
static void pause_end(struct container_io *io)
{
        io->attach_fd = fd_close(io->attach_fd);
        if (io->status_fd >= 0)
                (void)container_await_exit(io, NULL);
        container_io_close(io);
}

static int pause_if_asked(const struct dirs *d, const struct container *c,
                          const struct container_commit_opts *o, const struct container_job *job,
                          struct container_io *io, struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *text = NULL;
        int r;

        if (!o->pause || c->status != CONTAINER_RUNNING)
                return 0;
        r = pause_start(d, c, io, &e);
        /* It has ended meanwhile: more at rest it cannot be. */
        if (r >= 0 || err_kind(e) == ERR_BUSY)
                return 0;
        if (o->pause_wanted) {
                r = err_move(reterr, r, &e);
                r = err_wrap(reterr, r, "stop its processes meanwhile");
                return err_hint(reterr, r, "--pause=false does without");
        }
        text = xasprintf("its processes go on meanwhile, and may change what is read: %s",
                         err_message(e));
        if (job->warning)
                job->warning(job->arg, text);
        return 0;
}

int container_commit(const struct dirs *d, struct container *c,
                     const struct container_commit_opts *o, const struct container_job *job,
                     char **ret_id, struct err **reterr)
{
        struct container_io io = {-EBADF, -EBADF};
        AUTO_CLOSE int in = -EBADF;
        AUTO_JSON *request = NULL;
        int r = container_source(d, c, true, &request, &in, reterr);

        if (r >= 0)
                r = pause_if_asked(d, c, o, job, &io, reterr);
        if (r >= 0) {
                fill_request(request, c, o);
                r = run(d, request, job, ret_id, reterr);
        }
        pause_end(&io);
        if (r < 0)
                return err_wrap(reterr, r, "commit container '%s'", c->name);
        container_event(d, c, "commit",
                        (const char *const[]){"imageID", *ret_id, "comment",
                                              o->message ? o->message : "", NULL});
        return 0;
}
