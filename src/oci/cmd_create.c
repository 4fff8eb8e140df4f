/* SPDX-License-Identifier: Apache-2.0 */
/* create and run: a container from a bundle. */
#include "base/err.h"
#include "base/fd.h"
#include "base/opt.h"
#include "base/sys.h"
#include "launch/launch.h"
#include "oci/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

struct create_args {
        char *bundle, *pid_file, *console_socket;
        uint32_t preserve_fds;
        bool detach, keep;
};

#define FIELD(f) offsetof(struct create_args, f)
#define CREATE_OPTIONS                                                                             \
        {"bundle",      'b',   OPT_STRING,                                                         \
         FIELD(bundle), "DIR", "the directory of config.json (default: the current one)"},         \
            {"pid-file",      0,      OPT_STRING,                                                  \
             FIELD(pid_file), "FILE", "write the number of its first process there"},              \
            {"console-socket",      0,      OPT_STRING,                                            \
             FIELD(console_socket), "PATH", "send its terminal over this socket"},                 \
        {                                                                                          \
                "preserve-fds", 0, OPT_U32, FIELD(preserve_fds), "N",                              \
                    "pass on descriptors 3 to 3+N-1"                                               \
        }

static const struct opt create_opts[] = {CREATE_OPTIONS, {0}};
static const struct opt_section create_sections[] = {{create_opts, NULL, 0, false}, {0}};
static const struct opt run_opts[] = {
    CREATE_OPTIONS,
    {"detach", 'd', OPT_BOOL, FIELD(detach), NULL, "return when it runs"},
    {"keep", 0, OPT_BOOL, FIELD(keep), NULL, "do not delete it at its end"},
    {0}};
static const struct opt_section run_sections[] = {{run_opts, NULL, 0, false}, {0}};

/* Before we open anything: a number that the caller has not open must not become a descriptor of ours. */
static int check_preserved(const struct create_args *a, struct err **reterr)
{
        if (a->preserve_fds > LAUNCH_PRESERVE_MAX)
                return err_new(reterr, ERR_USAGE, "option '--preserve-fds': more than %d",
                               LAUNCH_PRESERVE_MAX);
        for (uint32_t i = 0; i < a->preserve_fds; i++) {
                if (fcntl(OCI_FIRST_PRESERVED + (int)i, F_GETFD) < 0)
                        return err_sys(reterr, errno, "option '--preserve-fds': descriptor %d",
                                       OCI_FIRST_PRESERVED + (int)i);
        }
        return 0;
}

static struct oci_create_opts to_opts(const struct create_args *a)
{
        return (struct oci_create_opts){.bundle = a->bundle,
                                        .pid_file = a->pid_file,
                                        .console_socket = a->console_socket,
                                        .preserve_fds = a->preserve_fds};
}

static int run_create(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        const struct create_args *a = args;
        struct oci_create_opts opts = to_opts(a);
        AUTO_CLOSE int pidfd = -EBADF;
        int r = check_preserved(a, reterr);

        if (r == 0)
                r = oci_check_id(operands->v[0], reterr);
        if (r == 0)
                r = oci_open_root(o, reterr);
        return r < 0 ? r : oci_create(o, operands->v[0], &opts, &c, &pidfd, reterr);
}

/* ---- run ---- */

/* What ends us, and what the kernel sends to who does wrong, is not the container's; all else is. */
static void signals_to_forward(sigset_t *ret)
{
        static const int own[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGTRAP,
                                  SIGSYS,  SIGABRT, SIGPIPE, SIGTTIN, SIGTTOU, SIGTSTP, SIGURG};

        (void)sigfillset(ret);
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                (void)sigdelset(ret, own[i]);
}

/* Its exit code, or 128 and the number of the signal. */
static int await_end(pid_t pid, int pidfd, const sigset_t *forwarded, struct err **reterr)
{
        for (;;) {
                siginfo_t si = {0};
                int sig;

                if (waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG) < 0)
                        return err_sys(reterr, errno, "wait for process %d", (int)pid);
                if (si.si_pid != 0)
                        return si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
                sig = sigwaitinfo(forwarded, &si);
                if (sig > 0 && sig != SIGCHLD)
                        (void)sys_pidfd_send_signal(pidfd, sig);
        }
}

static int run_foreground(struct oci *o, const struct create_args *a, struct oci_container *c,
                          int pidfd, struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        sigset_t forwarded;
        int code;

        signals_to_forward(&forwarded);
        /* From now on others may kill it, or look at it. */
        c->lock_fd = fd_close(c->lock_fd);
        code = await_end(c->init.pid, pidfd, &forwarded, reterr);
        if (a->keep || code < 0)
                return code;
        AUTO(oci_container_freep) struct oci_container *again = NULL;
        if (oci_container_find(o, c->id, true, &again, &e) < 0)
                return code; /* somebody was faster */
        if (oci_delete(o, again, true, reterr) < 0)
                return -EBUSY;
        return code;
}

static int run_run(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        const struct create_args *a = args;
        struct oci_create_opts opts = to_opts(a);
        AUTO_CLOSE int pidfd = -EBADF;
        sigset_t forwarded;
        int r = check_preserved(a, reterr);

        if (r == 0)
                r = oci_check_id(operands->v[0], reterr);
        if (r == 0)
                r = oci_open_root(o, reterr);
        if (r < 0)
                return r;
        signals_to_forward(&forwarded);
        if (!a->detach)
                (void)sigprocmask(SIG_BLOCK, &forwarded, NULL);
        r = oci_create(o, operands->v[0], &opts, &c, &pidfd, reterr);
        if (r < 0)
                return r;
        r = oci_start(c, reterr);
        if (r < 0) {
                AUTO_ERR struct err *e = NULL;

                if (oci_delete(o, c, true, &e) < 0)
                        fprintf(stderr, "kelp-oci: warning: %s\n", err_message(e));
                return r;
        }
        return a->detach ? 0 : run_foreground(o, a, c, pidfd, reterr);
}

const struct oci_command oci_cmd_create = {
    .name = "create",
    .operands = "ID",
    .help = "make a container, up to where its program would begin",
    .min = 1,
    .max = 1,
    .sections = create_sections,
    .args_size = sizeof(struct create_args),
    .run = run_create,
};
const struct oci_command oci_cmd_run = {
    .name = "run",
    .operands = "ID",
    .help = "create, start, wait for the end, delete",
    .min = 1,
    .max = 1,
    .sections = run_sections,
    .args_size = sizeof(struct create_args),
    .run = run_run,
};
