/* SPDX-License-Identifier: Apache-2.0 */
/* kelp stop, kelp restart, kelp kill */
#include "base/err.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/select.h"
#include "cli/verb.h"
#include "container/container.h"

#include <signal.h>

static int signal_option(const char *text, int *ret, struct err **reterr)
{
        if (!text || parse_signal(text, ret) >= 0)
                return 0;
        return err_hint(reterr,
                        err_new(reterr, ERR_USAGE, "option '--signal': unknown signal '%s'", text),
                        "a name such as TERM or SIGTERM, or a number");
}

struct stop_args {
        int64_t time;
        char *signal_text;
        int signal;
        struct select_args select;
        bool running; /* restart: of those that are meant, the ones that run */
};
#define TIME_UNSET INT64_MIN

static const struct opt stop_opts[] = {
    {"time", 't', OPT_I64, offsetof(struct stop_args, time), "SECONDS",
     "Wait so long before killing; -1: for ever"},
    {"timeout", 0, OPT_I64, offsetof(struct stop_args, time), NULL, NULL},
    {"signal", 's', OPT_STRING, offsetof(struct stop_args, signal_text), "SIGNAL",
     "Ask with this signal instead of the container's own"},
    {0},
};
static const struct opt_section stop_sections[] = {
    {stop_opts, NULL, 0, false},
    {select_opts, "Choice", offsetof(struct stop_args, select), false},
    {select_ignore_opts, "Choice, continued", offsetof(struct stop_args, select), false},
    {0},
};

static const struct opt restart_opts[] = {
    {"running", 0, OPT_BOOL, offsetof(struct stop_args, running), NULL,
     "Those that run, instead of naming any"},
    {0},
};
static const struct opt_section restart_sections[] = {
    {stop_opts, NULL, 0, false},
    {select_opts, "Choice", offsetof(struct stop_args, select), false},
    {select_ignore_opts, "Choice, continued", offsetof(struct stop_args, select), false},
    {restart_opts, "Choice, continued", 0, false},
    {0},
};

static void stop_init(void *args)
{
        ((struct stop_args *)args)->time = TIME_UNSET;
}

static int64_t patience(const struct stop_args *a)
{
        return a->time == TIME_UNSET ? -1 : a->time < 0 ? INT32_MAX : a->time;
}

static int stop_one(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        const struct stop_args *a = arg;

        return container_stop(cli->dirs, c, a->signal, patience(a), reterr);
}

static int run_stop(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        struct stop_args *a = args;
        AUTO(selection_release) struct selection s = {0};
        int r = signal_option(a->signal_text, &a->signal, reterr);

        if (r >= 0)
                r = select_containers(cli, &a->select, operands, SELECT_RUNNING, &s, reterr);
        return r < 0 ? r : each_selected(cli, "stop", &s, stop_one, args, true, reterr);
}

const struct verb verb_stop = {
    .names = {"stop", "container stop"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER...]",
    .summary = "Stop containers: their stop signal, then SIGKILL",
    .sections = stop_sections,
    .args_size = sizeof(struct stop_args),
    .init = stop_init,
    .completes = {COMPLETE_RUNNING},
    .run = run_stop,
};

static int restart_one(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        const struct stop_args *a = arg;

        return container_restart(cli->dirs, c, a->signal, patience(a), reterr);
}

static int run_restart(struct cli *cli, void *args, const struct strv *operands,
                       struct err **reterr)
{
        struct stop_args *a = args;
        AUTO(selection_release) struct selection s = {0};
        int r = signal_option(a->signal_text, &a->signal, reterr);

        if (r >= 0 && a->running &&
            (operands->n > 0 || a->select.cidfiles.n > 0 || a->select.latest))
                r = err_hint(reterr,
                             err_new(reterr, ERR_USAGE,
                                     "option '--running' chooses the containers: name none"),
                             "--filter makes them fewer");
        /* With --filter: those of them that run. */
        if (a->running && a->select.filters.n == 0)
                a->select.all = true;
        if (r >= 0)
                r = select_containers(cli, &a->select, operands,
                                      a->running ? SELECT_RUNNING : SELECT_ANY, &s, reterr);
        return r < 0 ? r : each_selected(cli, "restart", &s, restart_one, args, true, reterr);
}

const struct verb verb_restart = {
    .names = {"restart", "container restart"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER...]",
    .summary = "Stop containers that run, and start them again",
    .sections = restart_sections,
    .args_size = sizeof(struct stop_args),
    .init = stop_init,
    .completes = {COMPLETE_CONTAINER},
    .run = run_restart,
};

struct kill_args {
        char *signal;
        struct select_args select;
};
static const struct opt kill_opts[] = {
    {"signal", 's', OPT_STRING, offsetof(struct kill_args, signal), "SIGNAL",
     "Name or number (KILL)"},
    {0},
};
static const struct opt_section kill_sections[] = {
    {kill_opts, NULL, 0, false},
    {select_opts, "Choice", offsetof(struct kill_args, select), false},
    {0},
};

static int kill_one(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        return container_kill(cli->dirs, c, *(const int *)arg, reterr);
}

static int run_kill(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct kill_args *a = args;
        AUTO(selection_release) struct selection s = {0};
        int sig = SIGKILL, r = signal_option(a->signal, &sig, reterr);

        if (r >= 0)
                r = select_containers(cli, &a->select, operands, SELECT_RUNNING, &s, reterr);
        return r < 0 ? r : each_selected(cli, "kill", &s, kill_one, &sig, false, reterr);
}

const struct verb verb_kill = {
    .names = {"kill", "container kill"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER...]",
    .summary = "Send a signal to containers",
    .sections = kill_sections,
    .args_size = sizeof(struct kill_args),
    .completes = {COMPLETE_RUNNING},
    .run = run_kill,
};
