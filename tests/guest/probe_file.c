/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of files and mounts. */
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int cmd_ls(int argc, char **argv)
{
        struct dirent **entries;
        int n = scandir(argc > 1 ? argv[1] : ".", &entries, NULL, by_name);

        if (n < 0)
                return probe_fail(argc > 1 ? argv[1] : ".");
        for (int i = 0; i < n; i++) {
                if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
                        puts(entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return 0;
}

static char type_letter(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return 'd';
        case S_IFLNK:
                return 'l';
        case S_IFCHR:
                return 'c';
        case S_IFBLK:
                return 'b';
        case S_IFIFO:
                return 'p';
        case S_IFSOCK:
                return 's';
        default:
                return 'f';
        }
}

static int print_stat(const char *path, int flags)
{
        struct stat st;

        if (fstatat(AT_FDCWD, path, &st, flags) < 0)
                return probe_fail(path);
        printf("type=%c mode=%04o uid=%u gid=%u size=%lld nlink=%lu rdev=%u:%u mtime=%lld\n",
               type_letter(st.st_mode), st.st_mode & 07777, st.st_uid, st.st_gid,
               (long long)st.st_size, (unsigned long)st.st_nlink, major(st.st_rdev),
               minor(st.st_rdev), (long long)st.st_mtime);
        return 0;
}

static int cmd_stat(int argc, char **argv)
{
        int r = 0;

        for (int i = 1; i < argc; i++)
                r |= print_stat(argv[i], AT_SYMLINK_NOFOLLOW);
        return r;
}

static int cmd_statl(int argc, char **argv)
{
        return print_stat(argv[1], 0);
}

static int write_text(const char *path, const char *text, int flags)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);

        if (fd < 0)
                return probe_fail(path);
        if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
                return probe_fail(path);
        return close(fd) == 0 ? 0 : probe_fail(path);
}

static int cmd_write(int argc, char **argv)
{
        return write_text(argv[1], argv[2], O_CREAT | O_TRUNC);
}

static int cmd_append(int argc, char **argv)
{
        return write_text(argv[1], argv[2], O_CREAT | O_APPEND);
}

/* Writes to something that exists, such as a file of /proc. */
static int cmd_poke(int argc, char **argv)
{
        return write_text(argv[1], argv[2], 0);
}

static int cmd_fill(int argc, char **argv)
{
        static char block[65536];
        long left = probe_number(argv[2]);
        int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd < 0)
                return probe_fail(argv[1]);
        memset(block, 'x', sizeof(block));
        while (left > 0) {
                ssize_t n = write(
                    fd, block, (size_t)(left < (long)sizeof(block) ? left : (long)sizeof(block)));
                if (n < 0)
                        return probe_fail(argv[1]);
                left -= n;
        }
        return close(fd) == 0 ? 0 : probe_fail(argv[1]);
}

static int cmd_mkdir(int argc, char **argv)
{
        return mkdir(argv[1], 0755) == 0 ? 0 : probe_fail(argv[1]);
}

static int cmd_rm(int argc, char **argv)
{
        return remove(argv[1]) == 0 ? 0 : probe_fail(argv[1]);
}

static int cmd_mv(int argc, char **argv)
{
        return rename(argv[1], argv[2]) == 0 ? 0 : probe_fail(argv[1]);
}

static int cmd_symlink(int argc, char **argv)
{
        return symlink(argv[1], argv[2]) == 0 ? 0 : probe_fail(argv[2]);
}

static int cmd_link(int argc, char **argv)
{
        return link(argv[1], argv[2]) == 0 ? 0 : probe_fail(argv[2]);
}

static int cmd_readlink(int argc, char **argv)
{
        char buf[4097];
        ssize_t n = readlink(argv[1], buf, sizeof(buf) - 1);

        if (n < 0)
                return probe_fail(argv[1]);
        buf[n] = '\0';
        puts(buf);
        return 0;
}

static int cmd_chmod(int argc, char **argv)
{
        return chmod(argv[2], (mode_t)strtoul(argv[1], NULL, 8)) == 0 ? 0 : probe_fail(argv[2]);
}

static int cmd_chown(int argc, char **argv)
{
        int r = lchown(argv[3], (uid_t)probe_number(argv[1]), (gid_t)probe_number(argv[2]));

        return r == 0 ? 0 : probe_fail(argv[3]);
}

static int cmd_mknod(int argc, char **argv)
{
        mode_t type = argv[2][0] == 'c' ? S_IFCHR : argv[2][0] == 'b' ? S_IFBLK : S_IFIFO;
        dev_t dev = argc > 4
                        ? makedev((unsigned)probe_number(argv[3]), (unsigned)probe_number(argv[4]))
                        : 0;

        return probe_verdict(mknod(argv[1], type | 0666, dev));
}

static int cmd_setxattr(int argc, char **argv)
{
        return probe_verdict(lsetxattr(argv[1], argv[2], argv[3], strlen(argv[3]), 0));
}

static int cmd_getxattr(int argc, char **argv)
{
        char buf[4097];
        ssize_t n = lgetxattr(argv[1], argv[2], buf, sizeof(buf) - 1);

        if (n < 0)
                return probe_fail(argv[1]);
        fwrite(buf, 1, (size_t)n, stdout);
        putchar('\n');
        return 0;
}

static int cmd_statfs(int argc, char **argv)
{
        struct statvfs sv;
        struct statfs sf;

        if (statfs(argv[1], &sf) < 0 || statvfs(argv[1], &sv) < 0)
                return probe_fail(argv[1]);
        printf("type=%lx bytes=%llu%s%s%s%s\n", (unsigned long)sf.f_type,
               (unsigned long long)sf.f_blocks * (unsigned long long)sf.f_bsize,
               sv.f_flag & ST_RDONLY ? " ro" : " rw", sv.f_flag & ST_NOSUID ? " nosuid" : "",
               sv.f_flag & ST_NODEV ? " nodev" : "", sv.f_flag & ST_NOEXEC ? " noexec" : "");
        return 0;
}

/* mounts [PATH]: "target type options source root" a line, of PATH only when given. */
static int cmd_mounts(int argc, char **argv)
{
        char line[16384], root[4096], target[4096], options[1024];
        FILE *f = fopen("/proc/self/mountinfo", "re");

        if (!f)
                return probe_fail("/proc/self/mountinfo");
        while (fgets(line, sizeof(line), f)) {
                char type[256] = "?", source[4096] = "?", super[4096] = "";
                const char *dash = strstr(line, " - ");
                if (sscanf(line, "%*d %*d %*s %4095s %4095s %1023s", root, target, options) != 3 ||
                    !dash)
                        continue;
                sscanf(dash, " - %255s %4095s %4095s", type, source, super);
                if (argc > 1 && strcmp(argv[1], target) != 0)
                        continue;
                printf("%s %s %s %s %s %s\n", target, type, options, source, root, super);
        }
        fclose(f);
        return 0;
}

static int cmd_access(int argc, char **argv)
{
        int mode = 0;

        for (const char *p = argv[2]; *p; p++)
                mode |= *p == 'r' ? R_OK : *p == 'w' ? W_OK : *p == 'x' ? X_OK : F_OK;
        return probe_verdict(access(argv[1], mode));
}

static int cmd_open(int argc, char **argv)
{
        int flags = strchr(argv[2], 'w') ? (strchr(argv[2], 'r') ? O_RDWR : O_WRONLY) : O_RDONLY;

        return probe_verdict(open(argv[1], flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

const struct command file_commands[] = {
    {"ls", cmd_ls, 0, "[DIR]"},
    {"stat", cmd_stat, 1, "PATH…"},
    {"statl", cmd_statl, 1, "PATH (links followed)"},
    {"write", cmd_write, 2, "FILE TEXT"},
    {"append", cmd_append, 2, "FILE TEXT"},
    {"poke", cmd_poke, 2, "FILE TEXT"},
    {"sysctl", cmd_poke, 2, "FILE TEXT"},
    {"fill", cmd_fill, 2, "FILE BYTES"},
    {"mkdir", cmd_mkdir, 1, "DIR"},
    {"rm", cmd_rm, 1, "PATH"},
    {"mv", cmd_mv, 2, "OLD NEW"},
    {"symlink", cmd_symlink, 2, "TARGET LINK"},
    {"link", cmd_link, 2, "OLD NEW"},
    {"readlink", cmd_readlink, 1, "LINK"},
    {"chmod", cmd_chmod, 2, "OCTAL FILE"},
    {"chown", cmd_chown, 3, "UID GID FILE"},
    {"mknod", cmd_mknod, 2, "FILE c|b|p [MAJOR MINOR]"},
    {"setxattr", cmd_setxattr, 3, "FILE NAME VALUE"},
    {"getxattr", cmd_getxattr, 2, "FILE NAME"},
    {"statfs", cmd_statfs, 1, "PATH"},
    {"mounts", cmd_mounts, 0, "[PATH]"},
    {"access", cmd_access, 2, "PATH rwxf"},
    {"open", cmd_open, 2, "PATH r|w|rw"},
    {NULL, NULL, 0, NULL},
};
