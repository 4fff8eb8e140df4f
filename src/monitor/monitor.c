/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/monitor.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/sys.h"
#include "launch/launch.h"
#include "monitor/protocol.h"
#include "monitor/session.h"

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
