/* SPDX-License-Identifier: Apache-2.0 */
/* kelp wait */
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/each.h"
#include "cli/select.h"
#include "cli/verb.h"
#include "container/container.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define NOT_EXITED          "-1" /* what is printed for a condition that is no end */
#define INTERVAL_DEFAULT_NS 250000000
#define INTERVAL_MIN_NS     1000000

struct wait_args {
        struct strv conditions;
        char *interval;
        bool ignore;
        struct select_args select;
        int64_t interval_ns;
};
#define F(f) offsetof(struct wait_args, f)
static const struct opt opts[] = {
    {"condition", 0, OPT_STRV, F(conditions), "CONDITION",
     "What to wait for: a state, healthy, unhealthy, next-exit or removed (stopped)",
     .values = "created exited healthy next-exit not-running paused removed running stopped "
               "unhealthy"},
    {"interval", 'i', OPT_STRING, F(interval), "TIME",
     "How often to look for conditions that nothing announces (250ms)"},
    {"ignore", 0, OPT_BOOL, F(ignore), NULL, "One that is not there is no error"},
    {0},
};
static const struct opt_section sections[] = {
    {opts, NULL, 0, false},
    {select_opts_one, "Choice", F(select), false},
    {0},
};
#undef F

/* ---- conditions ---- */

static bool runs(const struct container *c)
{
        return c->status == CONTAINER_RUNNING || c->status == CONTAINER_PAUSED;
}

static bool has_health(const struct dirs *d, struct container *c, const char *wanted)
{
        AUTO_JSON *doc = NULL;
        struct json_at root, state, health;
        const char *status = NULL;

        if (container_inspect(d, c, false, &doc, NULL) < 0)
                return false;
        root = json_root(doc, "container");
        state = json_key(&root, "State");
        health = json_key(&state, "Health");
        return health.obj && json_opt_string(&health, "Status", &status, NULL) >= 0 && status &&
               strcmp(status, wanted) == 0;
}

static bool is_end(const char *condition)
{
        return strcmp(condition, "stopped") == 0 || strcmp(condition, "exited") == 0 ||
               strcmp(condition, "not-running") == 0;
}

static bool holds(const struct dirs *d, struct container *c, const char *condition,
                  int64_t first_finished_ns)
{
        if (strcmp(condition, "next-exit") == 0)
                return !runs(c) && c->finished_ns > 0 && c->finished_ns != first_finished_ns;
        if (strcmp(condition, "healthy") == 0 || strcmp(condition, "unhealthy") == 0)
                return has_health(d, c, condition);
        if (strcmp(condition, "not-running") == 0)
                return !runs(c);
        if (is_end(condition))
                return !runs(c) && c->finished_ns > 0;
        return strcmp(condition, container_status_name(c->status)) == 0;
}

static int check_condition(const char *condition, struct err **reterr)
{
        static const char *const known[] = {"created", "exited",      "healthy", "next-exit",
                                            "paused",  "not-running", "removed", "running",
                                            "stopped", "unhealthy"};

        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (strcmp(known[i], condition) == 0)
                        return 0;
        }
        return err_hint(
            reterr, err_new(reterr, ERR_USAGE, "option '--condition': '%s' is unknown", condition),
            "known: created, exited, healthy, next-exit, not-running, paused, removed, "
            "running, stopped, unhealthy");
}

/* ---- waiting ---- */

static void say(int code, bool ended)
{
        if (ended)
                printf("%d\n", code);
        else
                puts(NOT_EXITED);
        fflush(stdout); /* a script reads the first while the second still runs */
}

/* Nothing tells of a state but its end: it is looked at again and again. */
static int wait_for_any(const struct dirs *d, const char *id, const struct wait_args *a,
                        struct err **reterr)
{
        const struct timespec pause = {.tv_sec = a->interval_ns / 1000000000,
                                       .tv_nsec = a->interval_ns % 1000000000};
        int64_t first = -1;
        int last_code = 0;

        for (;;) {
                AUTO(container_freep) struct container *c = NULL;
                AUTO_ERR struct err *e = NULL;
                int r = container_find(d, id, &c, &e);

                if (r < 0 && err_kind(e) == ERR_NOT_FOUND &&
                    strv_contains(&a->conditions, "removed")) {
                        say(last_code, true);
                        return 0;
                }
                if (r < 0)
                        return err_move(reterr, r, &e);
                first = first < 0 ? c->finished_ns : first;
                last_code = c->exit_code;
                for (size_t i = 0; i < a->conditions.n; i++) {
                        if (!holds(d, c, a->conditions.v[i], first))
                                continue;
                        say(c->exit_code, !runs(c) && c->finished_ns > 0);
                        return 0;
                }
                (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        }
}

static int wait_one(struct dirs *d, const char *name, const void *arg, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *e = NULL;
        const struct wait_args *a = arg;
        int r = container_find(d, name, &c, &e);

        if (r < 0 && a->ignore && err_kind(e) == ERR_NOT_FOUND) {
                puts(NOT_EXITED);
                return 0;
        }
        if (r < 0)
                return err_move(reterr, r, &e);
        if (a->conditions.n > 0 && !(a->conditions.n == 1 && is_end(a->conditions.v[0])))
                return wait_for_any(d, c->id, a, reterr);
        r = container_wait(d, c, false, reterr);
        if (r < 0)
                return r;
        say(r, true);
        return 0;
}

static int parse_interval(struct wait_args *a, struct err **reterr)
{
        uint64_t milliseconds;

        a->interval_ns = INTERVAL_DEFAULT_NS;
        if (!a->interval)
                return 0;
        /* A plain number is milliseconds, as with Podman. */
        if (parse_u64(a->interval, &milliseconds) == 0 && milliseconds <= INT32_MAX)
                a->interval_ns = (int64_t)milliseconds * 1000000;
        else if (parse_duration(a->interval, &a->interval_ns) < 0)
                return err_new(reterr, ERR_USAGE, "option '--interval': '%s' is no time",
                               a->interval);
        if (a->interval_ns < INTERVAL_MIN_NS)
                return err_new(reterr, ERR_USAGE, "option '--interval': '%s' is less than 1ms",
                               a->interval);
        return 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(selection_release) struct selection s = {0};
        struct wait_args *a = args;
        int r = parse_interval(a, reterr);

        for (size_t i = 0; i < a->conditions.n && r >= 0; i++)
                r = check_condition(a->conditions.v[i], reterr);
        a->select.ignore = a->ignore;
        if (r >= 0)
                r = select_containers(cli, &a->select, operands, SELECT_ANY, &s, reterr);
        return r < 0 ? r : each_name(cli, "wait", &s.names, wait_one, args, reterr);
}

const struct verb verb_wait = {
    .names = {"wait", "container wait"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER...]",
    .summary = "Wait until containers end, and print their exit codes",
    .sections = sections,
    .args_size = sizeof(struct wait_args),
    .completes = {COMPLETE_CONTAINER},
    .run = run,
};
