/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   A process belongs to the container when it is in the PID namespace of the container's first process, or is the child of one that does
 *   (that of a namespace of its own further in). A container that shares the PID namespace with others is told apart by its mount namespace.
 *   One look at all of /proc, however fast processes come and go: their numbers first, then each one's parent, start and namespace; who
 *   belongs is decided in memory, and the rest is read of those alone. One that ends meanwhile is left out, and so is who has got its number:
 *   it has another start. The first process is held by a pidfd: if it is still there when everything was read, its number meant it all along.
 */
#include "container/top.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "container/container_internal.h"
#include "idmap/idmap.h"
#include "image/accounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGS_MAX   ((size_t)32 * 1024) /* of a command line that is longer the beginning is shown */
#define PROC_MAX   ((size_t)64 * 1024)
#define NESTED_MAX 32 /* PID namespaces in each other: the kernel's own limit */
#define NS_MAX     64

struct top_accounts {
        struct id_map uid, gid; /* container → host */
        char *passwd, *group;   /* NULL: could not be read */
};

/* ---- files of /proc ---- */

/* As much of it as there is room for: /proc/<pid>/<name>. Caller owns; NULL: it cannot be read. */
static char *read_some(uint32_t pid, const char *name, size_t max, size_t *ret_len)
{
        AUTO_FREE char *path = xasprintf("/proc/%u/%s", pid, name);
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        AUTO_FREE char *text = xmalloc(max + 1);
        ssize_t n = fd < 0 ? -1 : io_read_some(fd, text, max);

        if (n < 0)
                return NULL;
        text[n] = '\0';
        if (ret_len)
                *ret_len = (size_t)n;
        return TAKE_PTR(text);
}

static bool read_ns(uint32_t pid, const char *which, char ret[NS_MAX])
{
        AUTO_FREE char *path = xasprintf("/proc/%u/ns/%s", pid, which);
        ssize_t n = readlink(path, ret, NS_MAX - 1);

        if (n > 0)
                ret[n] = '\0';
        return n > 0;
}

/* The numbers behind "Name:" of a status file; how many there were. */
static size_t numbers_of(const char *text, const char *name, uint32_t *ret, size_t max)
{
        size_t len = strlen(name), n = 0;
        const char *line = text;

        while (line && (strncmp(line, name, len) != 0 || line[len] != ':')) {
                line = strchr(line, '\n');
                line = line ? line + 1 : NULL;
        }
        if (!line)
                return 0;
        line += len + 1;
        for (size_t word; n < max; line += word) {
                AUTO_FREE char *number = NULL;

                line += strspn(line, " \t");
                word = strcspn(line, " \t\n");
                number = xstrndup(line, word);
                if (word == 0 || parse_u32(number, &ret[n]) < 0)
                        break;
                n++;
        }
        return n;
}

/* ---- one process ---- */

/* Fields of stat behind the name, counted from 0 as they come there (proc(5) counts the state as the third). */
enum {
        STAT_STATE,
        STAT_PPID,
        STAT_TTY = 4,
        STAT_UTIME = 11,
        STAT_STIME,
        STAT_NICE = 16,
        STAT_START = 19,
        STAT_VSIZE,
        STAT_RSS,
        STAT_COUNT
};

static bool parse_numbers(const struct strv *f, struct top_process *p)
{
        uint64_t utime, stime, pages, tick = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
        int64_t tty;

        if (f->n < STAT_COUNT || parse_u32(f->v[STAT_PPID], &p->hppid) < 0 ||
            parse_i64(f->v[STAT_TTY], &tty) < 0 || parse_u64(f->v[STAT_UTIME], &utime) < 0 ||
            parse_u64(f->v[STAT_STIME], &stime) < 0 || parse_i64(f->v[STAT_NICE], &p->nice) < 0 ||
            parse_u64(f->v[STAT_START], &p->start_ticks) < 0 ||
            parse_u64(f->v[STAT_VSIZE], &p->vsz_bytes) < 0 || parse_u64(f->v[STAT_RSS], &pages) < 0)
                return false;
        p->state = f->v[STAT_STATE][0];
        p->tty = (uint32_t)tty;
        p->rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
        p->cpu_ns = (int64_t)((utime + stime) * tick);
        p->age_ns = MAX((int64_t)0, clock_monotonic_ns() - (int64_t)(p->start_ticks * tick));
        p->start_ns = clock_now_ns() - p->age_ns;
        return true;
}

/* The name may hold anything, ")" too: the last one ends it. */
static bool read_stat(uint32_t pid, struct top_process *p)
{
        AUTO_FREE char *text = read_some(pid, "stat", PROC_MAX, NULL);
        char *open = text ? strchr(text, '(') : NULL, *close = text ? strrchr(text, ')') : NULL;
        AUTO_STRV fields = {0};

        if (!open || !close || close < open || close[1] != ' ')
                return false;
        strv_split(&fields, close + 2, ' ');
        if (!parse_numbers(&fields, p))
                return false;
        p->comm = xstrndup(open + 1, (size_t)(close - open - 1));
        return true;
}

/* @depth: how many PID namespaces lie between ours and the container's. False: it has ended, or is not in that. */
static bool read_status(uint32_t pid, size_t depth, struct top_process *p)
{
        AUTO_FREE char *text = read_some(pid, "status", PROC_MAX, NULL);
        uint32_t ids[4], in_ns[NESTED_MAX];

        if (!text || numbers_of(text, "Uid", ids, 4) != 4)
                return false;
        p->ruid = ids[0];
        p->uid = ids[1];
        if (numbers_of(text, "Gid", ids, 4) != 4)
                return false;
        p->rgid = ids[0];
        p->gid = ids[1];
        (void)numbers_of(text, "Seccomp", &p->seccomp, 1);
        /* In its PID namespace or below it, or it is not the container's. */
        if (numbers_of(text, "NSpid", in_ns, NESTED_MAX) <= depth)
                return false;
        p->pid = in_ns[depth];
        p->pgid = numbers_of(text, "NSpgid", in_ns, NESTED_MAX) > depth ? in_ns[depth] : 0;
        return true;
}

/* NULL: it has none. Caller owns. */
static char *read_args(uint32_t pid)
{
        size_t n = 0;
        AUTO_FREE char *text = read_some(pid, "cmdline", ARGS_MAX, &n);

        while (n > 0 && text[n - 1] == '\0')
                n--;
        for (size_t i = 0; i < n; i++)
                text[i] = text[i] ? text[i] : ' ';
        return n > 0 ? xstrndup(text, n) : NULL;
}

static void process_release(struct top_process *p)
{
        free(p->comm);
        free(p->args);
}

/* ---- all of them ---- */

enum place { PLACE_UNKNOWN, PLACE_ASKED, PLACE_INSIDE, PLACE_OUTSIDE };

/* What one look at a process has told. */
struct sight {
        uint32_t pid, ppid;
        uint64_t start_ticks;
        enum place place;
};

struct search {
        const char *which; /* namespace: "pid", or "mnt" where that is shared */
        char ns[NS_MAX];
        size_t depth;
        struct sight *v; /* by pid */
        size_t n, cap;
};

static int by_pid(const void *a, const void *b)
{
        const uint32_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}
_Static_assert(offsetof(struct sight, pid) == 0 && offsetof(struct top_process, hpid) == 0,
               "by_pid() compares what they begin with");

/* Only the numbers: who looked at each process meanwhile might never come to the end of a container that forks all the time. */
static int list_processes(struct search *s, struct err **reterr)
{
        DIR *dir = opendir("/proc");
        struct dirent *e;
        uint32_t pid;

        if (!dir)
                return err_sys(reterr, errno, "read /proc");
        while ((e = readdir(dir))) {
                if (e->d_name[0] < '1' || e->d_name[0] > '9' || parse_u32(e->d_name, &pid) < 0)
                        continue;
                if (s->n == s->cap) {
                        s->cap = MAX((size_t)256, s->cap * 2);
                        s->v = xrealloc(s->v, s->cap, sizeof(*s->v));
                }
                s->v[s->n++] = (struct sight){.pid = pid};
        }
        (void)closedir(dir);
        qsort(s->v, s->n, sizeof(*s->v), by_pid);
        return 0;
}

static void look_at(const struct search *s, struct sight *seen)
{
        struct top_process p = {0};
        char ns[NS_MAX] = "";

        if (!read_stat(seen->pid, &p)) {
                seen->place = PLACE_OUTSIDE;
                return;
        }
        seen->ppid = p.hppid;
        seen->start_ticks = p.start_ticks;
        if (read_ns(seen->pid, s->which, ns) && strcmp(ns, s->ns) == 0)
                seen->place = PLACE_INSIDE;
        process_release(&p);
}

/* Nobody is younger than his child: who is has been given the number of one that ended since we looked at the child. */
static struct sight *parent_of(const struct search *s, const struct sight *child)
{
        struct sight *parent =
            s->n ? bsearch(&child->ppid, s->v, s->n, sizeof(*s->v), by_pid) : NULL;

        return parent && parent->start_ticks <= child->start_ticks ? parent : NULL;
}

/* Also for everyone between @seen and the first of its ancestors whose place is known. */
static void find_place(const struct search *s, struct sight *seen)
{
        struct sight *p = seen;
        enum place place;

        for (; p && p->place == PLACE_UNKNOWN; p = parent_of(s, p))
                p->place = PLACE_ASKED;
        place = p && p->place == PLACE_INSIDE ? PLACE_INSIDE : PLACE_OUTSIDE;
        for (p = seen; p && p->place == PLACE_ASKED; p = parent_of(s, p))
                p->place = place;
}

/* False: it has ended. Its start is read last: if that is what it was, all before it was the same process's. */
static bool read_process(const struct search *s, const struct sight *seen, struct top_process *p)
{
        *p = (struct top_process){.hpid = seen->pid};
        if (!read_status(seen->pid, s->depth, p))
                return false;
        p->args = read_args(seen->pid);
        if (!read_stat(seen->pid, p) || p->start_ticks != seen->start_ticks) {
                process_release(p);
                return false;
        }
        if (!p->args)
                p->args = xasprintf("[%s]", p->comm);
        return true;
}

static void read_processes(struct search *s, struct top *t)
{
        size_t inside = 0;

        for (size_t i = 0; i < s->n; i++)
                look_at(s, &s->v[i]);
        for (size_t i = 0; i < s->n; i++) {
                find_place(s, &s->v[i]);
                inside += s->v[i].place == PLACE_INSIDE;
        }
        t->v = xrealloc(NULL, MAX(inside, (size_t)1), sizeof(*t->v));
        for (size_t i = 0; i < s->n; i++) {
                if (s->v[i].place == PLACE_INSIDE && read_process(s, &s->v[i], &t->v[t->n]))
                        t->n++;
        }
        for (size_t i = 0; i < t->n; i++) {
                const struct top_process *parent =
                    bsearch(&t->v[i].hppid, t->v, t->n, sizeof(*t->v), by_pid);

                t->v[i].ppid = parent ? parent->pid : 0;
        }
}

static int find_processes(uint32_t first, struct top *t, struct err **reterr)
{
        AUTO_FREE char *status = read_some(first, "status", PROC_MAX, NULL);
        struct search s = {.which = "pid"};
        uint32_t in_ns[NESTED_MAX];
        size_t n = status ? numbers_of(status, "NSpid", in_ns, NESTED_MAX) : 0;
        int r;

        /* Who is not the first in its PID namespace shares it. */
        if (n < 2 || in_ns[n - 1] != 1)
                s.which = "mnt";
        s.depth = n > 0 ? n - 1 : 0;
        if (!read_ns(first, s.which, s.ns))
                return err_new(reterr, ERR_BUSY, "it has just ended");
        r = list_processes(&s, reterr);
        if (r >= 0)
                read_processes(&s, t);
        free(s.v);
        return r;
}

/* ---- users ---- */

/* Of the container: it may be any kind of file, of any length. */
static char *read_account_file(int root, const char *path)
{
        AUTO_CLOSE int fd =
            path_open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0, NULL);
        struct stat st;
        size_t n;
        char *text = NULL;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
            io_read_fd(fd, path, ACCOUNTS_MAX, &text, &n, NULL) < 0)
                return NULL;
        return text;
}

static struct top_accounts *read_accounts(uint32_t first)
{
        struct top_accounts *a = xnew(struct top_accounts);
        AUTO_FREE char *path = xasprintf("/proc/%u/root", first);
        AUTO_CLOSE int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        AUTO_FREE char *uid = read_some(first, "uid_map", PROC_MAX, NULL);
        AUTO_FREE char *gid = read_some(first, "gid_map", PROC_MAX, NULL);

        if (uid)
                (void)id_map_parse(uid, &a->uid, NULL);
        if (gid)
                (void)id_map_parse(gid, &a->gid, NULL);
        if (root >= 0) {
                a->passwd = read_account_file(root, "/etc/passwd");
                a->group = read_account_file(root, "/etc/group");
        }
        return a;
}

static char *name_of(const struct id_map *map, const char *file, uint32_t host)
{
        uint32_t id = id_map_to_inside(map, host);
        char *name = id == ID_NONE ? xasprintf("host:%u", host) : accounts_name(file, id);

        return name ? name : xasprintf("%u", id);
}

char *top_user(const struct top *t, uint32_t host_uid)
{
        return name_of(&t->accounts->uid, t->accounts->passwd, host_uid);
}

char *top_group(const struct top *t, uint32_t host_gid)
{
        return name_of(&t->accounts->gid, t->accounts->group, host_gid);
}

uint32_t top_uid(const struct top *t, uint32_t host_uid)
{
        return id_map_to_inside(&t->accounts->uid, host_uid);
}

void top_release(struct top *t)
{
        for (size_t i = 0; i < t->n; i++)
                process_release(&t->v[i]);
        free(t->v);
        if (t->accounts) {
                id_map_release(&t->accounts->uid);
                id_map_release(&t->accounts->gid);
                free(t->accounts->passwd);
                free(t->accounts->group);
                free(t->accounts);
        }
        *t = (struct top){0};
}

int top_read(struct container *c, struct top *ret, struct err **reterr)
{
        AUTO_CLOSE int pidfd = -EBADF;
        int r;

        *ret = (struct top){0};
        if (c->status != CONTAINER_RUNNING && c->status != CONTAINER_PAUSED) {
                r = err_new(reterr, ERR_BUSY, "container '%s' is not running", c->name);
                return err_hint(reterr, r, "'kelp start %s' starts it", c->name);
        }
        pidfd = process_open(&c->process, NULL);
        if (pidfd >= 0) {
                ret->accounts = read_accounts((uint32_t)c->process.pid);
                r = find_processes((uint32_t)c->process.pid, ret, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "container '%s'", c->name);
        }
        /* What was read is another's if the number has been given away meanwhile. */
        if (pidfd < 0 || sys_pidfd_send_signal(pidfd, 0) < 0)
                return err_new(reterr, ERR_BUSY, "container '%s' has just ended", c->name);
        return 0;
}
