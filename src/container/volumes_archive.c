/* SPDX-License-Identifier: Apache-2.0 */
/* volumes_archive — volumes from archives and to archives. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/lock.h"
#include "container/container_internal.h"
#include "container/volumes.h"
#include "image/image_job.h"
#include "monitor/record.h"
#include "volume/volume.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The locks of the containers that have it: none of them runs, and none is started meanwhile. */
struct held {
        int *fds;
        size_t n;
};

static void held_release(struct held *h)
{
        while (h->n > 0)
                (void)fd_close(h->fds[--h->n]);
        free(h->fds);
}

static int hold_users(const struct dirs *d, const char *name, struct held *h, struct err **reterr)
{
        AUTO_STRV users = {0};
        int r = volume_users(d, name, NULL, &users, reterr);

        h->fds = xcalloc(users.n + 1, sizeof(int));
        for (size_t i = 0; r >= 0 && i < users.n; i++) {
                AUTO_FREE char *lock = xasprintf(CONTAINERS "/%s/" RECORD_LOCK, users.v[i]);

                r = lock_try(d->root_fd, lock, true, reterr);
                if (r == -EWOULDBLOCK) {
                        r = err_new(reterr, ERR_BUSY, "container %.12s, which has it, is running",
                                    users.v[i]);
                        return err_hint(reterr, r, "stop it first: kelp stop %.12s", users.v[i]);
                }
                if (r >= 0)
                        h->fds[h->n++] = r;
        }
        return r < 0 ? r : 0;
}

/* What is mounted from elsewhere is not ours to fill: tar can. */
static int check_kind(const struct dirs *d, const char *name, struct err **reterr)
{
        AUTO(volume_mount_release) struct volume_mount m = {0};
        AUTO(volume_freep) struct volume *v = NULL;
        int r = volume_load(d, name, &v, reterr);

        if (r >= 0)
                r = volume_mount_parse(&v->options, &m, reterr);
        if (r < 0 || m.kind == VOLUME_KIND_DIRECTORY)
                return r;
        if (m.kind == VOLUME_KIND_TMPFS)
                return err_new(reterr, ERR_UNSUPPORTED, "it is in memory, and only in a container");
        return err_new(reterr, ERR_UNSUPPORTED, "its files are those of '%s': use tar there",
                       m.device);
}

static void set_job(struct image_job *run, const struct volumes_job *job)
{
        if (!job)
                return;
        run->progress = job->progress;
        run->warning = job->warning;
        run->arg = job->arg;
}

int volumes_import(const struct dirs *d, const char *name, int in, const char *what,
                   const struct volumes_job *job, struct err **reterr)
{
        AUTO(held_release) struct held held = {0};
        AUTO_JSON *request = json_object_new_object();
        struct image_job run = IMAGE_JOB_INIT("volume-import");
        AUTO_CLOSE int lock = -EBADF;
        int r = check_kind(d, name, reterr);

        if (r >= 0)
                r = volume_lock(d, name, &lock, reterr);
        if (r >= 0)
                r = hold_users(d, name, &held, reterr);
        if (r < 0)
                return r;
        json_add_string(request, "volume", name);
        json_add_string(request, "what", what);
        run.request = request;
        run.in_fd = in;
        set_job(&run, job);
        r = image_job_run(d, &run, NULL, reterr);
        return r < 0 ? r : volume_first_use_done(d, name, lock, reterr);
}

int volumes_export(const struct dirs *d, const char *name, int out, const struct volumes_job *job,
                   struct err **reterr)
{
        AUTO_JSON *request = json_object_new_object();
        struct image_job run = IMAGE_JOB_INIT("export");
        AUTO_FREE char *path = NULL;
        struct stat before, after;
        int r = check_kind(d, name, reterr);

        if (r < 0)
                return r;
        path = volume_relative_path(name);
        if (fstatat(d->root_fd, path, &before, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(reterr, errno, "open its files");
        json_add_string(request, "now", path);
        json_add_string(request, "driver", "copy"); /* a plain tree */
        run.request = request;
        run.out_fd = out;
        set_job(&run, job);
        r = image_job_run(d, &run, NULL, reterr);
        if (r < 0)
                return r;
        /* A reader needs no lock; it is told when what it read was taken away. */
        if (fstatat(d->root_fd, path, &after, AT_SYMLINK_NOFOLLOW) < 0 ||
            after.st_ino != before.st_ino || after.st_dev != before.st_dev)
                return err_new(reterr, ERR_BUSY, "it was removed or replaced meanwhile");
        return 0;
}
