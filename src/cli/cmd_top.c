/* SPDX-License-Identifier: Apache-2.0 */
/* kelp top, kelp pod top: columns are named as Podman names them, or by options of ps, which Docker takes. */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/pod_args.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/container.h"
#include "container/pod.h"
#include "container/top.h"
#include "image/accounts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#define NS       INT64_C(1000000000)
#define DAY_S    86400
#define COLS_MAX 64

typedef void (*cell_fn)(struct strbuf *b, const struct top *t, const struct top_process *p);

/* ---- cells: what processes and the container's files say is made harmless here ---- */

static void add_text_take(struct strbuf *b, char *text)
{
        strbuf_add_printable(b, text, strlen(text));
        free(text);
}

static void cell_user(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        add_text_take(b, top_user(t, p->uid));
}

static void cell_ruser(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        add_text_take(b, top_user(t, p->ruid));
}

static void cell_group(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        add_text_take(b, top_group(t, p->gid));
}

static void cell_rgroup(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        add_text_take(b, top_group(t, p->rgid));
}

static void cell_uid(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        uint32_t uid = top_uid(t, p->uid);

        strbuf_addf(b, uid == UINT32_MAX ? "?" : "%u", uid);
}

/* Of the host's own file: subordinate ids have no name. */
static void cell_huser(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        AUTO_FREE char *number = xasprintf("%u", p->uid);
        AUTO_STRV line = {0};

        (void)t;
        strbuf_add(b, accounts_of_host(number, &line) ? line.v[0] : number);
}

#define NUMBER_CELL(name, field)                                                                   \
        static void cell_##name(struct strbuf *b, const struct top *t,                             \
                                const struct top_process *p)                                       \
        {                                                                                          \
                (void)t;                                                                           \
                strbuf_addf(b, "%u", p->field);                                                    \
        }
NUMBER_CELL(pid, pid)
NUMBER_CELL(ppid, ppid)
NUMBER_CELL(pgid, pgid)
NUMBER_CELL(hpid, hpid)
NUMBER_CELL(hppid, hppid)

static double cpu_percent(const struct top_process *p)
{
        return p->age_ns > 0 ? (double)p->cpu_ns * 100 / (double)p->age_ns : 0;
}

static void cell_c(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        strbuf_addf(b, "%.0f", cpu_percent(p));
}

static void cell_pcpu(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        strbuf_addf(b, "%.1f", cpu_percent(p));
}

static void cell_pmem(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        struct sysinfo s;

        (void)t;
        if (sysinfo(&s) == 0 && s.totalram > 0)
                strbuf_addf(b, "%.1f",
                            (double)p->rss_bytes * 100 / ((double)s.totalram * s.mem_unit));
}

/* [DD-]HH:MM:SS, the hours left out when @short_ and there are none. */
static void add_clock(struct strbuf *b, int64_t ns, bool short_)
{
        int64_t s = ns / NS, days = s / DAY_S, hours = s / 3600 % 24;

        if (days > 0)
                strbuf_addf(b, "%" PRId64 "-", days);
        if (!short_ || days > 0 || hours > 0)
                strbuf_addf(b, "%02" PRId64 ":", hours);
        strbuf_addf(b, "%02" PRId64 ":%02" PRId64, s / 60 % 60, s % 60);
}

static void cell_etime(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        add_clock(b, p->age_ns, true);
}

static void cell_time(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        add_clock(b, p->cpu_ns, false);
}

/* The time of a process of today, else the day. */
static void cell_stime(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        time_t start = (time_t)(p->start_ns / NS);
        bool today = p->age_ns / NS < DAY_S;
        char text[16] = "?";
        struct tm tm;

        (void)t;
        if (localtime_r(&start, &tm))
                (void)strftime(text, sizeof(text), today ? "%H:%M" : "%b%d", &tm);
        strbuf_add(b, text);
}

/* As the kernel packs a device number in stat: proc(5). */
static void cell_tty(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        uint32_t major = p->tty >> 8 & 0xfff, minor = (p->tty & 0xff) | (p->tty >> 12 & 0xfff00);

        (void)t;
        if (major >= 136 && major <= 143)
                strbuf_addf(b, "pts/%u", (major - 136) * 256 + minor);
        else if (major == 4)
                strbuf_addf(b, "tty%u", minor);
        else
                strbuf_add(b, "?");
}

static void cell_comm(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        strbuf_add_printable(b, p->comm, strlen(p->comm));
}

static void cell_args(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        strbuf_add_printable(b, p->args, strlen(p->args));
}

static void cell_state(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        strbuf_addf(b, "%c", p->state);
}

static void cell_vsz(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        strbuf_addf(b, "%" PRIu64, p->vsz_bytes / 1024);
}

static void cell_rss(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        strbuf_addf(b, "%" PRIu64, p->rss_bytes / 1024);
}

static void cell_nice(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        (void)t;
        strbuf_addf(b, "%" PRId64, p->nice);
}

static void cell_seccomp(struct strbuf *b, const struct top *t, const struct top_process *p)
{
        static const char *const names[] = {"disabled", "strict", "filter"};

        (void)t;
        strbuf_add(b, p->seccomp < ARRAY_SIZE(names) ? names[p->seccomp] : "?");
}

/* ---- columns ---- */

struct descriptor {
        const char *name, *heading;
        cell_fn cell;
        cell_fn of_ps; /* what ps means by the name, where that is another: pids of the host */
};
static const struct descriptor descriptors[] = {
    {"args", "COMMAND", cell_args, NULL},    {"comm", "COMMAND", cell_comm, NULL},
    {"etime", "ELAPSED", cell_etime, NULL},  {"group", "GROUP", cell_group, NULL},
    {"hpid", "HPID", cell_hpid, NULL},       {"huser", "HUSER", cell_huser, NULL},
    {"nice", "NI", cell_nice, NULL},         {"pcpu", "%CPU", cell_pcpu, NULL},
    {"pgid", "PGID", cell_pgid, NULL},       {"pid", "PID", cell_pid, cell_hpid},
    {"pmem", "%MEM", cell_pmem, NULL},       {"ppid", "PPID", cell_ppid, cell_hppid},
    {"rgroup", "RGROUP", cell_rgroup, NULL}, {"rss", "RSS", cell_rss, NULL},
    {"ruser", "RUSER", cell_ruser, NULL},    {"seccomp", "SECCOMP", cell_seccomp, NULL},
    {"state", "STATE", cell_state, NULL},    {"stime", "STIME", cell_stime, NULL},
    {"time", "TIME", cell_time, NULL},       {"tty", "TTY", cell_tty, NULL},
    {"uid", "UID", cell_uid, NULL},          {"user", "USER", cell_user, NULL},
    {"vsz", "VSZ", cell_vsz, NULL},
};
static const struct {
        const char *alias, *name;
} aliases[] = {{"%cpu", "pcpu"}, {"%mem", "pmem"}, {"cmd", "args"},   {"command", "args"},
               {"ni", "nice"},   {"s", "state"},   {"stat", "state"}, {"start", "stime"},
               {"tt", "tty"},    {"rssize", "rss"}};

/* Columns that an option of ps stands for. */
static const struct descriptor full[] =
    {
        {"uid", "UID", cell_user, NULL},      {"pid", "PID", cell_hpid, NULL},
        {"ppid", "PPID", cell_hppid, NULL},   {"c", "C", cell_c, NULL},
        {"stime", "STIME", cell_stime, NULL}, {"tty", "TTY", cell_tty, NULL},
        {"time", "TIME", cell_time, NULL},    {"cmd", "CMD", cell_args, NULL},
},
                               of_user[] =
                                   {
                                       {"user", "USER", cell_user, NULL},
                                       {"pid", "PID", cell_hpid, NULL},
                                       {"pcpu", "%CPU", cell_pcpu, NULL},
                                       {"pmem", "%MEM", cell_pmem, NULL},
                                       {"vsz", "VSZ", cell_vsz, NULL},
                                       {"rss", "RSS", cell_rss, NULL},
                                       {"tty", "TTY", cell_tty, NULL},
                                       {"stat", "STAT", cell_state, NULL},
                                       {"start", "START", cell_stime, NULL},
                                       {"time", "TIME", cell_time, NULL},
                                       {"command", "COMMAND", cell_args, NULL},
},
                               brief[] = {
                                   {"pid", "PID", cell_hpid, NULL},
                                   {"tty", "TTY", cell_tty, NULL},
                                   {"time", "TIME", cell_time, NULL},
                                   {"cmd", "CMD", cell_comm, NULL},
};

struct columns {
        struct descriptor v[COLS_MAX];
        size_t n;
};

static const struct descriptor *find_descriptor(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
                if (strcmp(aliases[i].alias, name) == 0)
                        name = aliases[i].name;
        }
        for (size_t i = 0; i < ARRAY_SIZE(descriptors); i++) {
                if (strcmp(descriptors[i].name, name) == 0)
                        return &descriptors[i];
        }
        return NULL;
}

static void set_columns(struct columns *c, const struct descriptor *from, size_t n)
{
        memcpy(c->v, from, n * sizeof(*from));
        c->n = n;
}

static int unknown_descriptor(const char *name, struct err **reterr)
{
        AUTO_STRBUF list = {0};
        int r = err_new(reterr, ERR_USAGE, "unknown column '%s'", name);

        for (size_t i = 0; i < ARRAY_SIZE(descriptors); i++)
                strbuf_addf(&list, "%s%s", i ? " " : "", descriptors[i].name);
        return err_hint(reterr, r, "known: %s", list.data);
}

/* "pid,user" or "pid user"; @ps: as ps means them. */
static int add_columns(struct columns *c, const char *list, bool ps, struct err **reterr)
{
        AUTO_FREE char *copy = xstrdup(list);
        char *at = NULL;

        for (char *name = strtok_r(copy, ", ", &at); name; name = strtok_r(NULL, ", ", &at)) {
                const struct descriptor *d = find_descriptor(name);

                if (!d)
                        return unknown_descriptor(name, reterr);
                if (c->n == COLS_MAX)
                        return err_new(reterr, ERR_USAGE, "more than %d columns", COLS_MAX);
                c->v[c->n] = *d;
                if (ps && d->of_ps)
                        c->v[c->n].cell = d->of_ps;
                c->n++;
        }
        return 0;
}

/* ---- options of ps ---- */

/* "-ef", "aux", "-eo", …: @next is what follows; *ret_taken when it was the list of -o. */
static int ps_word(struct columns *c, const char *word, const char *next, bool *ret_taken,
                   struct err **reterr)
{
        int r;

        *ret_taken = false;
        for (const char *p = word + (*word == '-'); *p; p++) {
                switch (*p) {
                case 'e': /* which processes: all of the container's are shown in any case */
                case 'A':
                case 'a':
                case 'x':
                case 'w': /* and nothing is cut */
                        break;
                case 'f':
                        set_columns(c, full, ARRAY_SIZE(full));
                        break;
                case 'u':
                        set_columns(c, of_user, ARRAY_SIZE(of_user));
                        break;
                case 'o':
                        *ret_taken = !p[1];
                        if (!p[1] && !next)
                                return err_new(reterr, ERR_USAGE, "option '-o' wants columns");
                        return add_columns(c, p[1] ? p + 1 : next, true, reterr);
                default:
                        r = err_new(reterr, ERR_USAGE,
                                    "option '%c' of ps in '%s' is not known here", *p, word);
                        return err_hint(
                            reterr, r,
                            "ps is not run: of its options there are -e -A -a -x -w, -f, -u "
                            "and -o COLUMNS");
                }
        }
        return 0;
}

static bool is_ps_word(const char *word)
{
        return *word == '-' || (!strchr(word, ',') && !find_descriptor(word) &&
                                word[strspn(word, "aAefuxw")] == '\0');
}

/* @operands: from the one of that number on they are columns. */
static int choose_columns(struct columns *c, const struct strv *operands, size_t first,
                          struct err **reterr)
{
        bool ps = operands->n > first && is_ps_word(operands->v[first]);
        int r = 0;

        if (operands->n == first)
                set_columns(c, full, ARRAY_SIZE(full));
        for (size_t i = first; i < operands->n && r >= 0; i++) {
                bool taken = false;

                if (ps)
                        r = ps_word(c, operands->v[i],
                                    i + 1 < operands->n ? operands->v[i + 1] : NULL, &taken,
                                    reterr);
                else
                        r = add_columns(c, operands->v[i], false, reterr);
                i += taken;
        }
        if (r >= 0 && c->n == 0)
                set_columns(c, brief, ARRAY_SIZE(brief));
        return r;
}

/* ---- output ---- */

static int print_processes(struct output *out, const struct top *t, const struct columns *c,
                           const struct strv *keys, struct err **reterr)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < t->n; i++) {
                AUTO_JSON *row = json_object_new_object();

                for (size_t k = 0; k < c->n; k++) {
                        AUTO_STRBUF cell = {0};

                        c->v[k].cell(&cell, t, &t->v[i]);
                        json_add_string(row, keys->v[k], cell.data ? cell.data : "");
                }
                r = output_row(out, row, reterr);
        }
        return r;
}

static int print(const struct top *tops, size_t n, const struct columns *c, struct err **reterr)
{
        struct column columns[COLS_MAX + 1] = {0};
        AUTO(output_freep) struct output *out = NULL;
        struct output_opts o = {.columns = columns};
        AUTO_STRBUF table = {0};
        AUTO_STRV keys = {0};
        int r;

        for (size_t i = 0; i < c->n; i++) {
                strv_addf(&keys, "C%zu", i);
                strbuf_addf(&table, "%s{{.C%zu}}", i ? "\t" : "", i);
        }
        for (size_t i = 0; i < c->n; i++)
                columns[i] = (struct column){keys.v[i], c->v[i].heading};
        o.table = table.data;
        r = output_new(&o, &out, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = print_processes(out, &tops[i], c, &keys, reterr);
        return r < 0 ? r : output_finish(out, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO(top_release) struct top top = {0};
        struct columns columns = {0};
        struct dirs *d;
        int r;

        (void)args;
        if ((r = choose_columns(&columns, operands, 1, reterr)) < 0 ||
            (r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = container_find(d, operands->v[0], &c, reterr)) < 0 ||
            (r = top_read(c, &top, reterr)) < 0)
                return r;
        return print(&top, 1, &columns, reterr);
}

#define COLUMNS_HELP                                                                               \
        "Columns: args comm etime group hpid huser nice pcpu pgid pid pmem ppid rgroup rss\n"      \
        "ruser seccomp state stime time tty uid user vsz. Options of ps: -e -f -u -o COLUMNS."

const struct verb verb_top = {
    .names = {"top", "container top"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER [COLUMN... | PS-OPTION...]",
    .summary = "List the processes of a container",
    .details = COLUMNS_HELP,
    .options_first = true,
    .min_operands = 1,
    .completes = {COMPLETE_RUNNING, COMPLETE_NONE},
    .run = run,
};

/* ---- pod top ---- */

struct pod_top_args {
        bool latest;
};
static const struct opt pod_opts[] = {
    {"latest", 'l', OPT_BOOL, offsetof(struct pod_top_args, latest), NULL, "The pod created last"},
    {0},
};
static const struct opt_section pod_sections[] = {{pod_opts, NULL, 0, false}, {0}};

/* Of all that run, the infra container first; one that ends meanwhile is left out. @ret: room for all of them. */
static int read_pod(struct pod *p, struct top *ret, size_t *ret_n, struct err **reterr)
{
        *ret_n = 0;
        for (size_t i = 0; i <= p->n; i++) {
                struct container *c = i == 0 ? p->infra : p->members[i - 1];
                AUTO_ERR struct err *e = NULL;
                int r = top_read(c, &ret[*ret_n], &e);

                if (r >= 0)
                        (*ret_n)++;
                else if (err_kind(e) != ERR_BUSY)
                        return err_move(reterr, r, &e);
                else
                        top_release(&ret[*ret_n]);
        }
        if (*ret_n > 0)
                return 0;
        return err_hint(reterr,
                        err_new(reterr, ERR_BUSY, "pod '%s' is not running", p->infra->name),
                        "'kelp pod start %s' starts it", p->infra->name);
}

static int run_pod(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct pod_top_args *a = args;
        size_t first = a->latest ? 0 : 1, n = 0;
        AUTO(pod_freep) struct pod *p = NULL;
        struct columns columns = {0};
        AUTO_FREE struct top *tops = NULL;
        const char *name = first && operands->n ? operands->v[0] : NULL;
        int r = pod_find_one(cli, name, a->latest, &p, reterr);

        if (r >= 0)
                r = choose_columns(&columns, operands, first, reterr);
        if (r < 0)
                return r;
        tops = xcalloc(p->n + 1, sizeof(*tops));
        r = read_pod(p, tops, &n, reterr);
        if (r >= 0)
                r = print(tops, n, &columns, reterr);
        for (size_t i = 0; i < n; i++)
                top_release(&tops[i]);
        return r;
}

const struct verb verb_pod_top = {
    .names = {"pod top"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[POD] [COLUMN... | PS-OPTION...]",
    .summary = "List the processes of the containers of a pod",
    .details = COLUMNS_HELP,
    .sections = pod_sections,
    .args_size = sizeof(struct pod_top_args),
    .options_first = true,
    .completes = {COMPLETE_POD, COMPLETE_NONE},
    .run = run_pod,
};
