/* SPDX-License-Identifier: Apache-2.0 */
/* Maps by newuidmap and newgidmap, the programs that may give an ordinary user his subordinate ids. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/process.h"
#include "base/str.h"
#include "idmap/idmap_internal.h"

#define TOOL_TEXT_MAX 400 /* of its words are quoted */

struct tool {
        const char *name;
        const struct id_map *map;
        char *path;
        int pidfd, output;
};

static int tool_start(struct tool *t, pid_t target, struct err **reterr)
{
        char *const env[] = {(char[]){"LC_ALL=C"}, (char[]){"PATH=/usr/bin:/bin"}, NULL};
        int out[2] = {-EBADF, -EBADF};
        AUTO_STRV argv = {0};
        int r;

        t->path = process_find_program(t->name);
        if (!t->path)
                return err_new(reterr, ERR_UNSUPPORTED, "%s is not installed", t->name);
        strv_add(&argv, t->name);
        strv_addf(&argv, "%d", (int)target);
        for (size_t i = 0; i < t->map->n; i++) {
                strv_addf(&argv, "%u", t->map->v[i].inside);
                strv_addf(&argv, "%u", t->map->v[i].outside);
                strv_addf(&argv, "%u", t->map->v[i].count);
        }
        r = fd_pipe(out, reterr);
        if (r < 0)
                return r;
        t->output = out[0];
        r = process_spawn(
            &(struct process_spawn_opts){
                .path = t->path,
                .argv = argv.v,
                .envp = env,
                .fds = (int[]){-EBADF, out[1], out[1]},
                .n_fds = 3,
                .reset_signals = true,
            },
            NULL, &t->pidfd, reterr);
        (void)fd_close(out[1]);
        return r;
}

/* What the program said, in one line and in printable characters: it goes into a JSON file and to a terminal. */
static void flatten(char *text, size_t n)
{
        while (n > 0 && text[n - 1] == '\n')
                n--;
        text[n] = '\0';
        for (char *p = text; *p; p++)
                if (*p == '\n' || *p == '\t')
                        *p = ' ';
                else if (*p < ' ' || *p > '~')
                        *p = '?';
}

/* The switch that has to be thrown where a mapping program refused; caller owns. */
static char *tool_remedy(const char *tool)
{
        struct statvfs fs;
        struct stat st;
        char cap[64];

        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
                return xstrdup(
                    "no_new_privs is set, so that newuidmap gains no privilege: switch it off "
                    "for this process (NoNewPrivileges= of a systemd unit, "
                    "allowPrivilegeEscalation of a pod)");
        if (statvfs(tool, &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0)
                return xasprintf("%s is on a file system mounted nosuid: mount it without", tool);
        if (stat(tool, &st) == 0 && (st.st_mode & S_ISUID) == 0 &&
            getxattr(tool, "security.capability", cap, sizeof(cap)) < 0)
                return xasprintf("as root: chmod u+s %s", tool);
        return xstrdup(
            "check that the ranges in /etc/subuid and /etc/subgid are this user's, and that the "
            "login group is the one in /etc/passwd (not after newgrp)");
}

static int tool_finish(struct tool *t, struct err **reterr)
{
        AUTO_FREE char *remedy = NULL;
        char text[TOOL_TEXT_MAX + 1];
        ssize_t n = io_read_some(t->output, text, TOOL_TEXT_MAX);
        int status, r;

        /* Before waiting: one that says more than we read would block on its pipe, and we on it. */
        t->output = fd_close(t->output);
        status = process_wait(t->pidfd, reterr);
        if (status <= 0)
                return status;
        flatten(text, n > 0 ? (size_t)n : 0);
        remedy = tool_remedy(t->path);
        r = err_new(reterr, ERR_DENIED, "%s refused: '%s' (exit code %d)", t->name, text, status);
        return err_hint(reterr, r, "%s", remedy);
}

static void tool_release(struct tool *t)
{
        free(t->path);
        (void)fd_close(t->pidfd);
        (void)fd_close(t->output);
}

/* Both at once. Who has no map is left out. */
static int run_tools(pid_t pid, const struct id_map *uids, const struct id_map *gids,
                     struct err **reterr)
{
        AUTO(tool_release)
        struct tool uid = {.name = "newuidmap", .map = uids, .pidfd = -EBADF, .output = -EBADF};
        AUTO(tool_release)
        struct tool gid = {.name = "newgidmap", .map = gids, .pidfd = -EBADF, .output = -EBADF};
        int r = 0, q = 0;

        if (uids)
                r = tool_start(&uid, pid, reterr);
        if (r < 0)
                return r;
        if (gids)
                r = tool_start(&gid, pid, reterr);
        if (uids)
                q = tool_finish(&uid, r < 0 ? NULL : reterr);
        if (r < 0)
                return r;
        if (gids)
                r = tool_finish(&gid, q < 0 ? NULL : reterr);
        return q < 0 ? q : r;
}

/* A mapping program that says it succeeded and did something else would give files to strangers. */
static int verify(pid_t pid, const char *name, const struct id_map *want, struct err **reterr)
{
        AUTO(id_map_release) struct id_map got = {0};
        AUTO_FREE char *text = NULL;
        char path[40];
        int r;

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        r = io_read_file(AT_FDCWD, path, PROC_MAP_MAX, &text, NULL, reterr);
        if (r == 0)
                r = id_map_parse(text, &got, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "%s", path);
        if (!id_map_equal(&got, want))
                return err_new(reterr, ERR_DENIED, "%s is not what was asked for", name);
        return 0;
}

int idmap_verify(pid_t pid, const struct id_map *uid, const struct id_map *gid, struct err **reterr)
{
        int r = uid ? verify(pid, "uid_map", uid, reterr) : 0;

        return r == 0 && gid ? verify(pid, "gid_map", gid, reterr) : r;
}

int idmap_run_tools(pid_t pid, const struct id_map *uid, const struct id_map *gid,
                    struct err **reterr)
{
        int r = run_tools(pid, uid, gid, reterr);

        return r < 0 ? r : idmap_verify(pid, uid, gid, reterr);
}
