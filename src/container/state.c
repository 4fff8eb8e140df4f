/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state — deriving what a container is from the lock and the records (the table in docs/state.md), and settling what a killed
 * monitor has left: its processes are killed, its exit is recorded, and a container that was to be removed on exit is removed.
 * Whoever looks first does it, under the container's own lock.
 */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/sys.h"
#include "container/container_internal.h"
#include "monitor/protocol.h"
#include "monitor/record.h"
#include "monitor/removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MOUNTINFO_MAX     (4 << 20)
#define DEATH_PATIENCE_MS 10000
#define CODE_KILLED       137

static const char *const status_names[] = {
    [CONTAINER_CREATED] = "created",   [CONTAINER_RUNNING] = "running",
    [CONTAINER_PAUSED] = "paused",     [CONTAINER_RESTARTING] = "restarting",
    [CONTAINER_REMOVING] = "removing", [CONTAINER_EXITED] = "exited",
    [CONTAINER_DEAD] = "dead",
};
_Static_assert(ARRAY_SIZE(status_names) == CONTAINER_STATUS_COUNT, "every status has a name");

const char *container_status_name(enum container_status s)
{
        return s < CONTAINER_STATUS_COUNT ? status_names[s] : "unknown";
}

bool container_is_up(const struct container *c)
{
        return c->status == CONTAINER_RUNNING || c->status == CONTAINER_PAUSED ||
               c->status == CONTAINER_RESTARTING;
}

struct container *container_free(struct container *c)
{
        if (!c)
                return NULL;
        free(c->name);
        free(c->image_name);
        free(c->image_id);
        free(c->error);
        free(c->health);
        c->config = json_unref(c->config);
        free(c->config_text);
        (void)fd_close(c->dir_fd);
        free(c);
        return NULL;
}

struct json_object *container_config(struct container *c)
{
        if (!c->config)
                (void)json_parse(c->config_text, strlen(c->config_text), CONFIG_FILE, &c->config,
                                 NULL);
        return c->config;
}

void container_config_drop(struct container *c)
{
        c->config = json_unref(c->config);
}

struct json_at container_host_config(const struct json_at *root)
{
        return json_key(root, "HostConfig");
}

bool container_auto_remove(const struct container *c)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_at host = container_host_config(&root);
        bool rm = false;

        return host.obj && json_opt_bool(&host, "AutoRemove", &rm, NULL) >= 0 && rm;
}

/* ---- facts ---- */

struct facts {
        bool held, have_run, have_exit, stopped;
        struct run_record run;
        struct exit_record exit;
};

static void facts_read(int dir_fd, struct facts *f)
{
        *f = (struct facts){0};
        /* The lock first: a monitor that lets go of it has written its record before. */
        f->held = lock_is_held(dir_fd, RECORD_LOCK);
        f->have_run = run_record_read(dir_fd, &f->run, NULL) > 0;
        f->have_exit = exit_record_read(dir_fd, &f->exit, NULL) > 0;
        f->stopped = faccessat(dir_fd, RECORD_STOPPED, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        /* Of an earlier run: its policy has started it again. */
        if (f->have_run && f->have_exit && f->exit.started_ns != f->run.started_ns) {
                exit_record_release(&f->exit);
                f->have_exit = false;
        }
}

/* ---- leftovers ---- */

static void kill_and_wait(int pidfd)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        (void)sys_pidfd_send_signal(pidfd, SIGKILL);
        (void)poll(&p, 1, DEATH_PATIENCE_MS);
}

/*
 * Kernels before 6.11 know a namespace by its inode number only, and hand that out again: the mount namespace of a process may bear the
 * number of one that is gone. What is mounted there tells: every container has files of its own directory in it.
 */
static bool has_mounts_of(uint32_t pid, const char *container_id)
{
        AUTO_FREE char *text = NULL;
        char path[40], needle[80];

        (void)snprintf(path, sizeof(path), "/proc/%u/mountinfo", pid);
        (void)snprintf(needle, sizeof(needle), "containers/%s/", container_id);
        return io_read_file(AT_FDCWD, path, MOUNTINFO_MAX, &text, NULL, NULL) >= 0 &&
               strstr(text, needle);
}

/* Processes in the container's mount namespace: what is left of one without a PID namespace of its own. */
static void kill_in_mount_ns(uint64_t id, const char *container_id)
{
        DIR *dir = opendir("/proc");

        if (!dir)
                return;
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                AUTO_CLOSE int pidfd = -EBADF;
                uint32_t pid;

                if (parse_u32(e->d_name, &pid) < 0)
                        continue;
                pidfd = sys_pidfd_open((pid_t)pid, 0);
                /* Looked at after the descriptor was opened: it is this process that is in the namespace, not a former one. */
                if (pidfd >= 0 && mount_ns_id((pid_t)pid) == id && has_mounts_of(pid, container_id))
                        kill_and_wait(pidfd);
        }
        (void)closedir(dir);
}

static void kill_leftovers(const struct run_record *run, const char *container_id)
{
        AUTO_CLOSE int pidfd = process_open(&run->process, NULL);

        if (pidfd >= 0)
                kill_and_wait(pidfd);
        if (run->mount_ns && strcmp(run->process.boot_id, process_boot_id()) == 0)
                kill_in_mount_ns(run->mount_ns, container_id);
}

/* Is it one that its end removes, and that nobody is about to start again? */
static bool goes_at_end(int dir_fd, const struct container *c)
{
        return container_auto_remove(c) && !lock_is_held(dir_fd, RECORD_RESTART);
}

/* 1: it is gone. */
static int remove_ended(const struct dirs *d, struct container *c, struct err **reterr)
{
        int r = removal_commit(d, c->id, c->name, reterr);

        if (r < 0)
                return r;
        container_event(d, c, "destroy", NULL);
        r = container_tmp_delete(d, c->id, false, reterr);
        return r < 0 ? r : 1;
}

/* Under the container's lock: ours, whatever the facts say of it. Nobody else can have started it meanwhile. 1: it was removed. */
static int settle_locked(const struct dirs *d, int dir_fd, struct container *c, struct err **reterr)
{
        struct exit_record rec;
        struct facts f;
        bool same_boot;
        int r;

        facts_read(dir_fd, &f);
        exit_record_release(&f.exit);
        if (f.have_exit)
                return goes_at_end(dir_fd, c) ? remove_ended(d, c, reterr) : 0;
        if (!f.have_run) {
                (void)unlinkat(dir_fd, RECORD_RUN, 0); /* damaged: it was never committed */
                return 0;
        }
        same_boot = strcmp(f.run.process.boot_id, process_boot_id()) == 0;
        kill_leftovers(&f.run, c->id);
        (void)unlinkat(dir_fd, MONITOR_SOCKET, 0);
        container_event(d, c, "die",
                        (const char *const[]){"exitCode", "137" /* CODE_KILLED */, NULL});
        if (goes_at_end(dir_fd, c))
                return remove_ended(d, c, reterr);
        rec = (struct exit_record){.code = CODE_KILLED,
                                   .error = xstrdup(same_boot ? "its monitor was killed"
                                                              : "the machine stopped while it ran"),
                                   .started_ns = f.run.started_ns,
                                   .restarts = f.run.restarts,
                                   .finished_ns = clock_now_ns()};
        r = exit_record_write(dir_fd, &rec, true, reterr);
        exit_record_release(&rec);
        return r;
}

/* 1: it was removed. */
static int settle(const struct dirs *d, int dir_fd, struct container *c, struct err **reterr)
{
        AUTO_CLOSE int lock = lock_try(dir_fd, RECORD_LOCK, true, reterr);

        if (lock == -EWOULDBLOCK)
                return 0; /* somebody else is at it, or starts it */
        if (lock < 0)
                return lock;
        return settle_locked(d, dir_fd, c, reterr);
}

/* ---- status ---- */

bool container_may_run(int dir_fd)
{
        if (lock_is_held(dir_fd, RECORD_LOCK))
                return true;
        return faccessat(dir_fd, RECORD_RUN, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
               faccessat(dir_fd, RECORD_EXIT, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

static void facts_apply(const struct facts *f, struct container *c)
{
        c->process = c->monitor = (struct process_id){0};
        c->started_ns = c->finished_ns = 0;
        c->exit_code = 0;
        c->oom_killed = false;
        c->restarts = f->have_run ? f->run.restarts : 0;
        c->stopped = f->stopped;
        free(c->health);
        c->health = NULL;
        c->last_code = f->have_run ? f->run.last_code : 0;
        free(c->error);
        c->error = NULL;
        c->status = CONTAINER_CREATED;
        if (f->have_run) {
                c->process = f->run.process;
                c->monitor = f->run.monitor;
                c->started_ns = f->run.started_ns;
        }
        if (f->have_exit) {
                /* Of a start that failed Docker shows the reason, but calls the container created. */
                c->status = f->exit.started_ns > 0 ? CONTAINER_EXITED : CONTAINER_CREATED;
                c->exit_code = f->exit.code;
                c->oom_killed = f->exit.oom;
                c->error = xstrdup(f->exit.error);
                c->finished_ns = f->exit.started_ns > 0 ? f->exit.finished_ns : 0;
                if (c->started_ns == 0)
                        c->started_ns = f->exit.started_ns;
                c->restarts = f->exit.restarts;
                if (f->held && f->exit.restarting)
                        c->status = CONTAINER_RESTARTING;
        } else if (f->held && f->have_run) {
                c->status = CONTAINER_RUNNING;
        } else if (f->have_run) {
                /* Settled, but the disk has no room for the record: it ended all the same. */
                c->status = CONTAINER_EXITED;
                c->exit_code = CODE_KILLED;
                c->error = xstrdup("its end could not be recorded");
        }
}

int container_refresh(const struct dirs *d, int dir_fd, struct container *c, struct err **reterr)
{
        struct facts f;
        int r = 0;

        facts_read(dir_fd, &f);
        if (!f.held && (f.have_exit ? goes_at_end(dir_fd, c) : f.have_run)) {
                AUTO_ERR struct err *e = NULL;

                r = settle(d, dir_fd, c, &e);
                if (r < 0)
                        log_debug("container %s: %s", c->id, err_message(e));
                exit_record_release(&f.exit);
                facts_read(dir_fd, &f);
        }
        facts_apply(&f, c);
        if (c->status == CONTAINER_RUNNING)
                c->health = container_health_status(dir_fd);
        exit_record_release(&f.exit);
        if (r > 0)
                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s", c->id);
        return 0;
}

static int read_pod(const struct json_at *root, struct container *c, struct err **reterr)
{
        struct json_at pod = json_key(root, "Pod");
        const char *id = NULL;
        int r;

        if (!pod.obj)
                return 0;
        r = json_want_object(&pod, reterr);
        if (r >= 0)
                r = json_opt_string(&pod, "Id", &id, reterr);
        if (r >= 0)
                r = json_opt_bool(&pod, "Infra", &c->is_infra, reterr);
        if (r >= 0 && id && str_is_hex(id, 64))
                memcpy(c->pod_id, id, sizeof(c->pod_id));
        return r;
}

int container_load(const struct dirs *d, int dir_fd, const char *id, struct container *c,
                   struct err **reterr)
{
        struct json_at root;
        const char *name, *created, *image = NULL, *image_name = NULL;
        int r;

        (void)snprintf(c->id, sizeof(c->id), "%s", id);
        r = io_read_file(dir_fd, CONFIG_FILE, CONFIG_MAX, &c->config_text, NULL, reterr);
        if (r >= 0)
                r = json_parse(c->config_text, strlen(c->config_text), CONFIG_FILE, &c->config,
                               reterr);
        if (r < 0)
                return r;
        root = json_root(c->config, CONFIG_FILE);
        r = json_want_object(&root, reterr);
        if (r >= 0)
                r = json_get_string(&root, "Name", &name, reterr);
        if (r >= 0)
                r = json_get_string(&root, "Created", &created, reterr);
        if (r >= 0)
                r = json_opt_string(&root, "Image", &image, reterr);
        if (r >= 0)
                r = json_opt_string(&root, "ImageName", &image_name, reterr);
        if (r >= 0)
                r = read_pod(&root, c, reterr);
        if (r < 0)
                return r;
        if (clock_parse(created, &c->created_ns) < 0)
                return json_fail(&root, reterr, "Created: not a time");
        c->name = xstrdup(name);
        c->image_id = xstrdup(image ? image : "");
        c->image_name = xstrdup(image_name ? image_name : "");
        return container_refresh(d, dir_fd, c, reterr);
}

int container_reload(const struct dirs *d, struct container *c, struct err **reterr)
{
        char id[65];

        memcpy(id, c->id, sizeof(id));
        container_config_drop(c);
        free(TAKE_PTR(c->config_text));
        free(TAKE_PTR(c->name));
        free(TAKE_PTR(c->image_id));
        free(TAKE_PTR(c->image_name));
        return container_load(d, c->dir_fd, id, c, reterr);
}

int container_dir(const struct dirs *d, struct container *c, struct err **reterr)
{
        AUTO_FREE char *path = NULL;

        if (c->dir_fd >= 0)
                return c->dir_fd;
        path = xasprintf("%s/%s", CONTAINERS, c->id);
        c->dir_fd = openat(d->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (c->dir_fd < 0 && errno == ENOENT)
                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s", c->name);
        if (c->dir_fd < 0)
                return err_sys(reterr, errno, "open container '%s'", c->name);
        return c->dir_fd;
}

int container_read_spec(int dir_fd, struct spec **ret, struct err **reterr)
{
        AUTO_JSON *doc = NULL;
        int r = json_read_file(dir_fd, SPEC_FILE, CONFIG_MAX, &doc, reterr);

        return r < 0 ? r : spec_from_json(doc, SPEC_FILE, ret, reterr);
}
