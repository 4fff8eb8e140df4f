/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* Whom a test becomes that must not be root. */
#define UNIT_NOBODY 65534

int unit_setup_dir(void **state)
{
        AUTO_FREE char *template = NULL;
        const char *tmp = getenv("TMPDIR");
        int fd;

        template = xasprintf("%s/kelp-unit-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(template))
                return -1;
        fd = open(template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fchmod(fd, 0755) < 0)
                return -1;
        *state = (void *)(intptr_t)fd;
        return 0;
}

int unit_teardown_dir(void **state)
{
        int fd = unit_dir(state);
        AUTO_FREE char *path = unit_dir_path(fd);
        int r;

        r = path_remove_tree(AT_FDCWD, path, NULL);
        (void)fd_close(fd);
        return r;
}

char *unit_dir_path(int dirfd)
{
        char link[FD_PATH_MAX], path[PATH_MAX];
        ssize_t n = readlink(fd_path(dirfd, link), path, sizeof(path) - 1);

        if (n < 0)
                abort();
        path[n] = '\0';
        return xstrdup(path);
}

void unit_write(int dirfd, const char *name, const char *text)
{
        AUTO_CLOSE int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd < 0 || io_write_full(fd, text, strlen(text)) < 0)
                abort();
}

char *unit_read(int dirfd, const char *name)
{
        char *text = NULL;

        if (io_read_file(dirfd, name, 1 << 20, &text, NULL, NULL) < 0)
                return NULL;
        return text;
}

int unit_count_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        int n = 0;

        while (readdir(dir))
                n++;
        (void)closedir(dir);
        return n;
}

static void unit_drop(void)
{
        if (geteuid() != 0)
                return;
        if (setresgid(UNIT_NOBODY, UNIT_NOBODY, UNIT_NOBODY) < 0 ||
            setresuid(UNIT_NOBODY, UNIT_NOBODY, UNIT_NOBODY) < 0)
                abort();
}

int unit_fork(int (*fn)(void *), void *arg, int drop)
{
        int status;
        pid_t pid;

        (void)fflush(NULL);
        pid = fork();
        if (pid == 0) {
                if (drop)
                        unit_drop();
                _exit(fn(arg));
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
