/* SPDX-License-Identifier: Apache-2.0 */
/* exec: a further process in a running container. */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/opt.h"
#include "base/parse.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "launch/launch.h"
#include "oci/oci.h"
#include "spec/oci.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct exec_args {
        char *process, *pid_file, *console_socket, *cwd, *user;
        struct strv env;
        uint32_t preserve_fds;
        bool detach, tty;
};
#define FIELD(f) offsetof(struct exec_args, f)
static const struct opt exec_opts[] = {
    {"process", 'p', OPT_STRING, FIELD(process), "FILE",
     "the process as in config.json; else that of the container with other arguments"},
    {"detach", 'd', OPT_BOOL, FIELD(detach), NULL, "return when it runs"},
    {"pid-file", 0, OPT_STRING, FIELD(pid_file), "FILE", "write its number there"},
    {"console-socket", 0, OPT_STRING, FIELD(console_socket), "PATH",
     "send its terminal over this socket"},
    {"preserve-fds", 0, OPT_U32, FIELD(preserve_fds), "N", "pass on descriptors 3 to 3+N-1"},
    {"cwd", 0, OPT_STRING, FIELD(cwd), "DIR", "its working directory"},
    {"env", 'e', OPT_STRV, FIELD(env), "NAME=VALUE", "add to its environment"},
    {"user", 'u', OPT_STRING, FIELD(user), "UID[:GID]", "its user"},
    {"tty", 't', OPT_BOOL, FIELD(tty), NULL, "give it a terminal"},
    {0}};
static const struct opt_section exec_sections[] = {{exec_opts, NULL, 0, false}, {0}};

static int set_user(struct json_object *process, const char *value, struct err **reterr)
{
        struct json_object *user = json_object_new_object();
        AUTO_STRV parts = {0};
        uint32_t id;

        json_object_object_add(process, "user", user);
        strv_split(&parts, value, ':');
        for (size_t i = 0; i < parts.n; i++) {
                if (i > 1 || parse_u32(parts.v[i], &id) < 0)
                        return err_new(reterr, ERR_USAGE,
                                       "option '--user': '%s' is not UID or UID:GID", value);
                json_add_uint(user, i == 0 ? "uid" : "gid", id);
        }
        if (parts.n < 2)
                json_add_uint(user, "gid", 0);
        return 0;
}

/* The container's own process with what the command line changes of it. */
static int process_of_options(struct oci_container *c, const struct exec_args *a,
                              const struct strv *operands, struct json_object **ret,
                              struct err **reterr)
{
        AUTO_JSON *config = NULL;
        AUTO_STRV args = {0};
        struct json_object *process, *env;
        int r = json_read_file(c->dir_fd, "config.json", SPEC_CONFIG_MAX, &config, reterr);

        if (r < 0)
                return r;
        if (operands->n < 2)
                return err_new(reterr, ERR_USAGE,
                               "which program? name one, or a file with --process");
        if (!json_object_object_get_ex(config, "process", &process))
                return err_new(reterr, ERR_INVALID,
                               "container '%s' has no process whose user and rights this one "
                               "could have: use --process",
                               c->id);
        for (size_t i = 1; i < operands->n; i++)
                strv_add(&args, operands->v[i]);
        json_object_object_add(process, "args", json_from_strv(&args));
        json_add_bool(process, "terminal", a->tty);
        if (a->cwd)
                json_add_string(process, "cwd", a->cwd);
        if (a->env.n && !json_object_object_get_ex(process, "env", &env))
                env = json_array(process, "env");
        for (size_t i = 0; i < a->env.n; i++)
                json_object_array_add(env, json_object_new_string(a->env.v[i]));
        r = a->user ? set_user(process, a->user, reterr) : 0;
        if (r == 0)
                *ret = json_object_get(process);
        return r;
}

static int read_process(struct oci_container *c, const struct exec_args *a,
                        const struct strv *operands, struct spec_process *ret, struct err **reterr)
{
        const char *what = a->process ? a->process : "process";
        AUTO_JSON *process = NULL;
        AUTO_STRV warnings = {0};
        int r;

        if (a->process)
                r = json_read_file(AT_FDCWD, a->process, SPEC_CONFIG_MAX, &process, reterr);
        else
                r = process_of_options(c, a, operands, &process, reterr);
        if (r >= 0)
                r = spec_process_from_oci(process, what, ret, &warnings, reterr);
        if (r < 0)
                return r;
        oci_warn(&warnings);
        if (ret->terminal && !a->console_socket) {
                r = err_new(reterr, ERR_USAGE, "there is nobody to give a terminal to");
                return err_hint(reterr, r, "name a socket with --console-socket");
        }
        return 0;
}

static int launch(struct oci_container *c, const struct exec_args *a,
                  const struct spec_process *process, int container_pidfd, struct launched *ret,
                  struct err **reterr)
{
        struct launch_exec_opts eo = {.spec = c->spec,
                                      .process = process,
                                      .container_pidfd = container_pidfd,
                                      .orphan = a->detach,
                                      .in_u = true};
        int fds[LAUNCH_PRESERVE_MAX], r;
        struct launch_io io = {.in = 0, .out = 1, .err = 2, .preserve = fds};

        for (; io.n_preserve < a->preserve_fds; io.n_preserve++)
                fds[io.n_preserve] = OCI_FIRST_PRESERVED + (int)io.n_preserve;
        /* We go there ourselves: the process is in it from its beginning, and so is all that it makes. */
        r = c->cgroup ? cgroup_attach(c->cgroup, getpid(), reterr) : 0;
        return r < 0 ? r : launch_exec(&eo, -EBADF, c->dir_fd, &io, ret, reterr);
}

static int run_in(struct oci_container *c, const struct exec_args *a,
                  const struct spec_process *process, int container_pidfd, struct err **reterr)
{
        struct launched p = {.pidfd = -EBADF, .terminal = -EBADF, .keeper = -EBADF};
        int r;

        if (!a->detach)
                oci_hold_signals();
        r = launch(c, a, process, container_pidfd, &p, reterr);
        if (r < 0)
                return r;
        r = oci_send_console(a->console_socket, p.terminal, reterr);
        (void)fd_close(p.terminal);
        (void)fd_close(p.keeper);
        free(p.warning);
        if (r == 0)
                r = oci_write_pid_file(a->pid_file, p.pid, reterr);
        if (r < 0)
                (void)sys_pidfd_send_signal(p.pidfd, SIGKILL); /* nobody would know of it */
        else if (!a->detach)
                r = oci_await_end(p.pid, p.pidfd, reterr);
        (void)fd_close(p.pidfd);
        return r;
}

static int run_exec(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        const struct exec_args *a = args;
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        AUTO_CLOSE int pidfd = -EBADF;
        AUTO_STRV unused = {0};
        struct spec_process process;
        enum oci_status status;
        int r = oci_check_preserved(a->preserve_fds, reterr);

        if (r == 0)
                r = oci_open_root(o, reterr);
        if (r == 0)
                r = oci_container_find(o, operands->v[0], false, &c, reterr);
        if (r == 0)
                r = oci_container_spec(c, &unused, reterr);
        if (r < 0)
                return r;
        status = oci_container_status(c, &pidfd);
        if (status != OCI_RUNNING && status != OCI_CREATED)
                return err_new(reterr, ERR_BUSY, "container not running: '%s' is %s", c->id,
                               oci_status_name(status));
        spec_process_init(&process);
        r = read_process(c, a, operands, &process, reterr);
        if (r == 0)
                r = run_in(c, a, &process, pidfd, reterr);
        spec_process_release(&process);
        return r;
}

const struct oci_command oci_cmd_exec = {
    .name = "exec",
    .operands = "ID [PROGRAM [ARGUMENT…]]",
    .help = "run a further program in a container",
    .min = 1,
    .max = SIZE_MAX,
    .options_first = true,
    .sections = exec_sections,
    .args_size = sizeof(struct exec_args),
    .run = run_exec,
};
