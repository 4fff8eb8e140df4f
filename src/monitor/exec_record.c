/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "monitor/exec_internal.h"
#include "monitor/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int record_write(struct exec *x, bool running, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();
        struct json_object *process = NULL;
        struct process_id id;

        json_add_string(o, "ID", x->req.eid);
        json_add_bool(o, "Running", running);
        if (running && process_identify(x->p.pid, &id, NULL) >= 0) {
                json_add_int(o, "Pid", id.pid);
                json_add_uint(o, "start", id.start_time);
                json_add_string(o, "boot", id.boot_id);
        }
        if (!running)
                json_add_int(o, "ExitCode", x->code);
        if (json_object_object_get_ex(x->req.doc, "ProcessConfig", &process))
                (void)json_object_object_add(o, "ProcessConfig", json_object_get(process));
        return atomic_file_write_json(x->records_fd, x->record_name, o, false, reterr);
}

/* ---- how many are kept ---- */

struct ended {
        char name[72]; /* <eid>.json */
        struct timespec when;
};

static int by_age(const void *a, const void *b)
{
        const struct timespec *x = &((const struct ended *)a)->when;
        const struct timespec *y = &((const struct ended *)b)->when;

        if (x->tv_sec != y->tv_sec)
                return x->tv_sec < y->tv_sec ? -1 : 1;
        return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static void drop_oldest(int records_fd, struct ended *ended, size_t n)
{
        if (n <= RECORD_EXECS_KEPT)
                return;
        qsort(ended, n, sizeof(*ended), by_age);
        for (size_t i = 0; i < n - RECORD_EXECS_KEPT; i++)
                (void)unlinkat(records_fd, ended[i].name, 0);
}

/* Records of sessions that have ended, also by the death of their monitor, are only kept up to a number. */
static void records_bound(const struct exec *x)
{
        AUTO_CLOSE int fd = openat(x->records_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO_FREE struct ended *ended = NULL;
        size_t n = 0;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir)
                return;
        (void)TAKE_FD(fd);
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                struct stat st;

                if (e->d_name[0] == '.' || strlen(e->d_name) >= sizeof(ended->name) ||
                    fstatat(x->records_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    exec_record_runs(x->records_fd, e->d_name))
                        continue;
                ended = xrealloc(ended, n + 1, sizeof(*ended));
                memcpy(ended[n].name, e->d_name, strlen(e->d_name) + 1);
                ended[n++].when = st.st_mtim;
        }
        (void)closedir(dir);
        drop_oldest(x->records_fd, ended, n);
}

int exec_record_open(struct exec *x, struct err **reterr)
{
        x->records_fd = path_mkdir_open(x->dir_fd, RECORD_EXECS, 0700, reterr);
        if (x->records_fd < 0)
                return x->records_fd;
        x->record_name = xasprintf("%s.json", x->req.eid);
        return record_write(x, true, reterr);
}

void exec_record_close(struct exec *x)
{
        if (!x->req.detach) {
                (void)unlinkat(x->records_fd, x->record_name, 0);
                return;
        }
        (void)record_write(x, false, NULL);
        records_bound(x);
}
