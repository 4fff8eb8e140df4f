/* SPDX-License-Identifier: Apache-2.0 */
/* process.c — what create, run and exec have in common around a process that they started. */
#include "base/atomic_file.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "launch/launch.h"
#include "oci/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int oci_check_preserved(uint32_t n, struct err **reterr)
{
        if (n > LAUNCH_PRESERVE_MAX)
                return err_new(reterr, ERR_USAGE, "option '--preserve-fds': more than %d",
                               LAUNCH_PRESERVE_MAX);
        for (uint32_t i = 0; i < n; i++) {
                if (fcntl(OCI_FIRST_PRESERVED + (int)i, F_GETFD) < 0)
                        return err_sys(reterr, errno, "option '--preserve-fds': descriptor %d",
                                       OCI_FIRST_PRESERVED + (int)i);
        }
        return 0;
}

int oci_send_console(const char *path, int terminal, struct err **reterr)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        AUTO_CLOSE int fd = -EBADF;
        int r;

        if (!path)
                return 0;
        if (strlen(path) >= sizeof(addr.sun_path))
                return err_sys(reterr, ENAMETOOLONG, "option '--console-socket': '%s'", path);
        memcpy(addr.sun_path, path, strlen(path));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
                return err_sys(reterr, errno, "option '--console-socket': '%s'", path);
        r = fd_set_nonblock(terminal, false, reterr);
        if (r < 0)
                return r;
        if (fd_send(fd, "/dev/ptmx", strlen("/dev/ptmx"), &terminal, 1) < 0)
                return err_sys(reterr, errno, "option '--console-socket': '%s'", path);
        return 0;
}

/* Digits alone: callers parse them without trimming. */
int oci_write_pid_file(const char *path, pid_t pid, struct err **reterr)
{
        AUTO_FREE char *dir = NULL;
        AUTO_CLOSE int fd = -EBADF;
        char text[16];
        int r, n;

        if (!path)
                return 0;
        dir = path_last(path) == path ? xstrdup(".")
                                      : xstrndup(path, (size_t)(path_last(path) - path));
        n = snprintf(text, sizeof(text), "%d", (int)pid);
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_sys(reterr, errno, "option '--pid-file': '%s'", path);
        r = atomic_file_write(fd, path_last(path), text, (size_t)n, 0644, false, reterr);
        return r < 0 ? err_wrap(reterr, r, "option '--pid-file'") : 0;
}

/* What ends us, and what the kernel sends to who does wrong, is not the container's; all else is. */
static void signals_to_forward(sigset_t *ret)
{
        static const int own[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGTRAP,
                                  SIGSYS,  SIGABRT, SIGPIPE, SIGTTIN, SIGTTOU, SIGTSTP, SIGURG};

        (void)sigfillset(ret);
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                (void)sigdelset(ret, own[i]);
}

void oci_hold_signals(void)
{
        sigset_t forwarded;

        signals_to_forward(&forwarded);
        (void)sigprocmask(SIG_BLOCK, &forwarded, NULL);
}

int oci_await_end(pid_t pid, int pidfd, struct err **reterr)
{
        sigset_t forwarded;

        signals_to_forward(&forwarded);
        for (;;) {
                siginfo_t si = {0};
                int sig;

                if (waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG) < 0)
                        return err_sys(reterr, errno, "wait for process %d", (int)pid);
                if (si.si_pid != 0)
                        return si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
                sig = sigwaitinfo(&forwarded, &si);
                if (sig > 0 && sig != SIGCHLD)
                        (void)sys_pidfd_send_signal(pidfd, sig);
        }
}
