/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/record.h"

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef NS_GET_MNTNS_ID
#define NS_GET_MNTNS_ID _IOR(0xb7, 5, uint64_t)
#endif

uint64_t mount_ns_id(pid_t pid)
{
        AUTO_CLOSE int fd = -EBADF;
        uint64_t id = 0;
        char path[40];
        struct stat st;

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        if (ioctl(fd, NS_GET_MNTNS_ID, &id) == 0 && id != 0)
                return id;
        return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void add_time(struct json_object *o, const char *key, int64_t ns)
{
        char text[CLOCK_RFC3339_MAX];

        json_add_string(o, key, ns > 0 ? clock_format(ns, text) : CLOCK_ZERO);
}

static int get_time(const struct json_at *at, const char *key, int64_t *ret, struct err **reterr)
{
        const char *text;
        int r = json_get_string(at, key, &text, reterr);

        if (r < 0)
                return r;
        *ret = 0;
        if (strcmp(text, CLOCK_ZERO) == 0)
                return 0;
        if (clock_parse(text, ret) < 0 || *ret < 0)
                return json_fail(at, reterr, "%s: not a time", key);
        return 0;
}

static void add_process(struct json_object *o, const struct process_id *p)
{
        json_add_int(o, "pid", p->pid);
        json_add_uint(o, "start", p->start_time);
}

static int get_process(const struct json_at *at, struct process_id *ret, struct err **reterr)
{
        uint64_t pid;
        int r = json_get_u64(at, "pid", &pid, reterr);

        if (r < 0)
                return r;
        if (pid == 0 || pid > INT32_MAX)
                return json_fail(at, reterr, "pid: out of range");
        ret->pid = (pid_t)pid;
        return json_get_u64(at, "start", &ret->start_time, reterr);
}

int run_record_write(int dirfd, const struct run_record *r, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();

        add_process(json_object(o, "process"), &r->process);
        add_process(json_object(o, "monitor"), &r->monitor);
        json_add_string(o, "boot", r->process.boot_id);
        add_time(o, "started", r->started_ns);
        if (r->restarts) {
                json_add_uint(o, "restarts", r->restarts);
                json_add_int(o, "lastCode", r->last_code);
        }
        if (r->mount_ns)
                json_add_uint(o, "mountNamespace", r->mount_ns);
        /* Never synced: after a power cut the boot id makes it worthless anyway. */
        return atomic_file_write_json(dirfd, RECORD_RUN, o, false, reterr);
}

static int run_record_from(struct json_object *obj, struct run_record *ret, struct err **reterr)
{
        struct json_at at = json_root(obj, RECORD_RUN), process, monitor;
        const char *boot;
        uint64_t code = 0;
        int r;

        *ret = (struct run_record){0};
        r = json_want_object(&at, reterr);
        if (r < 0)
                return r;
        process = json_key(&at, "process");
        monitor = json_key(&at, "monitor");
        r = json_want_object(&process, reterr);
        if (r >= 0)
                r = json_want_object(&monitor, reterr);
        if (r >= 0)
                r = get_process(&process, &ret->process, reterr);
        if (r >= 0)
                r = get_process(&monitor, &ret->monitor, reterr);
        if (r >= 0)
                r = json_get_string(&at, "boot", &boot, reterr);
        if (r >= 0)
                r = get_time(&at, "started", &ret->started_ns, reterr);
        if (r >= 0)
                r = json_opt_u64(&at, "mountNamespace", &ret->mount_ns, reterr);
        if (r >= 0)
                r = json_opt_u64(&at, "restarts", &ret->restarts, reterr);
        if (r >= 0)
                r = json_opt_u64(&at, "lastCode", &code, reterr);
        if (r < 0)
                return r;
        if (strlen(boot) >= sizeof(ret->process.boot_id))
                return json_fail(&at, reterr, "boot: too long");
        if (code > 255)
                return json_fail(&at, reterr, "lastCode: out of range");
        ret->last_code = (int)code;
        (void)snprintf(ret->process.boot_id, sizeof(ret->process.boot_id), "%s", boot);
        (void)snprintf(ret->monitor.boot_id, sizeof(ret->monitor.boot_id), "%s", boot);
        return 0;
}

int run_record_parse(const char *data, size_t n, struct run_record *ret, struct err **reterr)
{
        AUTO_JSON *o = NULL;
        int r = json_parse(data, n, RECORD_RUN, &o, reterr);

        return r < 0 ? r : run_record_from(o, ret, reterr);
}

/* 1 with the file's content, 0 when there is none. */
static int read_record(int dirfd, const char *name, char **ret, size_t *ret_len,
                       struct err **reterr)
{
        AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        int r;

        if (fd < 0) {
                if (errno == ENOENT)
                        return 0;
                return err_sys(reterr, errno, "%s", name);
        }
        r = io_read_fd(fd, name, RECORD_MAX, ret, ret_len, reterr);
        return r < 0 ? r : 1;
}

int run_record_read(int dirfd, struct run_record *ret, struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        size_t n;
        int r = read_record(dirfd, RECORD_RUN, &data, &n, reterr);

        if (r <= 0)
                return r;
        r = run_record_parse(data, n, ret, reterr);
        return r < 0 ? r : 1;
}

static struct json_object *exit_record_json(const struct exit_record *r)
{
        struct json_object *o = json_object_new_object();

        json_add_int(o, "code", r->code);
        json_add_bool(o, "oom", r->oom);
        if (r->error)
                json_add_string(o, "error", r->error);
        add_time(o, "started", r->started_ns);
        add_time(o, "finished", r->finished_ns);
        if (r->restarts)
                json_add_uint(o, "restarts", r->restarts);
        if (r->restarting)
                json_add_bool(o, "restarting", true);
        return o;
}

int exit_record_write(int dirfd, const struct exit_record *r, bool durable, struct err **reterr)
{
        AUTO_JSON *o = exit_record_json(r);

        return atomic_file_write_json(dirfd, RECORD_EXIT, o, durable, reterr);
}

int exit_record_write_lock(int dirfd, const struct exit_record *r, struct err **reterr)
{
        AUTO_JSON *o = exit_record_json(r);
        AUTO_CLOSE int fd = openat(dirfd, RECORD_LOCK, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
        const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
        int k;

        if (fd < 0)
                return err_sys(reterr, errno, "write the exit into '%s'", RECORD_LOCK);
        k = io_write_full(fd, text, strlen(text));
        return k < 0 ? err_sys(reterr, -k, "write the exit into '%s'", RECORD_LOCK) : 0;
}

int exit_record_parse(const char *data, size_t n, struct exit_record *ret, struct err **reterr)
{
        AUTO_JSON *o = NULL;
        struct json_at at;
        const char *error = NULL;
        uint64_t code;
        int r;

        *ret = (struct exit_record){0};
        r = json_parse(data, n, RECORD_EXIT, &o, reterr);
        if (r < 0)
                return r;
        at = json_root(o, RECORD_EXIT);
        r = json_want_object(&at, reterr);
        if (r >= 0)
                r = json_get_u64(&at, "code", &code, reterr);
        if (r >= 0)
                r = json_opt_bool(&at, "oom", &ret->oom, reterr);
        if (r >= 0)
                r = json_opt_string(&at, "error", &error, reterr);
        if (r >= 0)
                r = get_time(&at, "started", &ret->started_ns, reterr);
        if (r >= 0)
                r = get_time(&at, "finished", &ret->finished_ns, reterr);
        if (r >= 0)
                r = json_opt_u64(&at, "restarts", &ret->restarts, reterr);
        if (r >= 0)
                r = json_opt_bool(&at, "restarting", &ret->restarting, reterr);
        if (r < 0)
                return r;
        if (code > 255)
                return json_fail(&at, reterr, "code: out of range");
        ret->code = (int)code;
        ret->error = xstrdup(error);
        return 0;
}

int exit_record_read(int dirfd, struct exit_record *ret, struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        size_t n;
        int r = read_record(dirfd, RECORD_EXIT, &data, &n, reterr);

        if (r <= 0)
                return r;
        r = exit_record_parse(data, n, ret, reterr);
        return r < 0 ? r : 1;
}

int exit_record_read_lock(int fd, struct exit_record *ret, struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        size_t n;
        int r = io_read_fd(fd, RECORD_LOCK, RECORD_MAX, &data, &n, reterr);

        if (r < 0 || n == 0)
                return r < 0 ? r : 0;
        r = exit_record_parse(data, n, ret, reterr);
        return r < 0 ? r : 1;
}

void exit_record_release(struct exit_record *r)
{
        free(r->error);
        r->error = NULL;
}

bool exec_record_runs(int records_fd, const char *name)
{
        AUTO_JSON *o = NULL;
        AUTO_CLOSE int pidfd = -EBADF;
        struct process_id id = {0};
        struct json_at at;
        const char *boot = "";
        uint64_t pid = 0;
        bool running = false;

        if (json_read_file(records_fd, name, RECORD_MAX, &o, NULL) < 0)
                return false;
        at = json_root(o, name);
        if (json_opt_bool(&at, "Running", &running, NULL) < 0 || !running ||
            json_get_u64(&at, "Pid", &pid, NULL) < 0 || pid > INT32_MAX ||
            json_get_u64(&at, "start", &id.start_time, NULL) < 0 ||
            json_get_string(&at, "boot", &boot, NULL) < 0 || strlen(boot) >= sizeof(id.boot_id))
                return false;
        id.pid = (pid_t)pid;
        memcpy(id.boot_id, boot, strlen(boot) + 1);
        pidfd = process_open(&id, NULL);
        return pidfd >= 0;
}
