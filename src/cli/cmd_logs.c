/* SPDX-License-Identifier: Apache-2.0 */
/* kelp logs, kelp pod logs */
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/pod_args.h"
#include "cli/select.h"
#include "cli/time_arg.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/container.h"
#include "container/pod.h"
#include "logs/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct logs_args {
        bool follow, timestamps, details, names, color;
        char *since, *until, *tail;
        struct select_args select; /* of logs */
        struct strv members;       /* of pod logs */
        bool latest_pod;
};
#define F(f) offsetof(struct logs_args, f)
static const struct opt read_opts[] = {
    {"color", 0, OPT_BOOL, F(color), NULL, "On a terminal, a colour for each container"},
    {"details", 0, OPT_BOOL, F(details), NULL, "Show the attributes that log options added"},
    {"follow", 'f', OPT_BOOL, F(follow), NULL, "Go on until the container ends"},
    {"names", 0, OPT_BOOL, F(names), NULL, "Put the container's name before each line"},
    {"since", 0, OPT_STRING, F(since), "TIME",
     "Only from then on: 2026-01-31T12:00:00Z, or 10m for ten minutes ago"},
    {"tail", 'n', OPT_STRING, F(tail), "N", "Only the last N lines of each container, or all"},
    {"timestamps", 't', OPT_BOOL, F(timestamps), NULL, "Put the time before each line"},
    {"until", 0, OPT_STRING, F(until), "TIME", "Only up to then"},
    {0},
};
static const struct opt opts[] = {
    {"latest", 'l', OPT_BOOL, F(select.latest), NULL, "The container that was created last"},
    {0},
};
static const struct opt pod_opts[] = {
    {"container", 'c', OPT_STRV, F(members), "CONTAINER", "Of this member only"},
    {"latest", 'l', OPT_BOOL, F(latest_pod), NULL, "The pod created last"},
    {0},
};
#undef F
static const struct opt_section sections[] = {
    {read_opts, NULL, 0, false},
    {opts, "Choice", 0, false},
    {0},
};
static const struct opt_section pod_sections[] = {
    {read_opts, NULL, 0, false},
    {pod_opts, "Choice", 0, false},
    {0},
};

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

/*
 * Lines of one stream are gathered, and written before one of the other comes: their order is kept where both go to one place. Of one
 * of several containers only whole lines are written: what follows may be another's.
 */
#define PRINT_MAX (64U * 1024)
#define HELD_MAX  (1024U * 1024) /* a line that is longer is written in parts all the same */
struct printer {
        struct strbuf text;
        enum log_stream stream;
        bool several;
        const char *prefix;                 /* before each line, or NULL */
        bool mid_line[LOG_STDERR + 1];      /* the stream's line goes on */
        struct strbuf rest[LOG_STDERR + 1]; /* @several: its beginning, not written yet */
        struct follow follow;
        struct container *container;
        int dir;
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

static int print_text(struct printer *p, enum log_stream s, const void *data, size_t n)
{
        int r = 0;

        if (s != p->stream || p->text.len + n > PRINT_MAX)
                r = print_out(p);
        p->stream = s;
        strbuf_add_len(&p->text, data, n);
        return r;
}

static int print_line(enum log_stream s, const void *data, size_t n, void *arg)
{
        struct printer *p = arg;
        bool begins = !p->mid_line[s], ends = n > 0 && ((const char *)data)[n - 1] == '\n';
        struct strbuf *rest = &p->rest[s];
        int r = 0;

        p->mid_line[s] = !ends;
        if (!p->several) {
                if (begins && p->prefix)
                        r = print_text(p, s, p->prefix, strlen(p->prefix));
                return r < 0 ? r : print_text(p, s, data, n);
        }
        if (begins && p->prefix)
                strbuf_add(rest, p->prefix);
        strbuf_add_len(rest, data, n);
        if (ends || rest->len > HELD_MAX) {
                r = print_text(p, s, rest->data, rest->len);
                rest->len = 0;
        }
        return r;
}

/* The end: a last line without newline gets one where another container's may follow. */
static int print_rest(void *arg)
{
        struct printer *p = arg;
        int r = 0;

        for (int s = LOG_STDOUT; r >= 0 && s <= LOG_STDERR; s++) {
                if (p->rest[s].len == 0)
                        continue;
                strbuf_add(&p->rest[s], "\n");
                r = print_text(p, (enum log_stream)s, p->rest[s].data, p->rest[s].len);
                p->rest[s].len = 0;
        }
        return r < 0 ? r : print_out(p);
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

/* ---- which ---- */

struct printers {
        struct printer *v;
        size_t n;
        struct strv prefixes;
};

static void printers_release(struct printers *p)
{
        for (size_t i = 0; i < p->n; i++) {
                strbuf_release(&p->v[i].text);
                for (size_t s = 0; s < ARRAY_SIZE(p->v[i].rest); s++)
                        strbuf_release(&p->v[i].rest[s]);
                container_free(p->v[i].container);
                (void)fd_close(p->v[i].dir);
        }
        free(p->v);
        strv_release(&p->prefixes);
}

/* As Podman does: the id in short where there are several, or the name where it is asked for. */
static void add_prefixes(struct printers *p, const struct logs_args *a)
{
        bool colors = a->color && isatty(STDOUT_FILENO) == 1;

        if (p->n < 2 && !a->names && !colors)
                return;
        for (size_t i = 0; i < p->n; i++) {
                const struct container *c = p->v[i].container;
                AUTO_FREE char *word = a->names ? xstrdup(c->name) : xstrndup(c->id, 12);

                if (colors)
                        strv_addf(&p->prefixes, "\033[3%zum%s\033[0m ", i % 6 + 1, word);
                else
                        strv_addf(&p->prefixes, "%s ", word);
        }
        for (size_t i = 0; i < p->n; i++)
                p->v[i].prefix = p->prefixes.v[i];
}

/* One that has never been started has no log: *ret_source is not filled, and 0 returned; else 1. */
static int open_one(const struct dirs *d, const char *name, struct printer *p,
                    struct log_source *ret_source, struct err **reterr)
{
        int r = container_find(d, name, &p->container, reterr);

        if (r >= 0)
                r = find_driver(p->container, &ret_source->driver, reterr);
        if (r < 0)
                return r;
        p->follow = (struct follow){.dirs = d, .id = p->container->id};
        p->dir = openat(p->container->dir_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (p->dir < 0)
                return errno == ENOENT ? 0
                                       : err_sys(reterr, errno, "container '%s': open its log",
                                                 p->container->name);
        ret_source->dirfd = p->dir;
        ret_source->arg = p;
        ret_source->alive_arg = &p->follow;
        return 1;
}

static int choose_opts(const struct logs_args *a, struct log_read_opts *ret, struct err **reterr)
{
        int r;

        *ret = (struct log_read_opts){.follow = a->follow,
                                      .timestamps = a->timestamps,
                                      .details = a->details,
                                      .alive = still_runs,
                                      .caught_up = print_out,
                                      .ended = print_rest};
        r = time_arg_parse("since", a->since, &ret->since_ns, reterr);
        if (r >= 0)
                r = time_arg_parse("until", a->until, &ret->until_ns, reterr);
        return r < 0 ? r : parse_tail(a->tail, &ret->tail, reterr);
}

static int show(struct cli *cli, const struct logs_args *a, const struct strv *names,
                struct err **reterr)
{
        AUTO_FREE struct log_source *sources = xcalloc(names->n + 1, sizeof(*sources));
        struct printers p = {.v = xcalloc(names->n + 1, sizeof(*p.v))};
        AUTO_ERR struct err *e = NULL;
        struct log_read_opts o;
        size_t n = 0;
        int r = choose_opts(a, &o, &e);

        for (size_t i = 0; r >= 0 && i < names->n; i++) {
                p.v[p.n] =
                    (struct printer){.stream = LOG_STDOUT, .dir = -EBADF, .several = names->n > 1};
                r = open_one(cli->dirs, names->v[i], &p.v[p.n++], &sources[n], &e);
                n += r > 0;
        }
        if (r >= 0)
                add_prefixes(&p, a);
        if (r >= 0 && n > 0)
                r = log_read_several(sources, n, &o, print_line, &e);
        for (size_t i = 0; r != -EPIPE && i < p.n; i++)
                (void)print_rest(&p.v[i]); /* of a damaged log, what came before the damage */
        printers_release(&p);
        if (r == -EPIPE)
                return 0; /* who reads it has seen enough */
        return r < 0 ? err_move(reterr, r, &e) : 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct logs_args *a = args;
        AUTO(selection_release) struct selection s = {0};
        int r = select_containers(cli, &a->select, operands, SELECT_ANY, &s, reterr);

        return r < 0 ? r : show(cli, a, &s.names, reterr);
}

const struct verb verb_logs = {
    .names = {"logs", "container logs"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER...]",
    .summary = "Show what containers have written",
    .sections = sections,
    .args_size = sizeof(struct logs_args),
    .completes = {COMPLETE_CONTAINER},
    .run = run,
};

/* ---- pod logs ---- */

static bool is_member(const struct pod *p, const char *id)
{
        for (size_t i = 0; i < p->n; i++) {
                if (strcmp(p->members[i]->id, id) == 0)
                        return true;
        }
        return false;
}

static int add_member(const struct dirs *d, const struct pod *p, const char *name, struct strv *ret,
                      struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *e = NULL;
        int r = container_find(d, name, &c, &e);

        if (r < 0 && err_kind(e) != ERR_NOT_FOUND) {
                (void)err_wrap(&e, r, "option '--container'");
                return err_move(reterr, r, &e);
        }
        if (r < 0 || !is_member(p, c->id))
                return err_hint(reterr,
                                err_new(reterr, ERR_NOT_FOUND,
                                        "option '--container': pod '%s' has no member '%s'",
                                        p->infra->name, name),
                                "'kelp pod ps --ctr-names' lists them");
        strv_add(ret, c->id);
        return 0;
}

static int members_to_show(const struct dirs *d, const struct pod *p, const struct strv *wanted,
                           struct strv *ret, struct err **reterr)
{
        int r = 0;

        for (size_t i = 0; wanted->n == 0 && i < p->n; i++)
                strv_add(ret, p->members[i]->id);
        for (size_t i = 0; r >= 0 && i < wanted->n; i++)
                r = add_member(d, p, wanted->v[i], ret, reterr);
        return r;
}

static int run_pod(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(pod_freep) struct pod *p = NULL;
        const struct logs_args *a = args;
        AUTO_STRV ids = {0};
        int r = pod_find_one(cli, operands->n ? operands->v[0] : NULL, a->latest_pod, &p, reterr);

        if (r >= 0)
                r = members_to_show(cli->dirs, p, &a->members, &ids, reterr);
        return r < 0 ? r : show(cli, a, &ids, reterr);
}

const struct verb verb_pod_logs = {
    .names = {"pod logs"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[POD]",
    .summary = "Show what the containers of a pod have written",
    .sections = pod_sections,
    .args_size = sizeof(struct logs_args),
    .max_operands = 1,
    .completes = {COMPLETE_POD},
    .run = run_pod,
};
