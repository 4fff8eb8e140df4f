/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of a container is a pty of the container's own devpts, whose master goes to the monitor. It is never the
 * caller's terminal, so that TIOCSTI and TIOCLINUX reach nothing of the caller's.
 *
 * For a further process (exec) the container is running and /dev may hold anything: the multiplexer is accepted only as the
 * character device it should be, on a devpts, and the slave comes from the kernel through the master, not by its name.
 */
#include "base/path.h"
#include "base/sys.h"
#include "launch/launch_internal.h"
#include "rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int check_multiplexer(int fd)
{
        struct statfs fs;
        struct stat st;

        if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || fs.f_type != DEVPTS_SUPER_MAGIC)
                return -ENOTTY;
        return 0;
}

/* A master of the container's devpts. */
static int open_master(struct child *c)
{
        static const int flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
        struct launch_plan *p = c->plan;
        int fd, r;

        child_note_set(c->note, "/dev/pts/ptmx");
        if (p->rootfs) {
                const struct rootfs_plan *root = rootfs_child_plan(p->rootfs);

                fd = root->pts_fd >= 0 ? openat(root->pts_fd, "ptmx", flags) : -1;
                return fd < 0 ? (root->pts_fd >= 0 ? -errno : -ENOTTY) : fd;
        }
        fd = path_open_in_root_raw(AT_FDCWD, "/dev/pts/ptmx", O_PATH, 0);
        if (fd < 0)
                return fd;
        r = check_multiplexer(fd);
        (void)sys_close(fd);
        if (r < 0)
                return r;
        /* A second look at what was really opened: the first kept us from opening just anything. */
        fd = path_open_in_root_raw(AT_FDCWD, "/dev/pts/ptmx", flags, 0);
        r = fd < 0 ? fd : check_multiplexer(fd);
        if (r < 0 && fd >= 0)
                (void)sys_close(fd);
        return r < 0 ? r : fd;
}

static int open_slave(int master)
{
        int unlock = 0, fd;

        if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
                return -errno;
        fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* The slave's name on our own devpts, "0" …, to mount it on /dev/console. */
static int mount_console(const struct child *c)
{
        const struct rootfs_plan *root = rootfs_child_plan(c->plan->rootfs);
        char name[12];
        unsigned number;
        size_t n = 0;
        int tree, target, r;

        child_note_set(c->note, "/dev/console");
        if (ioctl(c->master, TIOCGPTN, &number) < 0)
                return -errno;
        for (unsigned scale = 1000000000; scale > 0; scale /= 10) {
                if (n > 0 || number / scale > 0 || scale == 1)
                        name[n++] = (char)('0' + number / scale % 10);
        }
        name[n] = '\0';
        target = path_open_in_root_raw(AT_FDCWD, "/dev/console", O_PATH, 0);
        if (target == -ENOENT)
                return 0; /* the user has put a /dev of his own there */
        if (target < 0)
                return target;
        tree = sys_open_tree(root->pts_fd, name, OPEN_TREE_CLONE);
        r = tree < 0 ? tree
                     : sys_move_mount(tree, "", target, "",
                                      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
        if (tree >= 0)
                (void)sys_close(tree);
        (void)sys_close(target);
        return r;
}

static int set_size(const struct child *c)
{
        const struct spec_process *p = c->plan->process;
        struct winsize size = {.ws_row = p->rows, .ws_col = p->cols};

        if (p->rows == 0 || p->cols == 0)
                return 0;
        return ioctl(c->master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int child_stage_terminal(struct child *c)
{
        int r;

        /* A session of its own in any case: no signal of the caller's terminal, no way to its input. */
        if (setsid() < 0 && errno != EPERM)
                return -errno;
        if (!c->plan->process->terminal)
                return 0;
        c->master = open_master(c);
        if (c->master < 0)
                return c->master;
        c->slave = open_slave(c->master);
        if (c->slave < 0)
                return c->slave;
        /* For the monitor. Now: the program may be quick to make its terminal exclusive (TIOCEXCL). */
        c->keeper = open_slave(c->master);
        if (c->keeper < 0)
                return c->keeper;
        r = set_size(c);
        if (r == 0 && c->plan->rootfs)
                r = mount_console(c);
        if (r < 0)
                return r;
        for (int fd = 0; fd <= 2; fd++) {
                if (dup3(c->slave, fd, 0) < 0)
                        return -errno;
        }
        (void)sys_close(c->slave);
        c->slave = 0;
        return ioctl(0, TIOCSCTTY, 0) < 0 ? -errno : 0;
}
