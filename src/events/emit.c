/* SPDX-License-Identifier: Apache-2.0 */
/* emit — appending one event, and rotation. */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/line_files.h"
#include "base/str.h"
#include "events/events.h"
#include "events/events_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_TRIES 100 /* each fails only while somebody renames four files */

/* ---- the line ---- */

static struct json_object *make_event(const struct event *e, int64_t now_ns, bool labels)
{
        struct json_object *o = json_object_new_object();
        struct json_object *actor, *attributes;

        json_add_string(o, "Type", e->type);
        json_add_string(o, "Action", e->action);
        actor = json_object(o, "Actor");
        json_add_string(actor, "ID", e->id ? e->id : "");
        attributes = json_object(actor, "Attributes");
        /* The labels first: none of them can pass for an attribute of ours. */
        if (labels && e->labels)
                json_add_pairs(attributes, e->labels);
        for (const char *const *a = e->attributes; a && a[0]; a += 2) {
                if (a[1])
                        json_add_string(attributes, a[0], a[1]);
        }
        json_add_string(o, "scope", "local");
        json_add_int(o, "time", now_ns / 1000000000);
        json_add_int(o, "timeNano", now_ns);
        return o;
}

/* A line, with its end. */
static void make_line(const struct event *e, struct strbuf *b)
{
        int64_t now = clock_now_ns();

        for (int labels = 1; labels >= 0; labels--) {
                AUTO_JSON *o = make_event(e, now, labels);
                const char *text = json_object_to_json_string_ext(
                    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

                if (strlen(text) >= EVENT_LINE_MAX)
                        continue;
                strbuf_add(b, text);
                strbuf_add(b, "\n");
                return;
        }
}

/* ---- the file ---- */

/*
 * Nothing may be added to a file once it is log.1: a reader has left it. So a writer holds the file that it writes to with a shared lock, and
 * who rotates takes it exclusively, without waiting: whoever finds the lock taken leaves the rotation to the next one.
 */
static void rotate(int dir, int fd)
{
        char from[LINE_FILE_NAME_MAX], to[LINE_FILE_NAME_MAX];

        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return;
        /* Killed in between, a number is missing, which readers and the next rotation pass over. */
        for (unsigned i = EVENT_LOG_KEPT; i > 0; i--) {
                FAULT_POINT("events-rotate");
                (void)renameat(dir, line_file_name(EVENTS_LOG, i - 1, from), dir,
                               line_file_name(EVENTS_LOG, i, to));
        }
}

/* The current file, locked. */
static int open_log(int dir, struct stat *ret_st)
{
        for (int i = 0; i < OPEN_TRIES; i++) {
                AUTO_CLOSE int fd = openat(
                    dir, EVENTS_LOG, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                struct stat now;

                if (fd < 0 || fstat(fd, ret_st) < 0)
                        return -errno;
                if (flock(fd, LOCK_SH | LOCK_NB) < 0)
                        continue; /* it is being renamed */
                if (fstatat(dir, EVENTS_LOG, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
                    now.st_ino == ret_st->st_ino && now.st_dev == ret_st->st_dev)
                        return TAKE_FD(fd);
        }
        return -EAGAIN;
}

/* What a torn line has left unfinished is finished: ours begins at the beginning of a line. */
static bool ends_with_newline(int fd, off_t size)
{
        char last = '\n';

        return size == 0 || pread(fd, &last, 1, size - 1) != 1 || last == '\n';
}

static void append(int dir, const struct strbuf *line)
{
        AUTO_FREE char *fresh = NULL;
        struct stat st;
        AUTO_CLOSE int fd = open_log(dir, &st);
        ssize_t n;

        if (fd < 0)
                return;
        if (ends_with_newline(fd, st.st_size)) {
                n = write(fd, line->data, line->len);
        } else {
                fresh = xasprintf("\n%s", line->data);
                n = write(fd, fresh, line->len + 1);
        }
        (void)n; /* a full disk: the event is dropped, see events.h */
        if ((uint64_t)st.st_size + line->len >= EVENT_LOG_MAX)
                rotate(dir, fd);
}

void event_emit(const struct dirs *d, const struct event *e)
{
        AUTO_CLOSE int dir = openat(d->root_fd, EVENTS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO_STRBUF line = {0};

        if (dir < 0)
                dir = dirs_sub(d, EVENTS_DIR, NULL);
        if (dir < 0)
                return;
        make_line(e, &line);
        if (line.len)
                append(dir, &line);
}

void event_emit_container(const struct dirs *d, const struct event_container *c, const char *action,
                          const char *const *attributes)
{
        const char *all[2 * (EVENT_ATTRIBUTES_MAX + 2) + 1] = {"image", c->image, "name", c->name};

        for (size_t i = 0; attributes && attributes[i] && i < 2 * (size_t)EVENT_ATTRIBUTES_MAX; i++)
                all[4 + i] = attributes[i];
        event_emit(d, &(struct event){.type = "container",
                                      .action = action,
                                      .id = c->id,
                                      .labels = c->labels,
                                      .attributes = all});
}

void event_emit_prune(const struct dirs *d, const char *type, uint64_t bytes)
{
        AUTO_FREE char *text = xasprintf("%" PRIu64, bytes);
        const char *const attributes[] = {"reclaimed", text, NULL};

        event_emit(d, &(struct event){.type = type, .action = "prune", .attributes = attributes});
}
