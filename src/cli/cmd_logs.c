/* SPDX-License-Identifier: Apache-2.0 */
/* kelp logs */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/verb.h"
#include "container/container.h"
#include "logs/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* Seconds since 1970 with an optional fraction, as Docker's own client sends them. */
static bool parse_unix(const char *s, int64_t *ret)
{
        size_t whole = strspn(s, "0123456789");
        size_t fraction = s[whole] == '.' ? strspn(s + whole + 1, "0123456789") : 0;
        AUTO_FREE char *seconds = xstrndup(s, whole);
        uint64_t value;
        int64_t ns = 0;

        if (!whole || s[whole + (fraction ? fraction + 1 : 0)] || fraction > 9)
                return false;
        if (parse_u64(seconds, &value) < 0 || value > INT64_MAX / 1000000000 - 1)
                return false;
        for (size_t i = 0; i < 9; i++)
                ns = ns * 10 + (i < fraction ? s[whole + 1 + i] - '0' : 0);
        *ret = (int64_t)value * 1000000000 + ns;
        return true;
}

/* Dates and times without an offset are the caller's local time. */
static bool parse_local(const char *s, int64_t *ret)
{
        static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
                                            "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"};

        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                struct tm tm = {.tm_isdst = -1};
                const char *end = strptime(s, forms[i], &tm);

                if (!end || *end)
                        continue;
                *ret = (int64_t)mktime(&tm) * 1000000000;
                return true;
        }
        return false;
}

static int parse_time(const char *option, const char *s, int64_t *ret, struct err **reterr)
{
        int64_t ago;
        int r;

        if (!s || parse_unix(s, ret) || parse_local(s, ret) || clock_parse(s, ret) >= 0)
                return 0;
        if (parse_duration(s, &ago) >= 0) {
                *ret = clock_now_ns() - ago;
                return 0;
        }
        r = err_new(reterr, ERR_USAGE, "option '--%s': '%s' is no time", option, s);
        return err_hint(
            reterr, r,
            "2026-01-31T12:00:00Z, 2026-01-31, seconds since 1970, or a duration such as 10m");
}

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

        return container_find(f->dirs, f->id, &c, NULL) >= 0 &&
               (c->status == CONTAINER_RUNNING || c->status == CONTAINER_PAUSED ||
                c->status == CONTAINER_RESTARTING);
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
        int r = parse_time("since", a->since, &o.since_ns, reterr);

        if (r >= 0)
                r = parse_time("until", a->until, &o.until_ns, reterr);
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
