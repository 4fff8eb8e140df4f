/* SPDX-License-Identifier: Apache-2.0 */
/* start — running a monitor, and listening to what it says (monitor/protocol.h). */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "container/container_internal.h"
#include "container/lifetime.h"
#include "container/pod.h"
#include "monitor/protocol.h"
#include "spec/health.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_MAX 65536

void container_io_close(struct container_io *io)
{
        io->status_fd = fd_close(io->status_fd);
        io->attach_fd = fd_close(io->attach_fd);
}

/* One message. 1 and the object, 0: the monitor is gone. */
static int status_read(int fd, struct json_object **ret, struct err **reterr)
{
        AUTO_FREE char *buf = xmalloc(STATUS_MAX);
        size_t n_fds = 0;
        ssize_t n;
        int r;

        n = fd_recv(fd, buf, STATUS_MAX, NULL, &n_fds);
        if (n == 0 || n == -ECONNRESET)
                return 0;
        if (n < 0)
                return err_sys(reterr, (int)-n, "listen to the monitor");
        r = json_parse(buf, (size_t)n, "monitor's answer", ret, reterr);
        return r < 0 ? r : 1;
}

/* 1: "started" (which may have a warning; NULL ok) or "exited" (@ret_code), 0: gone; an "error" message is decoded into @reterr. */
static int status_next(int fd, int *ret_code, struct strv *warnings, struct err **reterr)
{
        AUTO_JSON *o = NULL;
        struct json_at at, error;
        const char *event, *warning = NULL;
        uint64_t code = 0;
        int r;

        r = status_read(fd, &o, reterr);
        if (r <= 0)
                return r;
        at = json_root(o, "monitor's answer");
        r = json_want_object(&at, reterr);
        if (r >= 0)
                r = json_get_string(&at, "event", &event, reterr);
        if (r < 0)
                return r;
        error = json_key(&at, "error");
        if (error.obj)
                return err_decode(reterr, error.obj);
        r = json_opt_u64(&at, "code", &code, reterr);
        if (r >= 0)
                r = json_opt_string(&at, "warning", &warning, reterr);
        if (r >= 0 && warning && warnings)
                strv_add(warnings, warning);
        *ret_code = (int)(code & 0xff);
        return r < 0 ? r : 1;
}

static int passthrough_check(struct err **reterr)
{
        static const char *const names[] = {"input", "output", "error"};

        for (int fd = 0; fd < 3; fd++) {
                struct stat st;
                int r;

                if (fstat(fd, &st) < 0)
                        continue;
                if (!isatty(fd) && !S_ISDIR(st.st_mode))
                        continue;
                r = err_new(reterr, ERR_DENIED,
                            "log driver 'passthrough': standard %s is a %s, which would let the "
                            "container out",
                            names[fd], S_ISDIR(st.st_mode) ? "directory" : "terminal");
                return err_hint(reterr, r, "redirect it to a file, a pipe or /dev/null");
        }
        return 0;
}

int monitor_spawn(struct monitor_spawn *m, struct container_io *ret, struct err **reterr)
{
        AUTO_FREE char *path = process_helper_path(MONITOR_PROGRAM);
        AUTO_CLOSE int ours = -EBADF, theirs = -EBADF, client = -EBADF, attach = -EBADF,
                       pidfd = -EBADF;
        int pair[2], code, r;
        int fds[MONITOR_FD_PRESERVED + CONTAINER_PRESERVE_MAX] = {-EBADF, -EBADF, -EBADF,
                                                                  -EBADF, -EBADF, m->request_fd};
        struct process_spawn_opts o = {.path = path,
                                       .argv = m->argv.v,
                                       .fds = fds,
                                       .n_fds = MONITOR_FD_PRESERVED + m->n_preserve,
                                       .new_session = true,
                                       .reset_signals = true};
        AUTO_STRBUF preserve = {0};
        pid_t pid;

        *ret = (struct container_io){-EBADF, -EBADF};
        for (size_t i = 0; i < m->n_preserve; i++) {
                fds[MONITOR_FD_PRESERVED + i] = m->preserve[i];
                strbuf_addf(&preserve, "%s%d", i == 0 ? "--preserve=" : ",", m->preserve[i]);
        }
        if (m->n_preserve > 0) {
                strv_add(&m->argv, preserve.data);
                o.argv = m->argv.v;
        }
        r = fd_socketpair(SOCK_SEQPACKET, pair, reterr);
        if (r < 0)
                return r;
        ours = pair[0];
        theirs = fds[MONITOR_FD_STATUS] = pair[1];
        if (m->attach) {
                r = fd_socketpair(SOCK_STREAM, pair, reterr);
                if (r < 0)
                        return r;
                client = pair[0];
                attach = pair[1];
        } else {
                attach = open("/dev/null", O_RDWR | O_CLOEXEC);
                if (attach < 0)
                        return err_sys(reterr, errno, "open /dev/null");
        }
        fds[MONITOR_FD_ATTACH] = attach;
        if (m->passthrough) {
                r = passthrough_check(reterr);
                if (r < 0)
                        return r;
                for (int i = 0; i < 3; i++)
                        fds[i] = i;
        }
        r = process_spawn(&o, &pid, &pidfd, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "start '%s'", path);
        theirs = fd_close(theirs);
        attach = fd_close(attach);
        FAULT_POINT("monitor-spawned");
        r = status_next(ours, &code, m->warnings, reterr);
        if (r == 0)
                r = err_sys(reterr, ECONNRESET, "its monitor was killed while it started");
        if (r < 0)
                return r;
        ret->status_fd = TAKE_FD(ours);
        ret->attach_fd = TAKE_FD(client);
        return 0;
}

static int add_log_options(struct strv *argv, const struct container *c, const struct json_at *host,
                           struct err **reterr)
{
        struct json_at log = json_key(host, "LogConfig"), config;
        const char *type = NULL;

        if (!log.obj || json_opt_string(&log, "Type", &type, NULL) < 0 || !type)
                return 0;
        strv_addf(argv, "--log-driver=%s", type);
        config = json_key(&log, "Config");
        if (!config.obj || !json_object_is_type(config.obj, json_type_object))
                return 0;
        for (struct json_object_iterator i = json_object_iter_begin(config.obj),
                                         end = json_object_iter_end(config.obj);
             !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
                const char *key = json_object_iter_peek_name(&i);
                const char *value = json_object_get_string(json_object_iter_peek_value(&i));
                AUTO_FREE char *tag = NULL;

                if (strcmp(key, "tag") == 0) {
                        int r = log_tag_expand(c, value, &tag, reterr);

                        if (r < 0)
                                return r;
                        value = tag;
                }
                strv_addf(argv, "--log-opt=%s=%s", key, value);
        }
        return 0;
}

static bool has_health_check(const struct container *c)
{
        struct health_check check;
        bool has = health_check_from_config(c->config, &check);

        health_check_release(&check);
        return has;
}

static int add_options(struct strv *argv, const struct container *c, bool end_pod,
                       const struct container_start_opts *o, struct err **reterr)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_at host = container_host_config(&root), config = json_key(&root, "Config");
        AUTO_STRV joins = {0};
        const char *pidfile = NULL;
        bool once = false;

        strv_addf(argv, "--name=%s", c->name);
        if (end_pod)
                strv_addf(argv, "--end-pod=%s", c->pod_id);
        if (container_auto_remove(c))
                strv_add(argv, "--rm");
        if (has_health_check(c))
                strv_add(argv, "--health");
        if (config.obj && json_opt_bool(&config, "StdinOnce", &once, NULL) >= 0 && once)
                strv_add(argv, "--stdin-once");
        if (json_opt_string(&root, "PidFile", &pidfile, NULL) >= 0 && pidfile)
                strv_addf(argv, "--pidfile=%s", pidfile);
        if (json_opt_strv(&root, "Joins", &joins, NULL) >= 0) {
                for (size_t i = 0; i < joins.n; i++)
                        strv_addf(argv, "--join=%s", joins.v[i]);
        }
        if (o->rows && o->cols)
                strv_addf(argv, "--size=%ux%u", o->rows, o->cols);
        return host.obj ? add_log_options(argv, c, &host, reterr) : 0;
}

/* *ret_end: the pod ends with its last member. */
static int start_pod(const struct dirs *d, const struct container *c, bool *ret_end,
                     struct err **reterr)
{
        AUTO(container_freep) struct container *infra = NULL;
        const char *policy = NULL;
        struct json_at root, pod;
        int r = pod_start_infra(d, c->pod_id, reterr);

        if (r >= 0)
                r = container_find(d, c->pod_id, &infra, reterr);
        if (r < 0)
                return r;
        root = json_root(infra->config, CONFIG_FILE);
        pod = json_key(&root, "Pod");
        r = pod.obj ? json_opt_string(&pod, "ExitPolicy", &policy, reterr) : 0;
        *ret_end = policy && strcmp(policy, "stop") == 0;
        return r;
}

bool container_passes_through(const struct container *c)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_at host = container_host_config(&root);
        struct json_at log = json_key(&host, "LogConfig");
        const char *type = NULL;

        return json_opt_string(&log, "Type", &type, NULL) >= 0 && type &&
               strcmp(type, "passthrough") == 0;
}

static int start_required(const struct dirs *d, struct container *c, struct err **reterr)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        AUTO_STRV ids = {0};
        int r = json_opt_strv(&root, "Requires", &ids, reterr);

        for (size_t i = 0; i < ids.n && r >= 0; i++) {
                AUTO(container_freep) struct container *other = NULL;
                struct container_start_opts o = {0};
                struct container_io io = {.status_fd = -EBADF, .attach_fd = -EBADF};

                r = container_find(d, ids.v[i], &other, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "what it requires");
                if (other->status == CONTAINER_RUNNING || other->status == CONTAINER_PAUSED ||
                    other->status == CONTAINER_RESTARTING)
                        continue;
                o.passthrough = container_passes_through(other);
                r = container_start(d, other, &o, &io, reterr);
                container_io_close(&io);
                if (r < 0)
                        return err_wrap(reterr, r, "what it requires");
        }
        return r;
}

int container_start(const struct dirs *d, struct container *c, const struct container_start_opts *o,
                    struct container_io *ret, struct err **reterr)
{
        struct monitor_spawn m = {.attach = o->attach,
                                  .passthrough = o->passthrough,
                                  .preserve = o->preserve,
                                  .n_preserve = o->n_preserve,
                                  .request_fd = -EBADF,
                                  .warnings = o->warnings};
        bool end_pod = false;
        struct process_id anchor;
        bool lives_with;
        int r;

        if (container_is_up(c))
                return err_new(reterr, ERR_BUSY, "container '%s' is running already", c->name);
        r = lifetime_anchor(c, o->attach || o->waits, &anchor, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "start container '%s'", c->name);
        lives_with = r > 0;
        r = start_required(d, c, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "start container '%s'", c->name);
        if (*c->pod_id) {
                r = start_pod(d, c, &end_pod, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "start container '%s'", c->name);
        }
        strv_add(&m.argv, MONITOR_PROGRAM);
        strv_add(&m.argv, "run");
        strv_add(&m.argv, d->root);
        strv_add(&m.argv, c->id);
        if (lives_with)
                strv_addf(&m.argv, "--lives-with=%d:%" PRIu64, (int)anchor.pid, anchor.start_time);
        r = add_options(&m.argv, c, end_pod, o, reterr);
        if (r >= 0 && o->attach)
                container_event(d, c, "attach", NULL);
        if (r >= 0)
                r = monitor_spawn(&m, ret, reterr);
        strv_release(&m.argv);
        return r < 0 ? err_wrap(reterr, r, "start container '%s'", c->name) : 0;
}

int container_await_exit(struct container_io *io, struct err **reterr)
{
        int code = 0, r = status_next(io->status_fd, &code, NULL, reterr);

        if (r == 0)
                return err_sys(reterr, ECONNRESET,
                               "the container's monitor was killed, and the container with it");
        return r < 0 ? r : code;
}
