/* SPDX-License-Identifier: Apache-2.0 */
/* start, state, kill, delete, pause, resume, list: what is done with a container that is there. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/opt.h"
#include "base/parse.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "oci/oci.h"
#include "spec/spec.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

static int find(struct oci *o, const struct strv *operands, bool lock, struct oci_container **ret,
                struct err **reterr)
{
        int r = oci_open_root(o, reterr);

        return r < 0 ? r : oci_container_find(o, operands->v[0], lock, ret, reterr);
}

static int run_start(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        int r = find(o, operands, true, &c, reterr);

        return r < 0 ? r : oci_start(c, reterr);
}

static int run_state(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        AUTO_JSON *state = NULL;
        int r = find(o, operands, false, &c, reterr);

        if (r < 0)
                return r;
        state = oci_container_state(c, reterr);
        return oci_print_json(state, reterr);
}

/* ---- kill ---- */

struct kill_args {
        bool all;
};
static const struct opt kill_opts[] = {
    {"all", 'a', OPT_BOOL, offsetof(struct kill_args, all), NULL, "signal all of its processes"},
    {0}};
static const struct opt_section kill_sections[] = {{kill_opts, NULL, 0, false}, {0}};

/* Where the first process of a pid namespace is killed, the others are; else only a cgroup knows all of them. */
static int kill_all(struct oci_container *c, int pidfd, int sig, struct err **reterr)
{
        AUTO_STRV unused = {0};
        int r;

        if (c->cgroup)
                return cgroup_kill(c->cgroup, sig, reterr);
        r = oci_container_spec(c, &unused, reterr);
        if (r < 0)
                return r;
        if (sig == SIGKILL && c->spec->ns[SPEC_NS_PID].enabled && !c->spec->ns[SPEC_NS_PID].path) {
                r = sys_pidfd_send_signal(pidfd, sig);
                return r < 0 && r != -ESRCH ? err_sys(reterr, -r, "kill container '%s'", c->id) : 0;
        }
        r = err_new(reterr, ERR_UNSUPPORTED,
                    "container '%s' has no cgroup that would tell its processes", c->id);
        return err_hint(reterr, r, "give it one with linux.cgroupsPath, or leave out --all");
}

static int run_kill(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        const struct kill_args *a = args;
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        AUTO_CLOSE int pidfd = -EBADF;
        enum oci_status status;
        int sig = SIGTERM, r;

        if (operands->n > 1 && parse_signal(operands->v[1], &sig) < 0)
                return err_hint(reterr,
                                err_new(reterr, ERR_USAGE,
                                        "signal for container '%s': unknown signal '%s'",
                                        operands->v[0], operands->v[1]),
                                "give a number, or a name such as KILL or SIGTERM");
        r = find(o, operands, false, &c, reterr);
        if (r < 0)
                return r;
        status = oci_container_status(c, &pidfd);
        if (status == OCI_STOPPED && a->all)
                return 0;
        if (pidfd < 0)
                return err_new(reterr, ERR_BUSY, "container not running: '%s' is %s", c->id,
                               oci_status_name(status));
        if (a->all)
                return kill_all(c, pidfd, sig, reterr);
        r = sys_pidfd_send_signal(pidfd, sig);
        if (r == -ESRCH)
                return err_new(reterr, ERR_BUSY, "container not running: '%s' is stopped", c->id);
        return r < 0 ? err_sys(reterr, -r, "kill container '%s'", c->id) : 0;
}

/* ---- delete ---- */

struct delete_args {
        bool force;
};
static const struct opt delete_opts[] = {{"force", 'f', OPT_BOOL,
                                          offsetof(struct delete_args, force), NULL,
                                          "kill it first; one that does not exist is no error"},
                                         {0}};
static const struct opt_section delete_sections[] = {{delete_opts, NULL, 0, false}, {0}};

static int run_delete(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        const struct delete_args *a = args;
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        struct err *e = NULL;
        int r = find(o, operands, true, &c, &e);

        if (r < 0 && a->force && err_kind(e) == ERR_NOT_FOUND) {
                (void)err_free(e);
                return 0;
        }
        return r < 0 ? err_move(reterr, r, &e) : oci_delete(o, c, a->force, reterr);
}

/* ---- pause, resume ---- */

static int freeze(struct oci *o, const struct strv *operands, bool on, struct err **reterr)
{
        AUTO(oci_container_freep) struct oci_container *c = NULL;
        enum oci_status status, wanted = on ? OCI_RUNNING : OCI_PAUSED;
        int r = find(o, operands, true, &c, reterr);

        if (r < 0)
                return r;
        status = oci_container_status(c, NULL);
        if (status != wanted)
                return err_new(reterr, ERR_BUSY, "container not %s: '%s' is %s",
                               oci_status_name(wanted), c->id, oci_status_name(status));
        if (!c->cgroup) {
                r = err_new(reterr, ERR_UNSUPPORTED,
                            "container '%s' has no cgroup, which takes its processes to a halt",
                            c->id);
                return err_hint(reterr, r, "give it one with linux.cgroupsPath");
        }
        return cgroup_freeze(c->cgroup, on, reterr);
}

static int run_pause(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        return freeze(o, operands, true, reterr);
}

static int run_resume(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        return freeze(o, operands, false, reterr);
}

/* ---- list ---- */

struct list_args {
        char *format;
        bool quiet;
};
static const struct opt list_opts[] = {
    {"format", 'f', OPT_STRING, offsetof(struct list_args, format), "FORMAT",
     "table (default) or json"},
    {"quiet", 'q', OPT_BOOL, offsetof(struct list_args, quiet), NULL, "ids only"},
    {0}};
static const struct opt_section list_sections[] = {{list_opts, NULL, 0, false}, {0}};

static void print_row(const struct oci_container *c)
{
        enum oci_status status = oci_container_status(c, NULL);
        char created[CLOCK_RFC3339_MAX];

        printf("%-24s %-8d %-10s %-32s %s\n", c->id, status == OCI_STOPPED ? 0 : (int)c->init.pid,
               oci_status_name(status), clock_format(c->created_ns, created), c->bundle);
}

static int run_list(struct oci *o, void *args, const struct strv *operands, struct err **reterr)
{
        const struct list_args *a = args;
        bool json = a->format && strcmp(a->format, "json") == 0;
        AUTO_JSON *all = json_object_new_array();
        AUTO_STRV ids = {0};
        int r;

        if (a->format && !json && strcmp(a->format, "table") != 0)
                return err_hint(
                    reterr,
                    err_new(reterr, ERR_USAGE, "option '--format': unknown format '%s'", a->format),
                    "it is table or json");
        r = oci_open_root(o, reterr);
        if (r == 0)
                r = oci_list(o, &ids, reterr);
        if (r < 0)
                return r;
        if (!json && !a->quiet)
                printf("%-24s %-8s %-10s %-32s %s\n", "ID", "PID", "STATUS", "CREATED", "BUNDLE");
        for (size_t i = 0; i < ids.n; i++) {
                AUTO(oci_container_freep) struct oci_container *c = NULL;

                /* Deleted meanwhile. */
                if (oci_container_find(o, ids.v[i], false, &c, NULL) < 0)
                        continue;
                if (json)
                        json_object_array_add(all, oci_container_state(c, NULL));
                else if (a->quiet)
                        printf("%s\n", c->id);
                else
                        print_row(c);
        }
        return json ? oci_print_json(all, reterr) : 0;
}

#define COMMAND(c, words, n_min, n_max, s, size, ...)                                              \
        const struct oci_command oci_cmd_##c = {.name = #c,                                        \
                                                .operands = words,                                 \
                                                .min = n_min,                                      \
                                                .max = n_max,                                      \
                                                .sections = s,                                     \
                                                .args_size = size,                                 \
                                                .run = run_##c,                                    \
                                                .help = __VA_ARGS__}
COMMAND(start, "ID", 1, 1, NULL, 0, "let the program of a created container begin");
COMMAND(state, "ID", 1, 1, NULL, 0, "print the state of a container");
COMMAND(kill, "ID [SIGNAL]", 1, 2, kill_sections, sizeof(struct kill_args),
        "send a signal (default: TERM) to its first process");
COMMAND(delete, "ID", 1, 1, delete_sections, sizeof(struct delete_args),
        "remove what is left of a stopped container");
COMMAND(pause, "ID", 1, 1, NULL, 0, "let its processes stand still");
COMMAND(resume, "ID", 1, 1, NULL, 0, "let them run again");
COMMAND(list, "", 0, 0, list_sections, sizeof(struct list_args), "list containers");
