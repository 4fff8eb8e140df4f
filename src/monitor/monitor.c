/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/monitor.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/sys.h"
#include "launch/launch.h"
#include "monitor/protocol.h"
#include "monitor/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELPER_PATIENCE_MS 2000
#define SESSION_ROUNDS     3
#define LEFTOVER_ROUNDS    400 /* × 5 ms: how long killed processes may take to go */

int streams_open(struct streams *s, bool with_input, struct err **reterr)
{
        for (int i = with_input ? 0 : 1; i < 3; i++) {
                int fds[2], r = fd_pipe(fds, reterr);

                if (r < 0)
                        return r;
                s->child[i] = fds[i == 0 ? 0 : 1];
                s->parent[i] = fds[i == 0 ? 1 : 0];
        }
        return 0;
}

void streams_close(struct streams *s)
{
        for (int i = 0; i < 3; i++) {
                s->child[i] = fd_close(s->child[i]);
                s->parent[i] = fd_close(s->parent[i]);
        }
}

int streams_give(struct streams *s, struct session *session, struct launched *p,
                 struct err **reterr)
{
        for (int i = 0; i < 3; i++)
                s->child[i] = fd_close(s->child[i]);
        if (p->terminal >= 0)
                return session_set_terminal_take(session, TAKE_FD(p->terminal), TAKE_FD(p->keeper),
                                                 reterr);
        return session_set_pipes_take(session, TAKE_FD(s->parent[0]), TAKE_FD(s->parent[1]),
                                      TAKE_FD(s->parent[2]), reterr);
}

int streams_connect(struct streams *s, struct session *session, struct launched *p,
                    struct err **reterr)
{
        struct stat st;
        int r = 0;

        /* The client first, so that no byte of output passes it by. */
        if (fstat(MONITOR_FD_ATTACH, &st) == 0 && S_ISSOCK(st.st_mode))
                r = session_add_client_take(session, MONITOR_FD_ATTACH, true, reterr);
        else
                (void)fd_close(MONITOR_FD_ATTACH);
        return r < 0 ? r : streams_give(s, session, p, reterr);
}

int monitor_exit_code(int status)
{
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void monitor_end_helper(struct launched *p)
{
        struct pollfd poll_fd = {.fd = p->helper_pidfd, .events = POLLIN};

        if (p->helper <= 0)
                return;
        /* Asked first: it then unmounts, and leaves no work directory half-used. */
        (void)sys_pidfd_send_signal(p->helper_pidfd, SIGTERM);
        if (poll(&poll_fd, 1, HELPER_PATIENCE_MS) <= 0)
                (void)sys_pidfd_send_signal(p->helper_pidfd, SIGKILL);
        (void)waitpid(p->helper, NULL, 0);
        p->helper = 0;
        p->helper_pidfd = fd_close(p->helper_pidfd);
}

/* One round of SIGKILL. How many children there were. */
static size_t kill_round(void)
{
        AUTO_CLOSE int fd = -EBADF;
        char path[64], text[4096];
        char *save = NULL;
        size_t n = 0;
        ssize_t len;

        (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
        fd = open(path, O_RDONLY | O_CLOEXEC);
        len = fd < 0 ? -1 : io_read_some(fd, text, sizeof(text) - 1);
        if (len <= 0)
                return 0;
        text[len] = 0;
        for (char *p = strtok_r(text, " \n", &save); p; p = strtok_r(NULL, " \n", &save)) {
                uint32_t pid;

                if (parse_u32(p, &pid) < 0)
                        continue;
                (void)kill((pid_t)pid, SIGKILL);
                n++;
        }
        return n;
}

struct process_place {
        pid_t pid, parent, session;
        bool wanted;
};

/* "pid (name) state ppid pgrp session …": the name may hold anything, but its ")" is the last. */
static bool place_read(const char *pid_text, struct process_place *ret)
{
        char path[32], text[512];
        AUTO_CLOSE int fd = -EBADF;
        AUTO_STRV fields = {0};
        uint32_t pid, parent, session;
        ssize_t n;
        char *p;

        if (parse_u32(pid_text, &pid) < 0)
                return false;
        (void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : io_read_some(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return false;
        text[n] = 0;
        p = strrchr(text, ')');
        if (!p || strlen(p) < 3)
                return false;
        strv_split(&fields, p + 2, ' ');
        if (fields.n < 4 || parse_u32(fields.v[1], &parent) < 0 ||
            parse_u32(fields.v[3], &session) < 0)
                return false;
        *ret = (struct process_place){(pid_t)pid, (pid_t)parent, (pid_t)session, false};
        return true;
}

static struct process_place *places_read(size_t *ret_n)
{
        struct process_place *v = NULL, place;
        DIR *dir = opendir("/proc");
        size_t n = 0;

        for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
                if (!place_read(e->d_name, &place))
                        continue;
                v = xrealloc(v, n + 1, sizeof(*v));
                v[n++] = place;
        }
        if (dir)
                (void)closedir(dir);
        *ret_n = n;
        return v;
}

static bool place_wanted(const struct process_place *v, size_t n, const struct process_place *p,
                         pid_t pid)
{
        if (p->pid == pid || p->session == pid)
                return true;
        for (size_t i = 0; i < n; i++) {
                if (v[i].wanted && v[i].pid == p->parent)
                        return true;
        }
        return false;
}

void monitor_kill_session(pid_t pid)
{
        /* Again, since one of them may have been about to fork. Our child stays a zombie meanwhile, and so its number its own. */
        for (int round = 0; round < SESSION_ROUNDS; round++) {
                size_t n, killed = 0;
                bool more = true;
                AUTO_FREE struct process_place *v = places_read(&n);

                while (more) {
                        more = false;
                        for (size_t i = 0; i < n; i++) {
                                if (v[i].wanted || !place_wanted(v, n, &v[i], pid))
                                        continue;
                                v[i].wanted = more = true;
                                killed += kill(v[i].pid, SIGKILL) == 0 && v[i].pid != pid;
                        }
                }
                if (killed == 0)
                        break;
        }
}

void monitor_kill_children(void)
{
        const struct timespec patience = {.tv_nsec = 5000000};
        sigset_t child;

        (void)sigemptyset(&child);
        (void)sigaddset(&child, SIGCHLD);
        /* The children of those that die become ours: again until there are none. One that cannot die (it hangs in the kernel)
         * must not keep us for ever. */
        for (int i = 0; i < LEFTOVER_ROUNDS && kill_round() > 0; i++) {
                (void)sigtimedwait(&child, NULL, &patience);
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
        }
}
