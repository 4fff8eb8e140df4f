/* SPDX-License-Identifier: Apache-2.0 */
/* kelp logs */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/time_arg.h"
#include "cli/verb.h"
#include "container/container.h"
#include "logs/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct logs_args {
        bool follow, timestamps, details;
        char *since, *until, *tail;
};
#define F(f) offsetof(struct logs_args, f)
static const struct opt opts[] = {
    {"details", 0, OPT_BOOL, F(details), NULL, "Show the attributes that log options added"},
    {"follow", 'f', OPT_BOOL, F(follow), NULL, "Go on until the container ends"},
    {"since", 0, OPT_STRING, F(since), "TIME",
     "Only from then on: 2026-01-31T12:00:00Z, or 10m for ten minutes ago"},
    {"tail", 'n', OPT_STRING, F(tail), "N", "Only the last N lines, or all"},
    {"timestamps", 't', OPT_BOOL, F(timestamps), NULL, "Put the time before each line"},
    {"until", 0, OPT_STRING, F(until), "TIME", "Only up to then"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int parse_tail(const char *s, int64_t *ret, struct err **reterr)
{
        *ret = -1;
        if (!s || strcmp(s, "all") == 0)
                return 0;
        if (parse_i64(s, ret) < 0)
                return err_new(
                    reterr, ERR_USAGE,
                    "option '--tail': invalid value '%s': expected a number of lines or 'all'", s);
        if (*ret < 0)
                *ret = -1;
        return 0;
}

struct follow {
        const struct dirs *dirs;
        const char *id;
};

static bool still_runs(void *arg)
{
        const struct follow *f = arg;
        AUTO(container_freep) struct container *c = NULL;

        return container_find(f->dirs, f->id, &c, NULL) >= 0 && container_is_up(c);
}

static int print_line(enum log_stream s, const void *data, size_t n, void *arg)
{
        FILE *f = s == LOG_STDERR ? stderr : stdout;
        const struct log_read_opts *o = arg;

        if (fwrite(data, 1, n, f) != n || (o->follow && fflush(f) != 0))
                return -(errno ? errno : EIO);
        return 0;
}

static int find_driver(const struct container *c, enum log_driver *ret, struct err **reterr)
{
        struct json_at root = json_root(c->config, "config.json");
        struct json_at host = json_key(&root, "HostConfig");
        struct json_at log = json_key(&host, "LogConfig");
        const char *type = NULL;
        int r = json_opt_string(&log, "Type", &type, reterr);

        if (r >= 0)
                r = log_driver_parse(type, ret, reterr);
        if (r < 0 || *ret == LOG_JSON_FILE || *ret == LOG_K8S_FILE)
                return r;
        r = err_new(reterr, ERR_UNSUPPORTED,
                    "container '%s': log driver '%s' keeps nothing to read", c->name, type);
        return err_hint(reterr, r, "create it with --log-driver json-file or k8s-file");
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        const struct logs_args *a = args;
        struct follow follow = {0};
        struct log_read_opts o = {.follow = a->follow,
                                  .timestamps = a->timestamps,
                                  .details = a->details,
                                  .alive = still_runs,
                                  .arg = &follow};
        AUTO_CLOSE int dir = -EBADF;
        enum log_driver driver;
        struct dirs *d;
        int r = time_arg_parse("since", a->since, &o.since_ns, reterr);

        if (r >= 0)
                r = time_arg_parse("until", a->until, &o.until_ns, reterr);
        if (r >= 0)
                r = parse_tail(a->tail, &o.tail, reterr);
        if (r >= 0)
                r = cli_dirs(cli, &d, reterr);
        if (r >= 0)
                r = container_find(d, operands->v[0], &c, reterr);
        if (r >= 0)
                r = find_driver(c, &driver, reterr);
        if (r < 0)
                return r;
        dir = openat(c->dir_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return errno == ENOENT
                           ? 0
                           : err_sys(reterr, errno, "container '%s': open its log", c->name);
        follow = (struct follow){.dirs = d, .id = c->id};
        r = log_read(dir, driver, &o, print_line, &o, reterr);
        return r == -EPIPE ? 0 : r;
}

const struct verb verb_logs = {
    .names = {"logs", "container logs"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER",
    .summary = "Show what a container has written",
    .sections = sections,
    .args_size = sizeof(struct logs_args),
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_CONTAINER},
    .run = run,
};
