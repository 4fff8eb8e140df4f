/* SPDX-License-Identifier: Apache-2.0 */
/* create and run: a container from a bundle. */
#include "base/err.h"
#include "base/fd.h"
#include "base/opt.h"
#include "oci/oci.h"

#include <errno.h>
#include <stddef.h>

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

static struct oci_create_opts to_opts(const struct create_args *a)
{
        return (struct oci_create_opts){.bundle = a->bundle,
                                        .pid_file = a->pid_file,
                                        .console_socket = a->console_socket,
                                        .preserve_fds = a->preserve_fds};
}

/* What can be refused before anything is made. */
static int prepare(struct oci *o, const struct create_args *a, const char *id, struct err **reterr)
{
        int r = oci_check_preserved(a->preserve_fds, reterr);

        if (r == 0)
                r = oci_check_id(id, reterr);
        return r == 0 ? oci_open_root(o, reterr) : r;
}

static int run_create(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        const struct create_args *a = args;
        struct oci_create_opts opts = to_opts(a);
        AUTO_CLOSE int pidfd = -EBADF;
        int r = prepare(o, a, operands->v[0], reterr);

        return r < 0 ? r : oci_create(o, operands->v[0], &opts, &c, &pidfd, reterr);
}

/* ---- run ---- */

static int run_foreground(struct oci *o, const struct create_args *a, struct oci_container *c,
                          int pidfd, struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        int code;

        /* From now on others may kill it, or look at it. */
        c->lock_fd = fd_close(c->lock_fd);
        code = oci_await_end(c->init.pid, pidfd, reterr);
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
        int r = prepare(o, a, operands->v[0], reterr);

        if (r < 0)
                return r;
        if (!a->detach)
                oci_hold_signals();
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
