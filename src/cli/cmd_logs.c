/* SPDX-License-Identifier: Apache-2.0 */
/* kelp logs */
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/time_arg.h"
#include "cli/verb.h"
#include "container/container.h"
#include "logs/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

/* Lines of one stream are gathered, and written before one of the other comes: their order is kept where both go to one place. */
#define PRINT_MAX (64U * 1024)
struct printer {
        struct strbuf text;
        enum log_stream stream;
};

static int print_out(void *arg)
{
        struct printer *p = arg;
        int r = 0;

        if (p->text.len > 0)
                r = io_write_full(p->stream == LOG_STDERR ? STDERR_FILENO : STDOUT_FILENO,
                                  p->text.data, p->text.len);
        p->text.len = 0;
        return r;
}

static int print_line(enum log_stream s, const void *data, size_t n, void *arg)
{
        struct printer *p = arg;
        int r = 0;

        if (s != p->stream || p->text.len + n > PRINT_MAX)
                r = print_out(p);
        p->stream = s;
        strbuf_add_len(&p->text, data, n);
        return r;
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
        AUTO_ERR struct err *e = NULL;
        struct follow follow = {0};
        struct log_read_opts o = {.follow = a->follow,
                                  .timestamps = a->timestamps,
                                  .details = a->details,
                                  .alive = still_runs,
                                  .arg = &follow,
                                  .caught_up = print_out};
        struct printer printer = {.stream = LOG_STDOUT};
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
        r = log_read(dir, driver, &o, print_line, &printer, &e);
        if (r < 0 && r != -EPIPE)
                (void)print_out(&printer); /* what came before the damage */
        strbuf_release(&printer.text);
        if (r == -EPIPE)
                return 0; /* who reads it has seen enough */
        if (r < 0)
                *reterr = TAKE_PTR(e);
        return r;
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
