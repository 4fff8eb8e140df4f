/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifecycle.c — create, start, delete. Theory of operation: state.json is written before the launch (what must be undone is known then) and again
 * with the process in it. The container's first process waits on the socket "start", which it began to listen on itself: it needs nobody of us
 * until then, and a "start" that is killed leaves it waiting for the next one.
 */
#include "base/atomic_file.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "launch/launch.h"
#include "oci/oci.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define END_TIMEOUT_MS 10000

/* ---- create ---- */

struct making {
        const struct oci *o;
        const struct oci_create_opts *opts;
        struct oci_container *c;
        struct launched p;
        int hold_fd;
};

static int read_bundle(struct making *m, struct err **reterr)
{
        AUTO_STRV warnings = {0};
        AUTO_FREE char *config_path = NULL;
        AUTO_JSON *config = NULL;
        struct oci_container *c = m->c;
        int r;

        c->bundle = path_make_absolute(m->opts->bundle ? m->opts->bundle : ".", reterr);
        if (!c->bundle)
                return -EINVAL;
        config_path = path_join(c->bundle, "config.json");
        r = json_read_file(AT_FDCWD, config_path, SPEC_CONFIG_MAX, &config, reterr);
        if (r < 0)
                return err_hint(reterr, r,
                                "'kelp-oci spec' writes a config.json, and --bundle names the "
                                "directory that has one");
        r = spec_from_bundle(config, config_path, c->bundle, &c->spec, &warnings, reterr);
        if (r < 0)
                return r;
        c->spec->id = xstrdup(c->id);
        c->rootfs = xstrdup(c->spec->root_path);
        oci_warn(&warnings);
        return atomic_file_write_json(c->dir_fd, "config.json", config, false, reterr);
}

static int check_terminal(const struct making *m, struct err **reterr)
{
        const struct spec *s = m->c->spec;
        int r;

        if (m->opts->console_socket && !s->process.terminal)
                return err_new(reterr, ERR_USAGE,
                               "option '--console-socket': process.terminal is not true");
        if (!s->process.terminal || m->opts->console_socket)
                return 0;
        r = err_new(reterr, ERR_USAGE, "process.terminal: there is nobody to give a terminal to");
        return err_hint(reterr, r, "name a socket with --console-socket");
}

static int make_cgroup(struct making *m, struct err **reterr)
{
        const struct oci_globals *g = m->o->globals;
        const struct spec *s = m->c->spec;
        AUTO_STRV warnings = {0};
        struct cgroup_opts co = {
            .manager = g->systemd_cgroup ? CGROUP_SYSTEMD : CGROUP_CGROUPFS,
            .path = s->cgroups_path,
            .id = m->c->id,
            .resources = s->resources,
            .lenient = str_empty(g->rootless) || strcmp(g->rootless, "auto") == 0
                           ? geteuid() != 0
                           : strcmp(g->rootless, "true") == 0,
        };
        int r;

        if (g->cgroup_manager) {
                r = cgroup_manager_from_name(g->cgroup_manager);
                if (r < 0)
                        return err_hint(reterr,
                                        err_new(reterr, ERR_USAGE,
                                                "option '--cgroup-manager': unknown manager '%s'",
                                                g->cgroup_manager),
                                        "it is cgroupfs, systemd or disabled");
                co.manager = (enum cgroup_manager)r;
        }
        r = cgroup_create(&co, &m->c->cgroup, &warnings, reterr);
        oci_warn(&warnings);
        return r;
}

static int bind_start(struct making *m, struct err **reterr)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        char dir[FD_PATH_MAX];

        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" OCI_START_SOCKET,
                       fd_path(m->c->dir_fd, dir));
        m->hold_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (m->hold_fd < 0 || bind(m->hold_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
                return err_sys(reterr, errno, "make the socket to start it by");
        return 0;
}

/* Before it runs anything, and before its cgroup namespace is made, whose root is where it is then. */
static int place(pid_t pid, void *arg, struct err **reterr)
{
        struct making *m = arg;

        return cgroup_attach(m->c->cgroup, pid, reterr);
}

static int launch(struct making *m, struct err **reterr)
{
        AUTO(launch_plan_freep) struct launch_plan *plan = NULL;
        AUTO_CLOSE int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int fds[LAUNCH_PRESERVE_MAX], r;
        struct launch_opts lo = {.orphan = true, .hold_fd = m->hold_fd, .place_arg = m};
        struct launch_io io = {.in = 0, .out = 1, .err = 2, .preserve = fds};

        if (root_fd < 0)
                return err_sys(reterr, errno, "open '/'");
        if (m->c->cgroup)
                lo.place = place;
        for (; io.n_preserve < m->opts->preserve_fds; io.n_preserve++)
                fds[io.n_preserve] = OCI_FIRST_PRESERVED + (int)io.n_preserve;
        r = launch_plan_new_with(m->c->spec, root_fd, m->c->dir_fd, &lo, &plan, reterr);
        if (r == 0)
                r = launch_start(plan, &io, &m->p, reterr);
        if (r == 0 && m->p.warning)
                fprintf(stderr, "kelp-oci: warning: %s\n", m->p.warning);
        return r;
}

static int make(struct making *m, struct err **reterr)
{
        struct oci_container *c = m->c;
        int r;

        if ((r = read_bundle(m, reterr)) < 0 || (r = check_terminal(m, reterr)) < 0 ||
            (r = make_cgroup(m, reterr)) < 0 || (r = oci_container_save(c, reterr)) < 0 ||
            (r = bind_start(m, reterr)) < 0 || (r = launch(m, reterr)) < 0 ||
            (r = process_identify(m->p.pid, &c->init, reterr)) < 0 ||
            (r = oci_send_console(m->opts->console_socket, m->p.terminal, reterr)) < 0 ||
            (r = oci_write_pid_file(m->opts->pid_file, m->p.pid, reterr)) < 0)
                return r;
        return oci_container_save(c, reterr);
}

static void making_release(struct making *m)
{
        m->hold_fd = fd_close(m->hold_fd);
        m->p.terminal = fd_close(m->p.terminal);
        m->p.keeper = fd_close(m->p.keeper);
        free(TAKE_PTR(m->p.warning));
}

int oci_create(const struct oci *o, const char *id, const struct oci_create_opts *opts,
               struct oci_container **ret, int *ret_pidfd, struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        struct making m = {.o = o, .opts = opts, .hold_fd = -EBADF};
        int r = oci_container_new(o, id, &c, reterr);

        if (r < 0)
                return r;
        m.p = (struct launched){
            .pidfd = -EBADF, .terminal = -EBADF, .keeper = -EBADF, .helper_pidfd = -EBADF};
        m.c = c;
        r = make(&m, reterr);
        making_release(&m);
        if (r < 0) {
                AUTO_ERR struct err *e = NULL;

                if (oci_delete(o, c, true, &e) < 0)
                        fprintf(stderr, "kelp-oci: warning: %s\n", err_message(e));
                (void)fd_close(m.p.pidfd);
                return r;
        }
        *ret = TAKE_PTR(c);
        *ret_pidfd = m.p.pidfd;
        return 0;
}

/* ---- the end ---- */

static int kill_and_wait(struct oci_container *c, int pidfd, struct err **reterr)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int r;

        if (c->cgroup && cgroup_is_frozen(c->cgroup))
                (void)cgroup_freeze(c->cgroup, false, NULL);
        if (pidfd < 0)
                return 0;
        r = sys_pidfd_send_signal(pidfd, SIGKILL);
        if (r < 0 && r != -ESRCH)
                return err_sys(reterr, -r, "kill container '%s'", c->id);
        do
                r = poll(&p, 1, END_TIMEOUT_MS);
        while (r < 0 && errno == EINTR);
        return r == 0 ? err_new(reterr, ERR_BUSY, "container '%s' does not end", c->id) : 0;
}

/* ---- start ---- */

int oci_start(struct oci_container *c, struct err **reterr)
{
        AUTO_STRV warnings = {0};
        AUTO_CLOSE int pidfd = -EBADF;
        enum oci_status status = oci_container_status(c, &pidfd);
        struct err *e = NULL;
        int r;

        if (status != OCI_CREATED)
                return err_new(reterr, ERR_BUSY,
                               "container '%s' cannot be started: it is %s, not created", c->id,
                               oci_status_name(status));
        r = oci_container_spec(c, &warnings, reterr);
        if (r < 0)
                return r;
        if (c->spec->process.absent)
                return err_new(reterr, ERR_INVALID,
                               "container '%s' cannot be started: its config.json has no process",
                               c->id);
        r = launch_release(c->dir_fd, OCI_START_SOCKET, &e);
        if (r < 0) {
                /* It has ended, or is about to: not seen as running any more when we return. */
                if (err_kind(e) != ERR_BUSY)
                        (void)kill_and_wait(c, pidfd, NULL);
                return err_move(reterr, r, &e);
        }
        r = launch_hooks_run(c->spec, SPEC_HOOK_POSTSTART, "running", c->init.pid, NULL, reterr);
        if (r < 0)
                (void)kill_and_wait(c, pidfd, NULL);
        return r;
}

/* ---- delete ---- */

int oci_delete(const struct oci *o, struct oci_container *c, bool force, struct err **reterr)
{
        AUTO_STRV warnings = {0}, unused = {0};
        AUTO_CLOSE int pidfd = -EBADF;
        enum oci_status status = oci_container_status(c, &pidfd);
        bool has_spec;
        int r;

        if (status != OCI_STOPPED && !force) {
                r = err_new(reterr, ERR_BUSY, "container '%s' is not stopped: it is %s", c->id,
                            oci_status_name(status));
                return err_hint(reterr, r, "end it with 'kelp-oci kill', or use --force");
        }
        r = kill_and_wait(c, pidfd, reterr);
        if (r < 0)
                return r;
        r = c->cgroup ? cgroup_remove(c->cgroup, reterr) : 0;
        if (r < 0)
                return err_wrap(reterr, r, "container '%s'", c->id);
        /* Without a readable config.json there were no hooks: it had not come so far. They run when the container is no more. */
        has_spec = oci_container_spec(c, &unused, NULL) == 0;
        r = oci_container_forget(o, c, reterr);
        if (r == 0 && has_spec)
                r = launch_hooks_run(c->spec, SPEC_HOOK_POSTSTOP, "stopped", 0, &warnings, reterr);
        oci_warn(&warnings);
        return r;
}
