/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_pod — the exit policy "stop": the infra container goes with the last member that runs. Each member looks at the others after it has let
 * go of its own lock, so whoever is the last sees that nobody is left; two that end at once may both see it, and both ask. Who is being
 * started holds his lock since before he looks for the infra container, and is seen.
 */
#include "base/dirs.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/str.h"
#include "base/sys.h"
#include "monitor/record.h"
#include "monitor/run_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_MAX JSON_OWN_MAX

static bool is_member(int dir_fd, const char *pod)
{
        AUTO_JSON *doc = NULL;
        const char *id = NULL;
        struct json_at root, of;

        if (json_read_file(dir_fd, "config.json", CONFIG_MAX, &doc, NULL) < 0)
                return false;
        root = json_root(doc, "config.json");
        if (json_want_object(&root, NULL) < 0)
                return false;
        of = json_key(&root, "Pod");
        return of.obj && json_opt_string(&of, "Id", &id, NULL) >= 0 && id && strcmp(id, pod) == 0;
}

static bool others_run(const struct run *run)
{
        int fd = openat(run->d->root_fd, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        bool found = false;

        if (!dir) {
                (void)fd_close(fd);
                return false;
        }
        for (struct dirent *e = readdir(dir); e && !found; e = readdir(dir)) {
                AUTO_CLOSE int one = -EBADF;

                /* It may have been started again already: then the lock is another monitor's. */
                if (!str_is_hex(e->d_name, 64) || strcmp(e->d_name, run->a->pod) == 0 ||
                    (run->lock_fd >= 0 && strcmp(e->d_name, run->a->id) == 0))
                        continue;
                one = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                found = one >= 0 &&
                        (lock_is_held(one, RECORD_LOCK) || lock_is_held(one, RECORD_RESTART)) &&
                        is_member(one, run->a->pod);
        }
        (void)closedir(dir);
        return found;
}

void run_end_pod(const struct run *run)
{
        AUTO_FREE char *path = NULL;
        AUTO_CLOSE int dir = -EBADF, pidfd = -EBADF;
        struct run_record rec;

        if (!run->a->pod || !run->d || others_run(run))
                return;
        path = xasprintf("containers/%s", run->a->pod);
        dir = openat(run->d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0 && run_record_read(dir, &rec, NULL) > 0)
                pidfd = process_open(&rec.process, NULL);
        if (pidfd >= 0)
                (void)sys_pidfd_send_signal(pidfd, SIGTERM);
}
