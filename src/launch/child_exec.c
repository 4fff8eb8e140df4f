/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last step. Two programs may stand between us and the command:
 *
 * kelp-init, when the user asked for it (--init). It is executed from a descriptor of a read-only mount, so the image needs no
 * place for it, and nothing in the container can write to it.
 *
 * kelp-init again, as a mere springboard ("--exec"), when our own program file could be changed by the container's root, as
 * with an installation in the user's home: root of the container is the caller. The image can name /proc/self/exe as the
 * command, or as the interpreter of a script; whoever then looks at /proc/PID/exe from inside gets a descriptor of our program, and writes to
 * it. With the springboard in between, /proc/self/exe is a file on a read-only mount at that moment. Of a file that
 * root owns nobody can take advantage, so the usual installation pays nothing.
 */
#include "base/sys.h"
#include "launch/launch_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A read-only mount of kelp-init's file. Works while the host's files are in sight and we may mount. */
int child_open_init(struct child *c)
{
        const char *path = c->plan->init_path;
        int fd, r;

        if (!path || c->init_fd >= 0)
                return 0;
        child_note_set(c->note, path);
        if (!c->plan->rootfs) {
                /* For a further process: a mount namespace of ours, to be left behind with the next setns. */
                r = sys_unshare(CLONE_NEWNS);
                if (r < 0)
                        return r;
        }
        fd = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);
        if (fd < 0)
                return fd;
        r = sys_mount_setattr(fd, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
        if (r < 0)
                return r;
        c->init_fd = fd;
        return 0;
}

/* ---- looking for the program ---- */

/* "DIR/NAME"; an empty part of PATH is the current directory, as everywhere. */
static int join_path(char buf[PATH_MAX], const char *dir, size_t n, const char *name)
{
        size_t len = strlen(name);

        if (n + 1 + len >= PATH_MAX)
                return -ENAMETOOLONG;
        memcpy(buf, dir, n);
        if (n > 0)
                buf[n++] = '/';
        memcpy(buf + n, name, len + 1);
        return 0;
}

/* 0 when it could be executed, as far as a look can tell. */
static int probe_program(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (syscall(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
                return -errno;
        return S_ISREG(st.st_mode) ? 0 : -EACCES;
}

/*
 * Tries @name, or each place in PATH, by @attempt, which does not return on success when it executes. What the user most likely meant is
 * reported: something found but not executable, before nothing found.
 */
static int search_program(const struct child *c, const char *name, char found[PATH_MAX],
                          int (*attempt)(const struct child *, const char *))
{
        const char *dir = c->plan->path_list;
        int verdict = -ENOENT, r;

        if (strchr(name, '/')) {
                r = join_path(found, "", 0, name);
                return r < 0 ? r : attempt(c, found);
        }
        for (;; dir++) {
                size_t n = strcspn(dir, ":");

                r = join_path(found, dir, n, name);
                if (r == 0)
                        r = attempt(c, found);
                if (r == 0)
                        return 0;
                if (r != -ENOENT && r != -ENOTDIR && verdict == -ENOENT)
                        verdict = r;
                /* Found, and no directory in the way: a later one is not what was meant. */
                if (r == -ENOEXEC || r == -ETXTBSY || r == -E2BIG || r == -ENOMEM)
                        return r;
                dir += n;
                if (*dir == '\0')
                        return verdict;
        }
}

static int attempt_probe(const struct child *c, const char *path)
{
        (void)c;
        return probe_program(path);
}

static int attempt_exec(const struct child *c, const char *path)
{
        int r;

        (void)execve(path, c->plan->argv, c->plan->envp);
        r = -errno;
        /* There, and yet not found: what is missing is its interpreter. */
        if (r == -ENOENT && faccessat(AT_FDCWD, path, F_OK, 0) == 0)
                child_note_detail(c->note, "its interpreter is missing");
        if (r == -EACCES) {
                struct stat st;

                if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                        return -EISDIR;
        }
        return r;
}

/* The monitor blocks what it reads from a signalfd, and ignores SIGPIPE: neither is the program's business. */
void child_reset_signals(void)
{
        struct sigaction sa = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int sig = 1; sig < NSIG; sig++)
                (void)sigaction(sig, &sa, NULL); /* those that cannot be changed say so */
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

#define FD_DIR "/proc/self/fd/"

void child_number(int n, char ret[12])
{
        char digits[12];
        size_t i = 0;

        do {
                digits[i++] = (char)('0' + n % 10);
                n /= 10;
        } while (n > 0);
        while (i > 0)
                *ret++ = digits[--i];
        *ret = '\0';
}

static int exec_by_init(struct child *c, const char *name)
{
        char found[PATH_MAX], path[sizeof(FD_DIR) + 12];
        int r = c->plan->init_alone ? 0 : search_program(c, name, found, attempt_probe);

        if (r < 0)
                return r;
        /*
         * By name first: execve is what a filter of the user's must allow anyway, while one without execveat would, with a killing
         * action, leave us no second try. A /proc that is not the kernel's can only name a program of the container's
         * own, which then runs with the container's rights.
         */
        (void)memcpy(path, FD_DIR, sizeof(FD_DIR));
        child_number(c->init_fd, path + sizeof(FD_DIR) - 1);
        (void)execve(path, c->plan->init_argv, c->plan->envp);
        (void)syscall(SYS_execveat, c->init_fd, "", c->plan->init_argv, c->plan->envp,
                      AT_EMPTY_PATH);
        child_note_detail(c->note, "kelp-init");
        return -errno;
}

int child_probe_program(struct child *c)
{
        const char *name = c->plan->argv[0];
        char found[PATH_MAX];

        child_note_set(c->note, name);
        if (*name == '\0')
                return -ENOENT;
        return c->plan->init_alone ? 0 : search_program(c, name, found, attempt_probe);
}

int child_stage_exec(struct child *c)
{
        const char *name = c->plan->argv[0];
        char found[PATH_MAX];

        child_note_set(c->note, name);
        if (*name == '\0')
                return -ENOENT;
        child_reset_signals();
        if (c->init_fd >= 0)
                return exec_by_init(c, name);
        return search_program(c, name, found, attempt_exec);
}
