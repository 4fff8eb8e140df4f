/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor — the smallest program that makes the same namespaces and mounts as `kelp run` and executes the same program: what is
 * faster than this is the kernel. Nothing is checked for safety, recorded or logged, no ids but the caller's are mapped.
 *
 *   floor ROOTFS PROGRAM [ARG…]          the working directory must be writable: the overlay's upper directory goes there
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
        fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
        _exit(1);
}

static void put(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                die(path);
        close(fd);
}

static void mount_at(const char *type, const char *target, unsigned long flags, const char *options)
{
        if (mount(type, target, type, flags, options) < 0)
                die(target);
}

static void bind_file(const char *source, const char *target, int readonly)
{
        if (mount(source, target, NULL, MS_BIND, NULL) < 0) {
                if (errno == ENOENT)
                        return; /* a kernel without that file */
                die(target);
        }
        if (readonly &&
            mount(NULL, target, NULL,
                  MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                die(target);
}

static void make_dev(void)
{
        static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};

        mount_at("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
        for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
                char source[32], target[32];
                snprintf(source, sizeof(source), "/dev/%s", nodes[i]);
                snprintf(target, sizeof(target), "dev/%s", nodes[i]);
                close(open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
                bind_file(source, target, 0);
        }
        mkdir("dev/pts", 0755);
        mkdir("dev/shm", 0755);
        mkdir("dev/mqueue", 0755);
        if (symlink("/proc/self/fd", "dev/fd") < 0 || symlink("pts/ptmx", "dev/ptmx") < 0)
                die("dev");
        mount_at("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
        mount_at("tmpfs", "dev/shm", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k");
        mount_at("mqueue", "dev/mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
}

static void mask_paths(void)
{
        static const char *const files[] = {"proc/kcore", "proc/keys", "proc/timer_list"};
        static const char *const directories[] = {"proc/acpi", "proc/scsi", "sys/firmware"};
        static const char *const readonly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
                                               "proc/sysrq-trigger"};

        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
                bind_file("dev/null", files[i], 0);
        for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
                if (access(directories[i], F_OK) == 0)
                        mount_at("tmpfs", directories[i], MS_RDONLY, "size=0k");
        for (size_t i = 0; i < sizeof(readonly) / sizeof(readonly[0]); i++)
                bind_file(readonly[i], readonly[i], 1);
}

static void child(const char *rootfs, int go, char **argv)
{
        char options[4096], c;

        if (read(go, &c, 1) != 1)
                die("wait for id maps");
        if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                die("setresuid");
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                die("/");
        snprintf(options, sizeof(options),
                 "lowerdir=%s,upperdir=floor/upper,workdir=floor/work,userxattr", rootfs);
        mount_at("overlay", "floor/root", 0, options);
        if (chdir("floor/root") < 0)
                die("floor/root");
        mount_at("proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
        mount_at("sysfs", "sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL);
        make_dev();
        mask_paths();
        if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                die("pivot_root");
        if (sethostname("floor", 5) < 0)
                die("sethostname");
        execv(argv[0], argv);
        die(argv[0]);
}

int main(int argc, char **argv)
{
        struct clone_args args = {
            .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                     CLONE_NEWUTS | CLONE_NEWCGROUP,
            .exit_signal = SIGCHLD,
        };
        char map[64];
        int go[2], status;
        pid_t pid;

        if (argc < 3)
                return 125;
        mkdir("floor", 0700);
        mkdir("floor/root", 0700);
        mkdir("floor/upper", 0755);
        mkdir("floor/work", 0700);
        if (pipe2(go, O_CLOEXEC) < 0)
                die("pipe");
        pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
        if (pid < 0)
                die("clone3");
        if (pid == 0)
                child(argv[1], go[0], argv + 2);
        snprintf(map, sizeof(map), "/proc/%d/setgroups", pid);
        put(map, "deny");
        snprintf(map, sizeof(map), "/proc/%d/gid_map", pid);
        char line[64];
        snprintf(line, sizeof(line), "0 %u 1\n", getgid());
        put(map, line);
        snprintf(map, sizeof(map), "/proc/%d/uid_map", pid);
        snprintf(line, sizeof(line), "0 %u 1\n", getuid());
        put(map, line);
        if (write(go[1], "", 1) != 1)
                die("wait");
        if (waitpid(pid, &status, 0) < 0)
                die("wait");
        /* What --rm does. */
        rmdir("floor/work/work");
        rmdir("floor/work");
        rmdir("floor/upper");
        rmdir("floor/root");
        rmdir("floor");
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
