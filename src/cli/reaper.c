/* SPDX-License-Identifier: Apache-2.0 */
/* reaper — see reaper.h. */
#include "cli/reaper.h"

#include "base/alloc.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONF_MAX (256U * 1024)

/* ---- logind's configuration (logind.conf(5)) ---- */

struct logind {
        int kill; /* KillUserProcesses: -1 unknown */
        char *only, *exclude;
};

static char *read_at(const struct reaper_host *h, const char *path)
{
        AUTO_FREE char *full = xasprintf("%s%s", h->root, path);
        char *text = NULL;

        (void)io_read_file(AT_FDCWD, full, CONF_MAX, &text, NULL, NULL);
        return text;
}

static int parse_bool(const char *s)
{
        static const char *const yes[] = {"yes", "true", "on", "1"};

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (strcasecmp(s, yes[i]) == 0)
                        return 1;
        }
        return 0;
}

static void set(char **to, const char *value)
{
        free(*to);
        *to = xstrdup(value);
}

/* The main file is installed with the defaults that logind was built with, commented out: that is where they can be read. */
static void parse_conf(struct logind *l, char *text, bool defaults)
{
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *p = line;

                if (*p == '#' && defaults)
                        p++;
                if (str_starts(p, "KillUserProcesses="))
                        l->kill = parse_bool(p + strlen("KillUserProcesses="));
                else if (str_starts(line, "KillOnlyUsers="))
                        set(&l->only, line + strlen("KillOnlyUsers="));
                else if (str_starts(line, "KillExcludeUsers="))
                        set(&l->exclude, line + strlen("KillExcludeUsers="));
        }
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static void parse_directory(const struct reaper_host *h, struct logind *l, const char *dir)
{
        AUTO_FREE char *full = xasprintf("%s%s", h->root, dir);
        struct dirent **entries = NULL;
        int n = scandir(full, &entries, NULL, by_name);

        for (int i = 0; i < n; i++) {
                AUTO_FREE char *path = xasprintf("%s/%s", dir, entries[i]->d_name), *text = NULL;

                if (str_ends(entries[i]->d_name, ".conf"))
                        text = read_at(h, path);
                if (text)
                        parse_conf(l, text, false);
                free(entries[i]);
        }
        free(entries);
}

static bool in_list(const char *list, const char *user)
{
        size_t len = strlen(user);

        for (const char *p = list; p && (p = strstr(p, user)); p += len) {
                if ((p == list || p[-1] == ' ') && (p[len] == '\0' || p[len] == ' '))
                        return true;
        }
        return false;
}

/* Files that are read later win: those in /etc, and in a directory those with later names. */
static bool sessions_are_reaped(const struct reaper_host *h, const char *user)
{
        static const char *const directories[] = {
            "/usr/lib/systemd/logind.conf.d", "/usr/local/lib/systemd/logind.conf.d",
            "/run/systemd/logind.conf.d", "/etc/systemd/logind.conf.d"};
        static const char *const files[] = {"/usr/lib/systemd/logind.conf",
                                            "/etc/systemd/logind.conf"};
        struct logind l = {.kill = -1};
        bool reaped;

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                AUTO_FREE char *text = read_at(h, files[i]);

                if (text)
                        parse_conf(&l, text, true);
        }
        for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
                parse_directory(h, &l, directories[i]);
        reaped = l.kill == 1 && !in_list(l.exclude, user) &&
                 (str_empty(l.only) || in_list(l.only, user));
        free(l.only);
        free(l.exclude);
        return reaped;
}

/* ---- where we are ---- */

static bool exists(const struct reaper_host *h, const char *path)
{
        AUTO_FREE char *full = xasprintf("%s%s", h->root, path);

        return access(full, F_OK) == 0;
}

/* By logind's record of the user: it knows those that no file of ours lists. */
static char *user_name(const struct reaper_host *h)
{
        AUTO_FREE char *path = xasprintf("/run/systemd/users/%u", (unsigned)h->uid);
        AUTO_FREE char *text = read_at(h, path);
        AUTO_STRV lines = {0};

        strv_split(&lines, text ? text : "", '\n');
        for (size_t i = 0; i < lines.n; i++) {
                if (str_starts(lines.v[i], "NAME="))
                        return xstrdup(lines.v[i] + strlen("NAME="));
        }
        return NULL;
}

static bool lingers(const struct reaper_host *h, const char *user)
{
        AUTO_FREE char *path = xasprintf("/var/lib/systemd/linger/%s", user);

        return exists(h, path);
}

/* "…/user.slice/user-1000.slice/session-3.scope…" */
static bool in_session_scope(const char *cgroup)
{
        const char *p = strstr(cgroup, "/session-"), *end;

        if (!p)
                return false;
        end = strpbrk(p + 1, "/\n");
        return str_starts(end ? end - strlen(".scope") : p + strlen(p) - strlen(".scope"),
                          ".scope");
}

static bool in_user_manager(const char *cgroup, uid_t uid)
{
        AUTO_FREE char *unit = xasprintf("/user@%u.service/", (unsigned)uid);

        return strstr(cgroup, unit) != NULL;
}

char *reaper_warning_of(const struct reaper_host *h)
{
        AUTO_FREE char *user = user_name(h);

        if (!user || !path_is_clean_name(user))
                return NULL;
        if (in_session_scope(h->cgroup) && sessions_are_reaped(h, user))
                return xasprintf(
                    "it will be killed at the end of this login session (KillUserProcesses=yes in "
                    "logind.conf); with '%ssystemd-run --user --scope kelp run -d …' it goes on",
                    lingers(h, user) ? "" : "loginctl enable-linger && ");
        if (in_user_manager(h->cgroup, h->uid) && !lingers(h, user))
                return xasprintf("it will be killed at the end of your last login session; with "
                                 "'loginctl enable-linger' it goes on");
        return NULL;
}

char *reaper_warning(void)
{
        AUTO_FREE char *cgroup = NULL;
        struct reaper_host h = {.root = "", .uid = getuid()};

        if (!exists(&h, "/run/systemd/users") ||
            io_read_file(AT_FDCWD, "/proc/self/cgroup", CONF_MAX, &cgroup, NULL, NULL) < 0)
                return NULL;
        h.cgroup = cgroup;
        return reaper_warning_of(&h);
}
