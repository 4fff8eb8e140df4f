/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect_isolation — what keeps a container apart, property by property: enforced, emulated or absent, and why.
 *
 * Theory of operation: of a running container it is read off its first process (links of /proc/PID/ns, status, mountinfo, limits,
 * maps, cgroup) and compared with ourselves, the host's side; "Observed" says so. What cannot be read, and everything of a container
 * that does not run, is what its description asks for. The process is held by a pidfd, so that its number is still its own after
 * the last file was read.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/sys.h"
#include "container/container_internal.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROC_MAX (4U * 1024 * 1024) /* mountinfo of a container with thousands of mounts */

enum grade { ENFORCED, EMULATED, ABSENT, GRADE_COUNT };

static const struct {
        const char *key, *file;
} namespaces[SPEC_NS_COUNT] = {
    [SPEC_NS_USER] = {"UserNamespace", "user"},       [SPEC_NS_MOUNT] = {"MountNamespace", "mnt"},
    [SPEC_NS_PID] = {"PidNamespace", "pid"},          [SPEC_NS_NET] = {"NetworkNamespace", "net"},
    [SPEC_NS_IPC] = {"IpcNamespace", "ipc"},          [SPEC_NS_UTS] = {"UtsNamespace", "uts"},
    [SPEC_NS_CGROUP] = {"CgroupNamespace", "cgroup"}, [SPEC_NS_TIME] = {"TimeNamespace", "time"},
};

/* One side: a process's files, NULL where they cannot be read. */
struct side {
        char *status, *cgroup, *mountinfo, *limits, *uid_map, *gid_map, *label;
        char ns[SPEC_NS_COUNT][64]; /* "pid:[4026531836]"; "" unknown */
};
struct look {
        const struct container *c;
        const struct spec *s;
        struct json_at host; /* HostConfig */
        struct json_object *out;
        struct side it, us;
};

/* ---- facts ---- */

static char *read_proc(const char *process, const char *name)
{
        AUTO_FREE char *path = xasprintf("/proc/%s/%s", process, name);
        char *text = NULL;

        return io_read_file(AT_FDCWD, path, PROC_MAX, &text, NULL, NULL) < 0 ? NULL : text;
}

static void side_read(struct side *s, const char *process)
{
        s->status = read_proc(process, "status");
        s->cgroup = read_proc(process, "cgroup");
        s->mountinfo = read_proc(process, "mountinfo");
        s->limits = read_proc(process, "limits");
        s->uid_map = read_proc(process, "uid_map");
        s->gid_map = read_proc(process, "gid_map");
        s->label = read_proc(process, "attr/current");
        for (size_t i = 0; i < SPEC_NS_COUNT; i++) {
                AUTO_FREE char *path = xasprintf("/proc/%s/ns/%s", process, namespaces[i].file);
                ssize_t n = readlink(path, s->ns[i], sizeof(s->ns[i]) - 1);

                s->ns[i][n > 0 ? n : 0] = '\0';
        }
}

static void side_release(struct side *s)
{
        char **all[] = {&s->status,  &s->cgroup,  &s->mountinfo, &s->limits,
                        &s->uid_map, &s->gid_map, &s->label};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                free(TAKE_PTR(*all[i]));
        memset(s->ns, 0, sizeof(s->ns));
}

static void look_at_process(struct look *l)
{
        AUTO_CLOSE int pidfd = -EBADF;
        AUTO_FREE char *pid = xasprintf("%d", (int)l->c->process.pid);

        if (l->c->status != CONTAINER_RUNNING && l->c->status != CONTAINER_PAUSED)
                return;
        pidfd = process_open(&l->c->process, NULL);
        if (pidfd < 0)
                return;
        side_read(&l->it, pid);
        if (sys_pidfd_send_signal(pidfd, 0) < 0)
                side_release(&l->it); /* whose they were, nobody knows */
}

/* The value behind "Name:" at the beginning of a line; NULL: it has none. Caller owns. */
static char *field(const char *text, const char *name)
{
        size_t n = strlen(name);

        for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
                const char *v;

                if (strncmp(p, name, n) != 0 || p[n] != ':')
                        continue;
                v = p + n + 1 + strspn(p + n + 1, " \t");
                return xstrndup(v, strcspn(v, "\n"));
        }
        return NULL;
}

static bool number_field(const char *text, const char *name, uint64_t *ret)
{
        AUTO_FREE char *v = text ? field(text, name) : NULL;

        return v && parse_u64(v, ret) == 0;
}

/* At blanks, up to the end of the line. */
static void split_words(struct strv *to, const char *line)
{
        size_t n;

        for (line += strspn(line, " "); (n = strcspn(line, " \n")); line += strspn(line, " ")) {
                strv_add_take(to, xstrndup(line, n));
                line += n;
        }
}

/* ---- saying it ---- */

static struct json_object *PRINTF_LIKE(3, 4)
    verdict(enum grade grade, bool observed, const char *fmt, ...)
{
        static const char *const words[GRADE_COUNT] = {
            [ENFORCED] = "enforced", [EMULATED] = "emulated", [ABSENT] = "absent"};
        struct json_object *o = json_object_new_object();
        AUTO_STRBUF b = {0};
        va_list ap;

        va_start(ap, fmt);
        strbuf_addv(&b, fmt, ap);
        va_end(ap);
        json_add_string(o, "State", words[grade]);
        json_add_string(o, "Reason", b.data);
        json_add_bool(o, "Observed", observed);
        return o;
}

static void add(struct json_object *to, const char *key, struct json_object *v)
{
        (void)json_object_object_add(to, key, v);
}

/* ---- namespaces and ids ---- */

/* The container whose namespace it has joined; "": none. */
static const char *joined(const struct look *l, enum spec_ns ns, char buf[13])
{
        struct json_at root = json_root(l->c->config, CONFIG_FILE);
        AUTO_STRV joins = {0};

        buf[0] = '\0';
        (void)json_opt_strv(&root, "Joins", &joins, NULL);
        for (size_t i = 0; i < joins.n; i++) {
                if (joins.v[i][0] - '0' == (int)ns && joins.v[i][1] == ':')
                        (void)snprintf(buf, 13, "%s", joins.v[i] + 2);
        }
        return buf;
}

static void add_namespace(struct look *l, enum spec_ns ns)
{
        bool live = l->it.ns[ns][0] && l->us.ns[ns][0];
        bool asked = l->s->ns[ns].enabled;
        /* Without one of its own it is in the user's namespace for all his containers, which is not the host's either. */
        bool apart = live ? strcmp(l->it.ns[ns], l->us.ns[ns]) != 0 : asked || ns == SPEC_NS_USER;
        const char *key = namespaces[ns].key;
        char other[13];

        if (!apart && ns == SPEC_NS_TIME)
                add(l->out, key,
                    verdict(ABSENT, live, "its clocks are the host's: Kelp makes none of its own"));
        else if (!apart)
                add(l->out, key, verdict(ABSENT, live, "shared with the host, as was asked for"));
        else if (*joined(l, ns, other))
                add(l->out, key,
                    verdict(ENFORCED, live, "not the host's: that of container %s", other));
        else if (l->s->ns[ns].path)
                add(l->out, key, verdict(ENFORCED, live, "not the host's: %s", l->s->ns[ns].path));
        else if (!asked)
                add(l->out, key,
                    verdict(ENFORCED, live,
                            "not the host's, but shared by all containers of this user that have "
                            "none of their own"));
        else
                add(l->out, key, verdict(ENFORCED, live, "its own"));
}

/* How many ids, and what root is outside; *ret_root stays when there is no root. */
static uint64_t count_ids(const char *map, uint64_t *ret_root)
{
        AUTO_STRV lines = {0};
        uint64_t inside, outside, count, sum = 0;

        strv_split(&lines, map, '\n');
        for (size_t i = 0; i < lines.n; i++) {
                AUTO_STRV w = {0};

                split_words(&w, lines.v[i]);
                if (w.n != 3 || parse_u64(w.v[0], &inside) < 0 || parse_u64(w.v[1], &outside) < 0 ||
                    parse_u64(w.v[2], &count) < 0)
                        continue;
                sum += count;
                if (inside == 0)
                        *ret_root = outside;
        }
        return sum;
}

static uint64_t count_asked(const struct id_map *m)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < m->n; i++)
                sum += m->v[i].count;
        return sum;
}

static void add_ids(struct look *l)
{
        bool live = l->it.uid_map && l->it.gid_map;
        uint64_t root = UINT64_MAX, uids, gids, ignored = 0;
        AUTO_FREE char *as = NULL;

        uids = live ? count_ids(l->it.uid_map, &root) : count_asked(&l->s->uid_map);
        gids = live ? count_ids(l->it.gid_map, &ignored) : count_asked(&l->s->gid_map);
        as = root == UINT64_MAX
                 ? xstrdup("")
                 : xasprintf("; root is user %llu outside", (unsigned long long)root);
        if (l->s->rootless_one_id || (live && uids == 1))
                add(l->out, "Ids",
                    verdict(EMULATED, live,
                            "one user id, since the caller has no subordinate ids or asked for "
                            "one%s: other users do not exist inside",
                            as));
        else if (uids == 0)
                add(l->out, "Ids",
                    verdict(ENFORCED, live, "those of the user's namespace for containers"));
        else
                add(l->out, "Ids",
                    verdict(ENFORCED, live, "%llu user ids and %llu group ids%s",
                            (unsigned long long)uids, (unsigned long long)gids, as));
}

/* ---- privileges ---- */

static unsigned bits_of_hex(const char *hex)
{
        unsigned n = 0;

        for (; *hex; hex++) {
                const char digits[] = "0123456789abcdef", *d = strchr(digits, *hex);

                n += d ? (unsigned)__builtin_popcount((unsigned)(d - digits)) : 0;
        }
        return n;
}

static void add_capabilities(struct look *l)
{
        AUTO_FREE char *last = read_proc("sys/kernel", "cap_last_cap");
        AUTO_FREE char *bounding = l->it.status ? field(l->it.status, "CapBnd") : NULL;
        unsigned n = bounding ? bits_of_hex(bounding)
                              : (unsigned)__builtin_popcountll(l->s->process.cap_bounding);
        uint64_t all = 40;

        if (last) {
                last[strcspn(last, "\n")] = '\0';
                (void)parse_u64(last, &all);
        }
        if (n > all)
                add(l->out, "Capabilities",
                    verdict(ABSENT, bounding,
                            "all of them; none counts outside its own namespaces"));
        else
                add(l->out, "Capabilities",
                    verdict(ENFORCED, bounding,
                            "at most %u of %u; none counts outside its own namespaces", n,
                            (unsigned)all + 1));
}

static void add_no_new_privs(struct look *l)
{
        uint64_t on = l->s->process.no_new_privileges;
        bool live = number_field(l->it.status, "NoNewPrivs", &on);

        if (on)
                add(l->out, "NoNewPrivileges",
                    verdict(ENFORCED, live, "no program gains privileges by being executed"));
        else
                add(l->out, "NoNewPrivileges",
                    verdict(ABSENT, live,
                            "setuid programs work, with ids of the container: the image holds "
                            "such, or it was asked for"));
}

static void add_seccomp(struct look *l)
{
        static const char *const profiles[SPEC_SECCOMP_COUNT] = {
            [SPEC_SECCOMP_DEFAULT] = "the default profile",
            [SPEC_SECCOMP_UNCONFINED] = "",
        };
        const struct spec *s = l->s;
        uint64_t theirs = 0, ours = 0;
        /* A filter of our own session, as inside another container, is inherited and none that the container was given. */
        bool live = number_field(l->it.status, "Seccomp_filters", &theirs) &&
                    number_field(l->us.status, "Seccomp_filters", &ours);
        bool on = live ? theirs > ours : s->seccomp != SPEC_SECCOMP_UNCONFINED;

        if (!on)
                add(l->out, "Seccomp",
                    verdict(ABSENT, live, "unconfined%s",
                            ours > 0 ? "; the filter under which Kelp itself runs holds" : ""));
        else
                add(l->out, "Seccomp",
                    verdict(ENFORCED, live, "%s",
                            s->seccomp_file ? s->seccomp_file : profiles[s->seccomp]));
}

static void add_labels(struct look *l)
{
        const char *label = l->it.label ? l->it.label : "";
        int n = (int)strcspn(label, "\n");

        add(l->out, "SecurityLabels",
            verdict(ABSENT, n > 0, "SELinux labels and AppArmor profiles are root's to set%s%.*s",
                    n > 0 ? "; it has the caller's: " : "", n, label));
}

/* ---- files ---- */

/* The last mount on @path: its options ("ro,nosuid") and kind of file system. False: nothing is mounted there. */
static bool find_mount(const char *mountinfo, const char *path, char **ret_options, char **ret_type)
{
        AUTO_STRV lines = {0};
        bool found = false;

        strv_split(&lines, mountinfo, '\n');
        for (size_t i = lines.n; i > 0 && !found; i--) {
                AUTO_STRV f = {0};
                size_t dash = 6;

                strv_split(&f, lines.v[i - 1], ' ');
                if (f.n < 10 || strcmp(f.v[4], path) != 0)
                        continue;
                while (dash < f.n && strcmp(f.v[dash], "-") != 0)
                        dash++;
                found = true;
                if (ret_options)
                        *ret_options = xstrdup(f.v[5]);
                if (ret_type)
                        *ret_type = xstrdup(dash + 1 < f.n ? f.v[dash + 1] : "");
        }
        return found;
}

static void add_paths(struct look *l, const char *key, const struct strv *paths, const char *how)
{
        bool live = l->it.mountinfo;
        size_t n = live ? 0 : paths->n;

        for (size_t i = 0; i < paths->n && live; i++)
                n += find_mount(l->it.mountinfo, paths->v[i], NULL, NULL);
        if (n == 0)
                add(l->out, key,
                    verdict(ABSENT, live, "%s",
                            paths->n > 0 ? "this kernel has none of the paths"
                                         : "--privileged or --security-opt has lifted it"));
        else
                add(l->out, key,
                    verdict(ENFORCED, live, "%zu %s%s", n, how,
                            n < paths->n ? "; this kernel does not have the others" : ""));
}

static void add_root(struct look *l)
{
        AUTO_FREE char *options = NULL, *type = NULL;
        bool live = l->it.mountinfo && find_mount(l->it.mountinfo, "/", &options, &type);
        bool ro = live ? strncmp(options, "ro", 2) == 0 : l->s->root_readonly;
        const char *driver = l->s->storage_driver ? l->s->storage_driver : "";

        if (ro)
                add(l->out, "ReadOnlyRoot", verdict(ENFORCED, live, "only mounts can be written"));
        else
                add(l->out, "ReadOnlyRoot", verdict(ABSENT, live, "--read-only was not given"));
        if (live ? strcmp(type, "overlay") == 0 : strcmp(driver, "overlay") == 0)
                add(l->out, "Storage",
                    verdict(ENFORCED, live,
                            "overlay: the kernel keeps what it writes apart from the image"));
        else if (live ? str_starts(type, "fuse") : strcmp(driver, "fuse-overlayfs") == 0)
                add(l->out, "Storage",
                    verdict(EMULATED, live,
                            "fuse-overlayfs: a program of the user's keeps what it writes apart "
                            "from the image"));
        else if (strcmp(driver, "copy") == 0)
                add(l->out, "Storage",
                    verdict(EMULATED, live,
                            "copy: it has a copy of all of the image's files to itself"));
        else
                add(l->out, "Storage",
                    verdict(ABSENT, live, "--rootfs: it writes to the directory itself"));
}

static void add_devices(struct look *l)
{
        if (l->s->privileged)
                add(l->out, "Devices",
                    verdict(ABSENT, false, "every device that the caller may open"));
        else if (l->s->n_devices > 0)
                add(l->out, "Devices",
                    verdict(EMULATED, false,
                            "%zu of the host's, which their files' modes guard: the device cgroup "
                            "is root's",
                            l->s->n_devices));
        else
                add(l->out, "Devices",
                    verdict(ENFORCED, false,
                            "a /dev of its own with the harmless ones; the kernel lets it make "
                            "none"));
}

static void add_terminal(struct look *l)
{
        struct json_at log = json_key(&l->host, "LogConfig");
        const char *driver = "";

        if (log.obj)
                (void)json_opt_string(&log, "Type", &driver, NULL);
        if (driver && strcmp(driver, "passthrough") == 0)
                add(l->out, "Terminal",
                    verdict(ABSENT, false,
                            "passthrough: it has the caller's descriptors, of which none is a "
                            "terminal"));
        else if (l->s->process.terminal)
                add(l->out, "Terminal",
                    verdict(ENFORCED, false,
                            "a terminal of its own: the monitor passes on what is typed and "
                            "shown"));
        else
                add(l->out, "Terminal",
                    verdict(ENFORCED, false, "none: its streams are pipes to the monitor"));
}

/* ---- limits ---- */

static const struct {
        const char *name, *row;
} ulimits[] = {
    {"core", "Max core file size"},     {"cpu", "Max cpu time"},
    {"data", "Max data size"},          {"fsize", "Max file size"},
    {"locks", "Max file locks"},        {"memlock", "Max locked memory"},
    {"msgqueue", "Max msgqueue size"},  {"nice", "Max nice priority"},
    {"nofile", "Max open files"},       {"nproc", "Max processes"},
    {"rss", "Max resident set"},        {"rtprio", "Max realtime priority"},
    {"rttime", "Max realtime timeout"}, {"sigpending", "Max pending signals"},
    {"stack", "Max stack size"},        {"as", "Max address space"},
};

/* The hard limit that the process has, UINT64_MAX when it has none; false: unknown. */
static bool limit_of(const char *limits, const char *name, uint64_t *ret)
{
        AUTO_STRV w = {0};

        for (size_t i = 0; i < ARRAY_SIZE(ulimits); i++) {
                const char *row =
                    strcmp(ulimits[i].name, name) == 0 ? strstr(limits, ulimits[i].row) : NULL;

                if (row)
                        split_words(&w, row + strlen(ulimits[i].row));
        }
        if (w.n < 2)
                return false;
        *ret = UINT64_MAX;
        return strcmp(w.v[1], "unlimited") == 0 || parse_u64(w.v[1], ret) == 0;
}

static void add_ulimit(struct look *l, struct json_object *to, const struct json_at *asked)
{
        const char *name = NULL;
        int64_t hard = -1, soft = -1;
        uint64_t now = 0;
        bool live;

        if (json_opt_string(asked, "Name", &name, NULL) < 0 || !name ||
            json_opt_i64(asked, "Hard", &hard, NULL) < 0 ||
            json_opt_i64(asked, "Soft", &soft, NULL) < 0)
                return;
        live = l->it.limits && limit_of(l->it.limits, name, &now);
        if (live && now > (uint64_t)hard)
                add(to, name,
                    verdict(ABSENT, true, "%lld was asked for, but the process has %llu",
                            (long long)hard, (unsigned long long)now));
        else
                add(to, name,
                    verdict(ENFORCED, live, "soft %lld, hard %lld", (long long)soft,
                            (long long)hard));
}

/* The path of the unified hierarchy: "0::/user.slice/…". */
static char *cgroup_path(const char *text)
{
        const char *p = text ? strstr(text, "0::/") : NULL;

        return p && (p == text || p[-1] == '\n') ? xstrndup(p + 3, strcspn(p + 3, "\n")) : NULL;
}

static void add_cgroup_limit(struct look *l, struct json_object *to, const char *key,
                             const char *asked_as, const char *file)
{
        AUTO_FREE char *it = cgroup_path(l->it.cgroup), *us = cgroup_path(l->us.cgroup);
        AUTO_FREE char *path = it ? xasprintf("/sys/fs/cgroup%s/%s", it, file) : NULL;
        AUTO_FREE char *value = NULL;
        int64_t asked = 0;
        bool own = it && us && strcmp(it, us) != 0;

        (void)json_opt_i64(&l->host, asked_as, &asked, NULL);
        if (own && io_read_file(AT_FDCWD, path, 256, &value, NULL, NULL) >= 0)
                value[strcspn(value, "\n")] = '\0';
        if (value && !str_starts(value, "max"))
                add(to, key, verdict(ENFORCED, true, "%s is %s", file, value));
        else if (asked <= 0)
                add(to, key, verdict(ABSENT, it, "none was asked for"));
        else if (it)
                add(to, key,
                    verdict(ABSENT, true, "%lld was asked for, but its cgroup has no %s",
                            (long long)asked, file));
        else
                add(to, key, verdict(ENFORCED, false, "%lld", (long long)asked));
}

static void add_limits(struct look *l)
{
        struct json_object *to = json_object(l->out, "Limits");
        struct json_at list = json_key(&l->host, "Ulimits");
        size_t n = 0;

        add_cgroup_limit(l, to, "memory", "Memory", "memory.max");
        add_cgroup_limit(l, to, "cpu", "NanoCpus", "cpu.max");
        add_cgroup_limit(l, to, "pids", "PidsLimit", "pids.max");
        if (list.obj && json_want_array(&list, 64, &n, NULL) < 0)
                n = 0;
        for (size_t i = 0; i < n; i++) {
                struct json_at asked = json_elem(&list, i);

                add_ulimit(l, to, &asked);
        }
}

struct json_object *inspect_isolation(const struct container *c, const struct spec *s)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct look l = {
            .c = c, .s = s, .host = container_host_config(&root), .out = json_object_new_object()};

        look_at_process(&l);
        side_read(&l.us, "self");
        for (size_t i = 0; i < SPEC_NS_COUNT; i++)
                add_namespace(&l, (enum spec_ns)i);
        add_ids(&l);
        add_capabilities(&l);
        add_no_new_privs(&l);
        add_seccomp(&l);
        add(l.out, "Landlock",
            verdict(ABSENT, false,
                    "the namespaces hold nothing that it could take away, and it would forbid "
                    "mounts inside"));
        add_labels(&l);
        add_paths(&l, "MaskedPaths", &s->masked_paths, "paths are covered");
        add_paths(&l, "ReadonlyPaths", &s->readonly_paths, "paths are read-only");
        add_root(&l);
        add_devices(&l);
        add_terminal(&l);
        add_limits(&l);
        side_release(&l.it);
        side_release(&l.us);
        return l.out;
}
