/* SPDX-License-Identifier: Apache-2.0 */
/* kelp pod create, start, stop, restart, kill, rm, prune */
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/confirm.h"
#include "cli/each.h"
#include "cli/foreground.h"
#include "cli/output.h"
#include "cli/pod_args.h"
#include "cli/run_args.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/pod.h"
#include "spec/options.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- create ---- */

struct create_args {
        struct run_options *options; /* of the infra container */
        struct strv labels, label_files, share;
        char *exit_policy, *id_file;
};
#define O(f) offsetof(struct run_options, f)
static const struct opt create_container_opts[] = {
    {"add-host", 0, OPT_STRV, O(add_hosts), "NAME:IP", "Line of the members' /etc/hosts"},
    {"dns", 0, OPT_STRV, O(dns), "IP", "Name server of the members"},
    {"dns-option", 0, OPT_STRV, O(dns_options), "OPTION", "Option in their /etc/resolv.conf"},
    {"dns-opt", 0, OPT_STRV, O(dns_options), NULL, NULL},
    {"dns-search", 0, OPT_STRV, O(dns_search), "DOMAIN", "Search domain of the members"},
    {"gidmap", 0, OPT_STRV, O(gidmap), "C:H[:N]", "Map N groups from C on to H of the user's"},
    {"hostname", 0, OPT_STRING, O(hostname), "NAME", "Host name of the pod (its name)"},
    {"name", 'n', OPT_STRING, O(name), "NAME", "Name of the pod"},
    {"network", 0, OPT_STRING, O(network), "MODE", "none (the default), host or ns:PATH",
     .values = "none host ns:"},
    {"replace", 0, OPT_BOOL, O(replace), NULL, "Remove a pod of the same name first"},
    {"security-opt", 0, OPT_STRV, O(security_opt), "OPT", "Of the infra container"},
    {"shm-size", 0, OPT_SIZE, O(shm_size), "BYTES", "Size of the /dev/shm that is shared (64m)"},
    {"sysctl", 0, OPT_STRV, O(sysctls), "KEY=VALUE", "Kernel parameter of the pod's namespaces"},
    {"uidmap", 0, OPT_STRV, O(uidmap), "C:H[:N]", "Map N users from C on to H of the user's range"},
    {"userns", 0, OPT_STRING, O(userns), "MODE",
     "private (the default), host or keep-id[:uid=N,gid=N]", .values = "private host keep-id"},
    {"volume", 'v', OPT_CALL, 0, "[SRC:]DST[:OPTS]", "Mount it in every member", run_take_volume,
     .values = "@volume @dir"},
    {0},
};
#undef O
#define A(f) offsetof(struct create_args, f)
static const struct opt create_pod_opts[] = {
    {"exit-policy", 0, OPT_STRING, A(exit_policy), "POLICY",
     "continue (the default), or stop: with the end of the last member", .values = "continue stop"},
    {"label", 'l', OPT_STRV, A(labels), "KEY[=VALUE]", "Label of the pod"},
    {"label-file", 0, OPT_STRV, A(label_files), "FILE", "Labels, one per line"},
    {"pod-id-file", 0, OPT_STRING, A(id_file), "FILE", "Write the pod's id to FILE"},
    {"share", 0, OPT_CSV, A(share), "NS[,NS]", "What is shared: ipc, net, pid, uts, or none",
     .values = "ipc net pid uts none"},
    {0},
};
#undef A
static const struct opt_section create_sections[] = {
    {create_container_opts, NULL, offsetof(struct create_args, options), true},
    {create_pod_opts, "Options, continued", 0, false},
    {0},
};

static void create_init(void *args)
{
        ((struct create_args *)args)->options = run_options_new();
}

static void create_release(void *args)
{
        struct create_args *a = args;

        a->options = run_options_free(a->options);
}

/* What is not said is Podman's; what is said with a plus comes on top of it. */
static int parse_share(const struct strv *words, struct strv *ret, struct err **reterr)
{
        static const char *const defaults[] = {"ipc", "net", "uts"};
        static const char *const known[] = {"ipc", "net", "pid", "uts"};
        bool more = words->n == 0 || words->v[0][0] == '+';

        for (size_t i = 0; more && i < ARRAY_SIZE(defaults); i++)
                strv_add(ret, defaults[i]);
        for (size_t i = 0; i < words->n; i++) {
                const char *word = words->v[i] + (i == 0 && more);
                bool ok = !*word || strcmp(word, "none") == 0;

                for (size_t k = 0; k < ARRAY_SIZE(known) && !ok; k++) {
                        ok = strcmp(word, known[k]) == 0;
                        if (ok && !strv_contains(ret, word))
                                strv_add(ret, word);
                }
                if (ok)
                        continue;
                (void)err_new(reterr, ERR_USAGE, "option '--share': '%s' cannot be shared", word);
                return err_hint(reterr, -EINVAL, "ipc, net, pid and uts can, or none");
        }
        return 0;
}

static int parse_policy(const char *text, bool *ret_stop, struct err **reterr)
{
        *ret_stop = text && strcmp(text, "stop") == 0;
        if (!text || *ret_stop || strcmp(text, "continue") == 0)
                return 0;
        return err_new(reterr, ERR_USAGE,
                       "option '--exit-policy': unknown policy '%s': expected continue or stop",
                       text);
}

static int write_id(const char *path, const char *id, struct err **reterr)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        int r = fd < 0 ? -errno : io_write_full(fd, id, strlen(id));

        if (fd >= 0)
                (void)close(fd);
        return r < 0 ? err_sys(reterr, -r, "write '%s'", path) : 0;
}

int pod_create_named(struct cli *cli, struct run_options *o, const struct pod_create_opts *p,
                     char ret_id[65], struct err **reterr)
{
        AUTO_STRV warnings = {0};
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        /* The host name is the pod's, as with Podman, where there is one and it can be one. */
        if (!o->hostname && o->name && strlen(o->name) <= 64)
                o->hostname = xstrdup(o->name);
        r = pod_create(d, o, p, ret_id, &warnings, reterr);
        for (size_t i = 0; i < warnings.n; i++)
                log_warn("%s", warnings.v[i]);
        return r < 0 ? err_wrap(reterr, r, "create pod") : 0;
}

int pod_new_for(struct cli *cli, struct run_options *o, char ret_id[65], struct err **reterr)
{
        const char *const shared[] = {"ipc", "net", "uts"};
        struct run_options *infra = run_options_new();
        AUTO_STRV share = {0};
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
                strv_add(&share, shared[i]);
        infra->name = xstrdup(o->pod + strlen(POD_NEW));
        /* What belongs to the namespaces is the pod's. */
        infra->hostname = TAKE_PTR(o->hostname);
        infra->userns = TAKE_PTR(o->userns);
        r = pod_create_named(cli, infra, &(struct pod_create_opts){.share = &share}, ret_id,
                             reterr);
        run_options_free(infra);
        if (r < 0)
                return r;
        free(o->pod);
        o->pod = xstrdup(ret_id);
        return 0;
}

static int create(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        struct create_args *a = args;
        AUTO_STRV share = {0};
        struct pod_create_opts p = {.share = &share};
        char id[65];
        int r;

        if (operands->n > 0 && a->options->name)
                return err_new(reterr, ERR_USAGE, "pod create: '%s' and --name '%s' are two names",
                               operands->v[0], a->options->name);
        if (operands->n > 0)
                a->options->name = xstrdup(operands->v[0]);
        if ((r = parse_share(&a->share, &share, reterr)) < 0 ||
            (r = parse_policy(a->exit_policy, &p.exit_stop, reterr)) < 0 ||
            (r = labels_merge(&a->labels, &a->label_files, &a->options->labels, reterr)) < 0 ||
            (r = pod_create_named(cli, a->options, &p, id, reterr)) < 0)
                return r;
        if (a->id_file)
                r = write_id(a->id_file, id, reterr);
        return r < 0 ? r : output_printf(reterr, "%s\n", id);
}

const struct verb verb_pod_create = {
    .names = {"pod create"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[NAME]",
    .summary = "Create a pod: containers that share namespaces",
    .sections = create_sections,
    .args_size = sizeof(struct create_args),
    .init = create_init,
    .release = create_release,
    .max_operands = 1,
    .completes = {COMPLETE_NONE},
    .run = create,
};

/* ---- what is done to each of several pods ---- */

struct life_args {
        bool all, latest, force, ignore;
        int64_t time; /* -1: each container's own */
        char *signal_text;
        int signal;
};
#define F(f) offsetof(struct life_args, f)
#define ALL                                                                                        \
        {                                                                                          \
                "all", 'a', OPT_BOOL, F(all), NULL, "All pods"                                     \
        }
#define LATEST                                                                                     \
        {                                                                                          \
                "latest", 'l', OPT_BOOL, F(latest), NULL, "The pod created last"                   \
        }
#define IGNORE                                                                                     \
        {                                                                                          \
                "ignore", 'i', OPT_BOOL, F(ignore), NULL, "One that is not there is no error"      \
        }
#define TIME                                                                                       \
        {                                                                                          \
                "time", 't', OPT_I64, F(time), "SECONDS", "Wait so long for each before killing"   \
        }
static const struct opt start_opts[] = {ALL, LATEST, {0}};
static const struct opt stop_opts[] = {ALL, IGNORE, LATEST, TIME, {0}};
static const struct opt restart_opts[] = {ALL, LATEST, {0}};
static const struct opt kill_opts[] = {
    ALL,
    LATEST,
    {"signal", 's', OPT_STRING, F(signal_text), "SIGNAL", "Name or number (KILL)"},
    {0},
};
static const struct opt rm_opts[] = {
    ALL, {"force", 'f', OPT_BOOL, F(force), NULL, "Stop what runs first"}, IGNORE, LATEST, TIME,
    {0},
};
#undef F
static const struct opt_section start_sections[] = {{start_opts, NULL, 0, false}, {0}};
static const struct opt_section stop_sections[] = {{stop_opts, NULL, 0, false}, {0}};
static const struct opt_section restart_sections[] = {{restart_opts, NULL, 0, false}, {0}};
static const struct opt_section kill_sections[] = {{kill_opts, NULL, 0, false}, {0}};
static const struct opt_section rm_sections[] = {{rm_opts, NULL, 0, false}, {0}};

static void life_init(void *args)
{
        struct life_args *a = args;

        a->time = -1;
        a->signal = SIGKILL;
}

/* 0, EACH_FAILED (printed already) or < 0. */
typedef int (*pod_fn)(struct cli *cli, struct pod *p, const struct life_args *a,
                      struct err **reterr);

/* The named, or by option; as ids. */
static int select_pods(struct cli *cli, const struct life_args *a, const struct strv *operands,
                       struct strv *ret, struct err **reterr)
{
        struct pod **v = NULL;
        struct dirs *d;
        size_t n = 0;
        int r = cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        if ((a->all || a->latest) && operands->n > 0)
                return err_new(reterr, ERR_USAGE,
                               "names and --all or --latest contradict each other");
        if (!a->all && !a->latest && operands->n == 0)
                return err_hint(reterr, err_new(reterr, ERR_USAGE, "no pod was named"),
                                "name it, or say --latest; 'kelp pod ps' lists what there is");
        strv_copy(ret, operands);
        r = a->all || a->latest ? pod_list(d, &v, &n, reterr) : 0;
        for (size_t i = 0; r >= 0 && i < (a->all ? n : MIN(n, (size_t)1)); i++)
                strv_add(ret, v[i]->infra->id);
        pod_list_free(v, n);
        return r;
}

int pod_find_one(struct cli *cli, const char *name, bool latest, struct pod **ret,
                 struct err **reterr)
{
        const struct life_args a = {.latest = latest};
        const struct strv operands = {.v = (char *[]){(char *)name}, .n = name != NULL};
        AUTO_STRV names = {0};
        int r = select_pods(cli, &a, &operands, &names, reterr);

        if (r >= 0 && names.n == 0)
                r = err_new(reterr, ERR_NOT_FOUND, "option '--latest': there is no pod");
        return r < 0 ? r : pod_find(cli->dirs, names.v[0], ret, reterr);
}

static int each_pod(struct cli *cli, const char *verb, const struct life_args *a,
                    const struct strv *operands, pod_fn fn, struct err **reterr)
{
        AUTO_STRV names = {0};
        int code = 0, r = select_pods(cli, a, operands, &names, reterr);

        for (size_t i = 0; r >= 0 && i < names.n; i++) {
                AUTO(pod_freep) struct pod *p = NULL;
                AUTO_ERR struct err *e = NULL;
                int one = pod_find(cli->dirs, names.v[i], &p, &e);

                if (one < 0 && err_kind(e) == ERR_NOT_FOUND && (a->ignore || a->all))
                        continue;
                if (one >= 0)
                        one = fn(cli, p, a, &e);
                if (one == 0)
                        printf("%s\n", p->infra->id);
                else
                        code = EACH_FAILED;
                if (one < 0) {
                        (void)err_wrap(&e, one, "%s", verb);
                        (void)cli_report(cli, &e);
                }
        }
        return r < 0 ? r : code;
}

static void members_of(const struct pod *p, bool running, struct strv *ret)
{
        for (size_t i = 0; i < p->n; i++) {
                if (!running || container_is_up(p->members[i]))
                        strv_add(ret, p->members[i]->id);
        }
}

static int start_member(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        struct container_start_opts start = {.passthrough = container_passes_through(c)};
        struct container_io io = {.status_fd = -EBADF, .attach_fd = -EBADF};
        int r;

        (void)arg;
        if (c->status == CONTAINER_RUNNING)
                return 0;
        r = container_start(cli->dirs, c, &start, &io, reterr);
        if (r >= 0)
                foreground_leave(&io);
        return r;
}

static int start_one(struct cli *cli, struct pod *p, const struct life_args *a, struct err **reterr)
{
        AUTO_STRV ids = {0};
        int r = pod_start_infra(cli->dirs, p->infra->id, reterr);

        (void)a;
        members_of(p, false, &ids);
        return r < 0 ? r : each_quietly(cli, "pod start", &ids, start_member, NULL, false);
}

static int stop_member(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        const struct life_args *a = arg;

        return container_stop(cli->dirs, c, 0, a->time, reterr);
}

/* The members at once, each with its time; then what holds their namespaces. */
static int stop_one(struct cli *cli, struct pod *p, const struct life_args *a, struct err **reterr)
{
        struct life_args copy = *a;
        AUTO_STRV ids = {0};
        int code, r = 0;

        members_of(p, true, &ids);
        code = each_quietly(cli, "pod stop", &ids, stop_member, &copy, true);
        if (p->infra->status == CONTAINER_RUNNING)
                r = container_stop(cli->dirs, p->infra, 0, a->time, reterr);
        return r < 0 ? r : code;
}

static int restart_one(struct cli *cli, struct pod *p, const struct life_args *a,
                       struct err **reterr)
{
        int r = stop_one(cli, p, a, reterr);

        return r != 0 ? r : start_one(cli, p, a, reterr);
}

static int kill_member(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        const struct life_args *a = arg;

        return container_kill(cli->dirs, c, a->signal, reterr);
}

static int kill_one(struct cli *cli, struct pod *p, const struct life_args *a, struct err **reterr)
{
        struct life_args copy = *a;
        AUTO_STRV ids = {0};

        (void)reterr;
        members_of(p, true, &ids);
        if (p->infra->status == CONTAINER_RUNNING)
                strv_add(&ids, p->infra->id);
        return each_quietly(cli, "pod kill", &ids, kill_member, &copy, false);
}

static int remove_one(struct cli *cli, struct pod *p, const struct life_args *a,
                      struct err **reterr)
{
        struct life_args copy = *a;
        AUTO_STRV ids = {0};

        if (a->force) {
                members_of(p, true, &ids);
                (void)each_quietly(cli, "pod rm", &ids, stop_member, &copy, true);
        }
        return pod_remove(cli->dirs, p, a->force, a->time, reterr);
}

static int run_start(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        return each_pod(cli, "pod start", args, operands, start_one, reterr);
}

static int run_stop(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        return each_pod(cli, "pod stop", args, operands, stop_one, reterr);
}

static int run_restart(struct cli *cli, void *args, const struct strv *operands,
                       struct err **reterr)
{
        return each_pod(cli, "pod restart", args, operands, restart_one, reterr);
}

static int run_kill(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        struct life_args *a = args;

        if (a->signal_text && parse_signal(a->signal_text, &a->signal) < 0)
                return err_new(reterr, ERR_USAGE, "option '--signal': unknown signal '%s'",
                               a->signal_text);
        return each_pod(cli, "pod kill", args, operands, kill_one, reterr);
}

static int run_rm(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        return each_pod(cli, "pod rm", args, operands, remove_one, reterr);
}

#define POD_VERB(name, word, words, text)                                                          \
        const struct verb verb_pod_##name = {                                                      \
            .names = {"pod " word},                                                                \
            .group = VERB_GROUP_CONTAINER,                                                         \
            .operands = "[POD...]",                                                                \
            .summary = text,                                                                       \
            .sections = words,                                                                     \
            .args_size = sizeof(struct life_args),                                                 \
            .init = life_init,                                                                     \
            .completes = {COMPLETE_POD},                                                           \
            .run = run_##name,                                                                     \
        }
POD_VERB(start, "start", start_sections, "Start all containers of pods");
POD_VERB(stop, "stop", stop_sections, "Stop all containers of pods");
POD_VERB(restart, "restart", restart_sections, "Stop all containers of pods and start them again");
POD_VERB(kill, "kill", kill_sections, "Send a signal to all containers of pods");
POD_VERB(rm, "rm", rm_sections, "Remove pods with their containers");

/* ---- prune ---- */

struct prune_args {
        bool force;
};
static const struct opt prune_opts[] = {
    {"force", 'f', OPT_BOOL, offsetof(struct prune_args, force), NULL, "Don't ask"},
    {0},
};
static const struct opt_section prune_sections[] = {{prune_opts, NULL, 0, false}, {0}};

static int prune(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct prune_args *a = args;
        struct pod **v = NULL;
        struct dirs *d;
        size_t n = 0;
        int r = cli_dirs(cli, &d, reterr);

        (void)operands;
        if (r < 0 || (!a->force && !confirm("This will remove all pods of which nothing runs.")))
                return r < 0 ? r : 0;
        r = pod_list(d, &v, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                AUTO_ERR struct err *e = NULL;
                enum pod_status s = pod_status(v[i]);

                if (s != POD_STOPPED && s != POD_EXITED)
                        continue;
                r = pod_remove(d, v[i], false, -1, &e);
                if (r >= 0)
                        printf("%s\n", v[i]->infra->id);
                else if (err_kind(e) == ERR_BUSY || err_kind(e) == ERR_NOT_FOUND)
                        r = 0; /* started, or removed by somebody else, since we looked */
                else
                        r = err_move(reterr, r, &e);
        }
        pod_list_free(v, n);
        return r;
}

const struct verb verb_pod_prune = {
    .names = {"pod prune"},
    .group = VERB_GROUP_CONTAINER,
    .summary = "Remove pods that have ended",
    .sections = prune_sections,
    .args_size = sizeof(struct prune_args),
    .run = prune,
};
