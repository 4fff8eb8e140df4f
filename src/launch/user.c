/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/user.h"

#include "base/path.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define FIELDS_MAX   7
#define LINE_MAX_LEN 65536 /* the group of everybody has a long one */

/* ---- lines ---- */

struct reader {
        int fd;
        size_t start, end; /* unread part of buf */
        size_t total;
        bool eof;
        /* Not on the stack, which is probed page by page, while of this one is touched what the file fills. */
        char *buf;
};

/* -ENOENT when there is no such regular file. */
static int reader_open(struct reader *r, const char *path)
{
        struct stat st;

        r->start = r->end = r->total = 0;
        r->eof = false;
        /* A pipe must not block us, a terminal not become ours. */
        r->fd = path_open_in_root_raw(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
        if (r->fd == -ENOTDIR || r->fd == -ELOOP || r->fd == -ENXIO || r->fd == -EACCES)
                return -ENOENT;
        if (r->fd < 0)
                return r->fd;
        if (fstat(r->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                (void)sys_close(r->fd);
                return -ENOENT;
        }
        r->buf =
            mmap(NULL, LINE_MAX_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (r->buf == MAP_FAILED) {
                (void)sys_close(r->fd);
                return -ENOMEM;
        }
        return 0;
}

static void reader_close(struct reader *r)
{
        (void)munmap(r->buf, LINE_MAX_LEN);
        (void)sys_close(r->fd);
}

/* Moves the rest to the front and fills up. False at the end. */
static bool reader_fill(struct reader *r)
{
        ssize_t n;

        memmove(r->buf, r->buf + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
        if (r->eof || r->end == LINE_MAX_LEN || r->total >= USER_FILE_MAX)
                return false;
        n = sys_read(r->fd, r->buf + r->end, LINE_MAX_LEN - r->end);
        if (n <= 0) {
                r->eof = true;
                return false;
        }
        r->end += (size_t)n;
        r->total += (size_t)n;
        return true;
}

/* A NUL-terminated line without its newline, valid until the next call; NULL at the end. */
static char *reader_line(struct reader *r)
{
        bool skipping = false;

        for (;;) {
                char *from = r->buf + r->start;
                char *newline = memchr(from, '\n', r->end - r->start);

                if (newline) {
                        *newline = '\0';
                        r->start = (size_t)(newline - r->buf) + 1;
                        if (!skipping)
                                return from;
                        skipping = false;
                        continue;
                }
                if (r->end - r->start == LINE_MAX_LEN) {
                        /* Longer than the buffer: drop what is there, and what follows up to the newline. */
                        r->start = r->end = 0;
                        skipping = true;
                }
                if (reader_fill(r))
                        continue;
                if (r->start == r->end || skipping || r->end == LINE_MAX_LEN)
                        return NULL;
                /* The last line, without a newline. */
                r->buf[r->end] = '\0';
                from = r->buf + r->start;
                r->start = r->end;
                return from;
        }
}

/* ---- fields ---- */

/* Splits in place at ':'. Returns the number of fields, at most FIELDS_MAX. */
static size_t split_fields(char *line, char *fields[FIELDS_MAX])
{
        size_t n = 0;

        while (n < FIELDS_MAX) {
                char *colon = strchr(line, ':');

                fields[n++] = line;
                if (!colon)
                        break;
                *colon = '\0';
                line = colon + 1;
        }
        return n;
}

/* Decimal digits only; the highest number means "no id" to the kernel. */
static bool parse_id(const char *s, uint32_t *ret)
{
        uint64_t value = 0;

        if (*s == '\0')
                return false;
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return false;
                value = value * 10 + (uint64_t)(*s - '0');
                if (value >= UINT32_MAX)
                        return false;
        }
        *ret = (uint32_t)value;
        return true;
}

static bool list_contains(const char *list, const char *name)
{
        size_t n = strlen(name);

        while (*list) {
                size_t len = strcspn(list, ",");

                if (len == n && memcmp(list, name, n) == 0)
                        return true;
                list += len;
                list += *list == ',';
        }
        return false;
}

/* ---- passwd ---- */

struct user_entry {
        char name[256]; /* "" when the user has no line */
        uint32_t uid, gid;
};

/* The first line that is the user's, by name or by number. */
static bool passwd_line_matches(char *line, const char *name, bool numeric, uint32_t uid,
                                struct user_entry *ret, char home[USER_HOME_MAX])
{
        char *f[FIELDS_MAX];
        size_t n = split_fields(line, f);
        uint32_t line_uid, line_gid;

        if (n < 4 || f[0][0] == '\0' || !parse_id(f[2], &line_uid) || !parse_id(f[3], &line_gid))
                return false;
        if (strcmp(f[0], name) != 0 && !(numeric && line_uid == uid))
                return false;
        if (strlen(f[0]) >= sizeof(ret->name))
                return false;
        memcpy(ret->name, f[0], strlen(f[0]) + 1);
        ret->uid = line_uid;
        ret->gid = line_gid;
        if (n >= 6 && f[5][0] == '/' && strlen(f[5]) < USER_HOME_MAX)
                memcpy(home, f[5], strlen(f[5]) + 1);
        return true;
}

/* True when there is a line. */
static int find_user(struct reader *r, const char *name, bool numeric, uint32_t uid,
                     struct user_entry *ret, char home[USER_HOME_MAX])
{
        int found = 0, rc = reader_open(r, "/etc/passwd");
        char *line;

        if (rc < 0)
                return rc == -ENOENT ? 0 : rc;
        while (!found && (line = reader_line(r)))
                found = passwd_line_matches(line, name, numeric, uid, ret, home);
        reader_close(r);
        return found;
}

/* ---- group ---- */

static int add_group(struct user_result *u, gid_t gid)
{
        for (size_t i = 0; i < u->n_groups; i++) {
                if (u->groups[i] == gid)
                        return 0;
        }
        if (u->n_groups == USER_GROUPS_MAX)
                return -E2BIG;
        u->groups[u->n_groups++] = gid;
        return 0;
}

static int find_group(struct reader *r, const char *name, uint32_t *ret, struct child_note *note)
{
        bool numeric = parse_id(name, ret), found = false;
        char *line;
        int rc;

        rc = reader_open(r, "/etc/group");
        if (rc < 0 && rc != -ENOENT)
                return rc;
        while (rc == 0 && !found && (line = reader_line(r))) {
                char *f[FIELDS_MAX];
                uint32_t gid;

                if (split_fields(line, f) < 3 || !parse_id(f[2], &gid) ||
                    (strcmp(f[0], name) != 0 && !(numeric && gid == *ret)))
                        continue;
                *ret = gid;
                found = true;
        }
        if (rc == 0)
                reader_close(r);
        if (found || numeric)
                return 0;
        child_note_set(note, name);
        child_note_detail(note, "no such group in the container's /etc/group");
        return -ENOENT;
}

/* The groups that list the user as a member. */
static int add_memberships(struct reader *r, const char *name, struct user_result *u)
{
        char *line;
        int rc = reader_open(r, "/etc/group");

        if (rc < 0)
                return rc == -ENOENT ? 0 : rc;
        while (rc == 0 && (line = reader_line(r))) {
                char *f[FIELDS_MAX];
                uint32_t gid;

                if (split_fields(line, f) >= 4 && parse_id(f[2], &gid) && list_contains(f[3], name))
                        rc = add_group(u, gid);
        }
        reader_close(r);
        return rc;
}

/* ---- all ---- */

static int resolve_user(struct reader *r, const char *name, struct user_entry *e,
                        struct user_result *ret, struct child_note *note)
{
        uint32_t uid = ret->uid;
        bool numeric = name[0] == '\0' || parse_id(name, &uid);
        int found;

        found = find_user(r, name, numeric, uid, e, ret->home);
        if (found < 0)
                return found;
        if (!found && !numeric) {
                child_note_set(note, name);
                child_note_detail(note, "no such user in the container's /etc/passwd");
                return -ENOENT;
        }
        ret->uid = found ? e->uid : uid;
        /* Whoever has no line belongs to root's group, as with every other engine; "" keeps what the namespace offers. */
        if (found)
                ret->gid = e->gid;
        else if (name[0] != '\0')
                ret->gid = 0;
        return 0;
}

int user_resolve(const char *who, uid_t fallback_uid, gid_t fallback_gid, char *const *extra,
                 size_t n_extra, struct user_result *ret, struct child_note *note)
{
        struct user_entry entry = {0};
        const char *colon = strchr(who, ':'), *group = colon ? colon + 1 : "";
        size_t n = colon ? (size_t)(colon - who) : strlen(who);
        struct reader r;
        char name[256];
        uint32_t gid;
        int rc;

        ret->uid = fallback_uid;
        ret->gid = fallback_gid;
        ret->n_groups = 0;
        memcpy(ret->home, "/", 2);
        child_note_set(note, who);
        if (n >= sizeof(name))
                return -ENAMETOOLONG;
        memcpy(name, who, n);
        name[n] = '\0';
        rc = resolve_user(&r, name, &entry, ret, note);
        if (rc == 0 && *group) {
                rc = find_group(&r, group, &gid, note);
                if (rc == 0)
                        ret->gid = gid;
        } else if (rc == 0 && entry.name[0] != '\0') {
                rc = add_memberships(&r, entry.name, ret);
        }
        for (size_t i = 0; i < n_extra && rc == 0; i++) {
                rc = find_group(&r, extra[i], &gid, note);
                if (rc == 0)
                        rc = add_group(ret, gid);
        }
        return rc;
}

int user_home(uid_t uid, char ret[USER_HOME_MAX])
{
        struct user_entry entry;
        struct reader r;
        int found;

        memcpy(ret, "/", 2);
        found = find_user(&r, "", true, uid, &entry, ret); /* nobody is called "" */
        return found < 0 ? found : 0;
}
