/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- identity ---- */

/*
 * State letter and start time of /proc/PID/stat. The second field is the program's name in parentheses and may itself
 * contain blanks and parentheses: fields are counted from the last one.
 */
static int process_parse_stat(char *text, char *ret_state, uint64_t *ret_start)
{
        char *p = strrchr(text, ')'), *save = NULL;

        if (!p)
                return -EINVAL;
        p = strtok_r(p + 1, " \n", &save);
        if (!p)
                return -EINVAL;
        *ret_state = *p; /* field 3 */
        for (int field = 4; field <= 22; field++) {
                p = strtok_r(NULL, " \n", &save);
                if (!p)
                        return -EINVAL;
        }
        return parse_u64(p, ret_start);
}

/* Without words: the callers know better what a missing process means to them. */
static int process_read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
        AUTO_CLOSE int fd = -EBADF;
        char path[40], text[1024];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = io_read_some(fd, text, sizeof(text) - 1);
        if (n < 0)
                return (int)n;
        text[n] = '\0';
        return process_parse_stat(text, ret_state, ret_start);
}

const char *process_boot_id(void)
{
        /* In tests/lint/globals.allow: it cannot change while we run, and every identity needs it. */
        static char boot_id[37];
        AUTO_CLOSE int fd = -EBADF;

        if (boot_id[0])
                return boot_id;
        fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || io_read_full(fd, boot_id, sizeof(boot_id) - 1) < 0)
                boot_id[0] = '\0';
        return boot_id;
}

int process_identify(pid_t pid, struct process_id *ret, struct err **reterr)
{
        char state;
        int r;

        *ret = (struct process_id){.pid = pid};
        r = process_read_stat(pid, &state, &ret->start_time);
        if (r < 0)
                return err_sys(reterr, -r, "identify process %d", (int)pid);
        memcpy(ret->boot_id, process_boot_id(), strlen(process_boot_id()) + 1);
        return 0;
}

static int process_gone(const struct process_id *id, struct err **reterr)
{
        (void)err_new(reterr, ERR_NOT_FOUND, "process %d is gone", (int)id->pid);
        return -ESRCH;
}

int process_open(const struct process_id *id, struct err **reterr)
{
        AUTO_CLOSE int pidfd = -EBADF;
        uint64_t start = 0;
        char state = 'X';
        int r;

        if (id->pid <= 0 || strcmp(id->boot_id, process_boot_id()) != 0)
                return process_gone(id, reterr);
        pidfd = sys_pidfd_open(id->pid, 0);
        if (pidfd < 0 && pidfd != -ESRCH)
                return err_sys(reterr, -pidfd, "open process %d", (int)id->pid);
        if (pidfd < 0)
                return process_gone(id, reterr);
        r = process_read_stat(id->pid, &state, &start);
        if (r < 0 && r != -ESRCH)
                return err_sys(reterr, -r, "identify process %d", (int)id->pid);
        /*
         * Last, the pidfd: while it answers, its process exists, so that the number was not given away between the two
         * looks and the start time read is that of the pidfd's process.
         */
        if (r < 0 || state == 'Z' || state == 'X' || start != id->start_time ||
            sys_pidfd_send_signal(pidfd, 0) == -ESRCH)
                return process_gone(id, reterr);
        return TAKE_FD(pidfd);
}

/* ---- waiting ---- */

int process_wait(int pidfd, struct err **reterr)
{
        siginfo_t si = {0};
        int r;

        do
                r = waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return err_sys(reterr, errno, "wait for a process");
        return si.si_code == CLD_EXITED ? si.si_status & 255 : 128 + si.si_status;
}

struct capture {
        int fd;
        size_t max;
        struct strbuf text;
};

/* Reads once. 0 at the end or when there is too much, 1 when more may come, or -errno. */
static int capture_read(struct capture *c)
{
        char buf[4096];
        ssize_t n = read(c->fd, buf, sizeof(buf));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 1 : -errno;
        strbuf_add_len(&c->text, buf, (size_t)n);
        return n > 0 && c->text.len <= c->max;
}

static int capture_all(struct capture c[2])
{
        struct pollfd p[2] = {
            {.fd = c[0].fd, .events = POLLIN},
            {.fd = c[1].fd, .events = POLLIN},
        };

        while (p[0].fd >= 0 || p[1].fd >= 0) {
                if (poll(p, 2, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                for (int i = 0; i < 2; i++) {
                        int r = p[i].fd >= 0 && p[i].revents ? capture_read(&c[i]) : 1;

                        if (r < 0)
                                return r;
                        if (r == 0)
                                p[i].fd = -1;
                }
                if (c[0].text.len > c[0].max)
                        return -EFBIG;
        }
        return 0;
}

static int process_run_failed(const char *path, int status, char *said, struct err **reterr)
{
        size_t n = strlen(said);

        while (n > 0 && (said[n - 1] == '\n' || said[n - 1] == ' '))
                said[--n] = '\0';
        if (status > 128)
                return err_new(reterr, ERR_REMOTE, "%s: killed by signal %d%s%s", path_last(path),
                               status - 128, n ? ": " : "", said);
        return err_new(reterr, ERR_REMOTE, "%s: exit code %d%s%s", path_last(path), status,
                       n ? ": " : "", said);
}

/* Starts the program with /dev/null and two pipes, whose reading ends come back in c[]. Returns the pidfd. */
static int process_run_start(const char *path, char *const *argv, struct capture c[2],
                             struct err **reterr)
{
        int out[2] = {-EBADF, -EBADF}, err[2] = {-EBADF, -EBADF}, fds[3], pidfd = -EBADF, r;
        struct process_spawn_opts opts = {
            .path = path,
            .argv = argv,
            .fds = fds,
            .n_fds = ARRAY_SIZE(fds),
            .reset_signals = true,
        };

        r = fd_pipe(out, reterr);
        if (r == 0)
                r = fd_pipe(err, reterr);
        if (r == 0) {
                fds[0] = -EBADF;
                fds[1] = out[1];
                fds[2] = err[1];
                r = process_spawn(&opts, NULL, &pidfd, reterr);
        }
        (void)fd_close(out[1]);
        (void)fd_close(err[1]);
        c[0].fd = out[0];
        c[1].fd = err[0];
        return r < 0 ? r : pidfd;
}

int process_run_capture(const char *path, char *const *argv, size_t max, char **ret_out,
                        struct err **reterr)
{
        struct capture c[2] = {{.fd = -EBADF, .max = max}, {.fd = -EBADF, .max = 4096}};
        AUTO_CLOSE int pidfd = -EBADF;
        int r, status;

        r = pidfd = process_run_start(path, argv, c, reterr);
        if (pidfd < 0)
                goto out;
        r = capture_all(c);
        (void)fd_close(c[0].fd);
        (void)fd_close(c[1].fd);
        c[0].fd = c[1].fd = -EBADF;
        if (r < 0)
                (void)sys_pidfd_send_signal(pidfd, SIGKILL);
        status = process_wait(pidfd, r < 0 ? NULL : reterr);
        if (r < 0)
                (void)err_sys(reterr, -r, "output of %s", path_last(path));
        else if (status < 0)
                r = status;
        else if (status > 0)
                r = process_run_failed(path, status, c[1].text.data ? c[1].text.data : (char[]){""},
                                       reterr);
        else if (ret_out)
                *ret_out = strbuf_take(&c[0].text);
out:
        for (int i = 0; i < 2; i++) {
                (void)fd_close(c[i].fd);
                strbuf_release(&c[i].text);
        }
        return r;
}

/* ---- helper programs ---- */

/* True, and @dir cut to the prefix, when @dir ends in the components of @tail ("bin"), which is relative. */
static bool process_cut_tail(char *dir, const char *tail)
{
        size_t n = strlen(dir), m = strlen(tail);

        if (tail[0] == '/' || n <= m || dir[n - m - 1] != '/' || !str_ends(dir, tail))
                return false;
        dir[n - m - 1] = '\0';
        return true;
}

/* Meson leaves this directory at the top of every build tree, where all our programs are built. */
static bool process_is_build_dir(const char *dir)
{
        AUTO_FREE char *mark = path_join(dir, "meson-private");

        return access(mark, F_OK) == 0;
}

char *process_helper_path(const char *name)
{
        const char *env = getenv("KELP_LIBEXEC");
        char dir[PATH_MAX];
        AUTO_FREE char *installed = path_join(KELP_PREFIX, KELP_LIBEXECDIR);
        ssize_t n;

        if (!str_empty(env))
                return path_join(env, name);
        n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
        if (n <= 0)
                return path_join(installed, name);
        dir[n] = '\0';
        dir[path_last(dir) - dir - 1] = '\0';
        if (process_is_build_dir(dir))
                return path_join(dir, name);
        /* Relative to where we are, so that a whole prefix can be moved. */
        if (process_cut_tail(dir, KELP_LIBEXECDIR) || process_cut_tail(dir, KELP_BINDIR))
                return xasprintf("%s/%s/%s", dir, KELP_LIBEXECDIR, name);
        return path_join(installed, name);
}

/* ---- programs of others ---- */

static bool process_is_program(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *process_find_program(const char *name)
{
        static const char *const always[] = {"/usr/local/bin", "/usr/bin", "/bin"};
        const char *path = getenv("PATH");
        AUTO_STRV parts = {0};

        if (path)
                strv_split(&parts, path, ':');
        for (size_t i = 0; i < ARRAY_SIZE(always); i++)
                strv_add(&parts, always[i]);
        for (size_t i = 0; i < parts.n; i++) {
                AUTO_FREE char *file = path_join(parts.v[i], name);

                /* A relative entry would make the outcome depend on the current directory. */
                if (parts.v[i][0] == '/' && process_is_program(file))
                        return TAKE_PTR(file);
        }
        return NULL;
}
