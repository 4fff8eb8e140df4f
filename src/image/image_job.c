/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_job.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/process.h"
#include "base/str.h"
#include "idmap/idmap.h"
#include "image/image_event.h"
#include "image/image_protocol.h"
#include "image/reference.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int make_request(struct json_object *request, struct err **reterr)
{
        const char *text =
            request ? json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN) : "{}";
        AUTO_CLOSE int fd = memfd_create("kelp-image-request", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "make the request");
        r = io_write_full(fd, text, strlen(text));
        if (r < 0)
                return err_sys(reterr, -r, "write the request");
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_sys(reterr, errno, "write the request");
        return TAKE_FD(fd);
}

static int spawn(const struct dirs *d, const struct image_job *job, int status, int *ret_pidfd,
                 struct err **reterr)
{
        AUTO_CLOSE int request = make_request(job->request, reterr);
        AUTO_FREE char *path = process_helper_path(job->program);
        AUTO_FREE char *program = xstrdup(job->program);
        AUTO_FREE char *verb = xstrdup(job->verb);
        char *argv[] = {program, verb, d->root, NULL};
        int fds[] = {job->in_fd, job->out_fd, STDERR_FILENO, status, request};
        struct process_spawn_opts opts = {
            .path = path,
            .argv = argv,
            .fds = fds,
            .n_fds = ARRAY_SIZE(fds),
            .death_signal = SIGTERM,
        };
        pid_t pid;

        if (request < 0)
                return request;
        return process_spawn(&opts, &pid, ret_pidfd, reterr);
}

/* 1: the last message came. */
static int handle(const struct image_job *job, struct json_object *msg, struct json_object *results,
                  struct err **reterr)
{
        struct json_at root = json_root(msg, job->program);
        const char *event = NULL, *text = NULL;
        uint64_t done = 0, total = 0;
        int r;

        r = json_get_string(&root, "event", &event, reterr);
        if (r < 0)
                return r;
        if (strcmp(event, "done") == 0)
                return 1;
        if (strcmp(event, "error") == 0)
                return err_decode(reterr, json_key(&root, "error").obj);
        if (strcmp(event, "result") == 0) {
                json_object_object_del(msg, "event");
                json_object_array_add(results, json_object_get(msg));
                return 0;
        }
        if (strcmp(event, "warning") == 0) {
                r = json_get_string(&root, "text", &text, reterr);
                if (r >= 0 && job->warning)
                        job->warning(job->arg, text);
                return r < 0 ? r : 0;
        }
        if (strcmp(event, "progress") != 0)
                return 0;
        if ((r = json_get_string(&root, "item", &text, reterr)) < 0 ||
            (r = json_opt_u64(&root, "done", &done, reterr)) < 0 ||
            (r = json_opt_u64(&root, "total", &total, reterr)) < 0)
                return r;
        if (job->progress)
                job->progress(job->arg, text, done, total);
        return 0;
}

static int killed(const struct image_job *job, int pidfd, struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        int code = process_wait(pidfd, &e), r;

        if (code > 128) {
                r = err_new(reterr, ERR_REMOTE, "%s was killed by signal %d", job->program,
                            code - 128);
                return err_hint(
                    reterr, r,
                    "nothing is damaged: try again; if it is killed again, memory may be short");
        }
        return err_new(reterr, ERR_REMOTE, "%s ended without an answer (exit code %d)",
                       job->program, code);
}

static int listen_until_end(const struct image_job *job, int status, int pidfd,
                            struct json_object *results, struct err **reterr)
{
        AUTO_FREE char *buf = xmalloc(IMAGE_MESSAGE_MAX);
        int r = 0;

        while (r == 0) {
                AUTO_JSON *msg = NULL;
                size_t n_fds = 0;
                ssize_t n = fd_recv(status, buf, IMAGE_MESSAGE_MAX, NULL, &n_fds);

                if (n == -EINTR)
                        continue;
                if (n < 0)
                        return err_sys(reterr, (int)-n, "listen to %s", job->program);
                if (n == 0)
                        return killed(job, pidfd, reterr);
                r = json_parse(buf, (size_t)n, job->program, &msg, reterr);
                if (r >= 0)
                        r = handle(job, msg, results, reterr);
        }
        return r < 0 ? r : 0;
}

/* One event for every image; @list: objects with its id and the name or names. */
static void tell_all(const struct dirs *d, const char *action, struct json_object *list)
{
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                struct json_at at = json_root(json_object_array_get_idx(list, i), action);
                const char *id = NULL, *name = NULL;
                AUTO_FREE char *shown = NULL;
                AUTO_STRV names = {0};

                if (json_get_string(&at, "id", &id, NULL) < 0)
                        continue;
                (void)json_opt_string(&at, "name", &name, NULL);
                if (!name && json_opt_strv(&at, "names", &names, NULL) >= 0 && names.n > 0)
                        name = names.v[0];
                shown = name ? reference_shown(name) : NULL;
                image_event_id(d, id, action, shown);
        }
}

/* Of several images in an archive, those before the one that failed are there. What was saved in part was not saved. */
static void tell(const struct dirs *d, const struct image_job *job, struct json_object *results,
                 bool done)
{
        struct json_object *images = NULL;

        if (strcmp(job->verb, "load") == 0 || strcmp(job->verb, "import") == 0)
                tell_all(d, job->verb, results);
        else if (done && strcmp(job->verb, "save") == 0 &&
                 json_object_object_get_ex(job->request, "images", &images))
                tell_all(d, job->verb, images);
}

int image_job_run(const struct dirs *d, const struct image_job *job,
                  struct json_object **ret_results, struct err **reterr)
{
        AUTO_JSON *results = json_object_new_array();
        AUTO_CLOSE int ours = -EBADF, theirs = -EBADF, pidfd = -EBADF;
        int pair[2], r;

        if (ret_results)
                *ret_results = json_object_get(results);
        r = fd_socketpair(SOCK_SEQPACKET, pair, reterr);
        if (r < 0)
                return r;
        ours = pair[0];
        theirs = pair[1];
        r = spawn(d, job, theirs, &pidfd, reterr);
        if (r < 0)
                return r;
        theirs = fd_close(theirs);
        r = listen_until_end(job, ours, pidfd, results, reterr);
        /* It cleans up behind an error before it ends: what follows may count on that. */
        ours = fd_close(ours);
        (void)process_wait(pidfd, NULL);
        tell(d, job, results, r >= 0);
        return r;
}

int image_job_remove_trees(const struct dirs *d, const struct strv *names, struct err **reterr)
{
        AUTO_JSON *request = json_object_new_object();
        struct image_job job = IMAGE_JOB_INIT("remove-trees");

        json_object_object_add(request, "names", json_from_strv(names));
        job.request = request;
        return image_job_run(d, &job, NULL, reterr);
}

static struct json_object *layers_request(const struct strv *layers, const struct id_map *uid,
                                          const struct id_map *gid)
{
        struct json_object *request = json_object_new_object();

        json_object_object_add(request, "layers", json_from_strv(layers));
        json_object_object_add(request, "uid", id_map_to_json(uid));
        json_object_object_add(request, "gid", id_map_to_json(gid));
        return request;
}

int image_job_reown(const struct dirs *d, const struct strv *layers, const struct id_map *uid,
                    const struct id_map *gid, struct err **reterr)
{
        AUTO_JSON *request = layers_request(layers, uid, gid);
        struct image_job job = IMAGE_JOB_INIT("reown");

        job.request = request;
        return image_job_run(d, &job, NULL, reterr);
}

int image_job_flatten(const struct dirs *d, const struct strv *layers, const struct id_map *uid,
                      const struct id_map *gid, const char *target, struct err **reterr)
{
        AUTO_JSON *request = layers_request(layers, uid, gid);
        struct image_job job = IMAGE_JOB_INIT("flatten");

        json_add_string(request, "target", target);
        job.request = request;
        return image_job_run(d, &job, NULL, reterr);
}

int image_job_user(const struct dirs *d, const struct strv *layers, const char *user,
                   const struct strv *volumes, uint32_t *ret_uid, uint32_t *ret_gid,
                   struct err **reterr)
{
        AUTO_JSON *request = json_object_new_object(), *results = NULL;
        struct image_job job = IMAGE_JOB_INIT("image-user");
        struct json_at list, at;
        int r;

        json_object_object_add(request, "layers", json_from_strv(layers));
        json_object_object_add(request, "volumes", json_from_strv(volumes));
        json_add_string(request, "user", user);
        job.request = request;
        r = image_job_run(d, &job, &results, reterr);
        if (r < 0 || json_object_array_length(results) == 0)
                return r;
        list = json_root(results, IMAGE_PROGRAM);
        at = json_elem(&list, 0);
        if ((r = json_opt_u32(&at, "uid", ret_uid, reterr)) < 0 ||
            (r = json_opt_u32(&at, "gid", ret_gid, reterr)) < 0)
                return r;
        return 1;
}
