/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's passwd and group files: the first byte chooses what is looked up, the rest is the content of both. The
 * lookup runs where it always does, with the container's root as the current directory.
 */
#include "fuzz.h"

#include "image/accounts.h"
#include "launch/user.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *path, const uint8_t *data, size_t n)
{
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

        if (fd < 0 || write(fd, data, n) != (ssize_t)n)
                abort();
        close(fd);
}

static void clean(char *dir)
{
        (void)unlink("etc/passwd");
        (void)unlink("etc/group");
        (void)rmdir("etc");
        if (chdir("/") < 0)
                abort();
        (void)rmdir(dir);
}

/* Who looks from outside finds the same user. Longer names and lines are nobody's in there, and a NUL ends the text here. */
static void compare(const char *who, const uint8_t *data, size_t n)
{
        struct child_note note = {0};
        struct user_result u;
        uint32_t uid = 0, gid = 0;
        char text[256];
        int r;

        if (n >= sizeof(text) || memchr(data, 0, n) || !*who)
                return;
        memcpy(text, data, n);
        text[n] = '\0';
        r = user_resolve(who, 0, 0, NULL, 0, &u, &note);
        if ((r == 0) != (accounts_find(text, text, who, &uid, &gid) == 0))
                abort();
        if (r == 0 && (uid != u.uid || gid != u.gid))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static const char *const who[] = {"",    "root",       "alice", "0", "1000", "alice:staff",
                                          "1:2", "4294967295", "a:b:c"};
        char dir[] = "/tmp/kelp-fuzz-XXXXXX";
        char *extra[] = {(char *)"staff", (char *)"7"};
        struct child_note note;
        struct user_result u;
        int r;

        if (n < 1)
                return 0;
        if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("etc", 0700) < 0)
                abort();
        write_file("etc/passwd", data + 1, n - 1);
        write_file("etc/group", data + 1, n - 1);
        memset(&note, 0x55, sizeof(note));
        r = user_resolve(who[data[0] % (sizeof(who) / sizeof(who[0]))], 1, 2, extra, 2, &u, &note);
        if (r > 0 || !memchr(note.object, 0, sizeof(note.object)))
                abort();
        if (r == 0 && (u.n_groups > USER_GROUPS_MAX || u.home[0] != '/' || u.uid == (uid_t)-1 ||
                       u.gid == (gid_t)-1 || !memchr(u.home, 0, sizeof(u.home))))
                abort();
        compare(who[data[0] % (sizeof(who) / sizeof(who[0]))], data + 1, n - 1);
        clean(dir);
        return 0;
}
