/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader — theory of operation
 *
 * The files are read oldest first, and all are opened before the first is read: what is open can be finished though the writer has deleted
 * it. Before each file a follower looks for newer ones; only when as many as are kept came and went between two looks are lines
 * lost, and that is said. At the end of the current file it waits with inotify on the directory. "Alive" is asked before the last read, so
 * that whatever was written before the end is seen. The watch on the container's own directory tells of the exit record; where
 * the monitor was killed there is no such event, therefore the wait also ends by time.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "logs/logs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define NS_PER_S          1000000000LL
#define FOLLOW_RECHECK_NS NS_PER_S
#define HELD_MAX          256

struct reader {
        const struct log_read_opts *o;
        const struct log_source *source;
        log_read_fn fn;
        int watch;  /* inotify; < 0: not followed */
        bool ended; /* nothing more will come */
        struct log_entry entry;
        bool mid_line[LOG_STDERR + 1]; /* the stream's latest entry was partial */
        bool done;                     /* past until_ns */
        struct strbuf out;
        struct line_files files; /* open, the oldest first; the first is being read */
};

/* Docker prints nine digits always, so that lines align. */
static void add_timestamp(struct strbuf *b, int64_t ns)
{
        char text[CLOCK_RFC3339_MAX];

        (void)clock_format(ns - ns % NS_PER_S, text);
        strbuf_addf(b, "%.19s.%09lldZ ", text, (long long)(ns % NS_PER_S));
}

static int emit(struct reader *rd)
{
        struct log_entry *e = &rd->entry;
        bool line_start = !rd->mid_line[e->stream];

        if (rd->o->until_ns > 0 && e->time_ns > rd->o->until_ns) {
                rd->done = true;
                return 0;
        }
        rd->mid_line[e->stream] = e->partial;
        if (rd->o->since_ns > 0 && e->time_ns < rd->o->since_ns)
                return 0;
        if (e->data.len == 0)
                return 0;
        if (!line_start || (!rd->o->timestamps && !rd->o->details))
                return rd->fn(e->stream, e->data.data, e->data.len, rd->source->arg);
        rd->out.len = 0;
        if (rd->o->timestamps)
                add_timestamp(&rd->out, e->time_ns);
        if (rd->o->details)
                strbuf_addf(&rd->out, "%s ", e->attrs.len > 0 ? e->attrs.data : "");
        strbuf_add_len(&rd->out, e->data.data, e->data.len);
        return rd->fn(e->stream, rd->out.data, rd->out.len, rd->source->arg);
}

/* Everything that is there now. */
static int read_file(struct reader *rd, struct line_file *f)
{
        const char *line;
        size_t n;
        int r;

        while (!rd->done && (r = line_file_next(f, &line, &n)) != 0) {
                bool ok;

                if (r < 0)
                        return r;
                ok = rd->source->driver == LOG_K8S_FILE ? log_k8s_decode(line, n, &rd->entry)
                                                        : log_json_decode(line, n, &rd->entry);
                if (!ok)
                        continue; /* torn by a power cut */
                r = emit(rd);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- follow ---- */

static int watch_open(int dirfd, struct err **reterr)
{
        AUTO_CLOSE int in = line_files_watch(dirfd), parent = -EBADF;
        char path[FD_PATH_MAX];

        if (in < 0)
                return err_hint(reterr, err_sys(reterr, -in, "follow the log"),
                                "raise fs.inotify.max_user_%s, or end other followers",
                                in == -ENOSPC ? "watches" : "instances");
        /* The exit record appears one level up; a removal renames that directory. Best effort: see FOLLOW_RECHECK_NS. */
        parent = openat(dirfd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (parent >= 0)
                (void)inotify_add_watch(in, fd_path(parent, path),
                                        IN_MOVED_TO | IN_CREATE | IN_MOVE_SELF | IN_DELETE_SELF);
        return TAKE_FD(in);
}

/* Not beyond HELD_MAX: a reader that has fallen so far behind, since its own output is not read, must not keep deleted files on the
 * disk without end. */
static int look_for_more(struct reader *rd, int dirfd)
{
        static const char lost[] =
            "[kelp: lines of this log were lost: it was rotated faster than it was read]\n";

        if (rd->files.n >= HELD_MAX || line_files_more(dirfd, LOG_FILE_NAME, &rd->files) == 0)
                return 0;
        return rd->fn(LOG_STDERR, lost, sizeof(lost) - 1, rd->source->arg);
}

/* Everything that is there now; the newest file stays open. */
static int read_files(struct reader *rd, int dirfd)
{
        bool last = false;
        int r = 0;

        while (r >= 0 && rd->files.n > 0 && !last && !rd->done) {
                /* The successor is looked for before the last read of a file: once it exists, nothing is added to this one. */
                if (rd->o->follow)
                        r = look_for_more(rd, dirfd);
                last = rd->files.n == 1;
                if (r >= 0)
                        r = read_file(rd, rd->files.v[0]);
                if (!last)
                        line_files_shift(&rd->files);
        }
        return r;
}

static int say_where(const struct reader *rd)
{
        int (*fn)(void *arg) = rd->ended ? rd->o->ended : rd->o->caught_up;

        return fn ? fn(rd->source->arg) : 0;
}

/* What has come since; afterwards it may have ended. Whether it goes on is asked before: what its end wrote is read then, too. */
static int read_more(struct reader *rd)
{
        const struct log_read_opts *o = rd->o;
        bool alive = o->follow && (!o->alive || o->alive(rd->source->alive_arg));
        int r;

        if (o->follow && rd->files.n == 0)
                (void)line_files_more(rd->source->dirfd, LOG_FILE_NAME, &rd->files);
        r = read_files(rd, rd->source->dirfd);
        rd->ended = !alive || rd->done || (o->until_ns > 0 && clock_now_ns() > o->until_ns);
        return r < 0 ? r : say_where(rd);
}

static int follow_all(struct reader *v, size_t n)
{
        AUTO_FREE int *watches = xcalloc(n, sizeof(*watches));

        for (;;) {
                size_t waiting = 0;

                for (size_t i = 0; i < n; i++) {
                        int r = v[i].ended ? 0 : read_more(&v[i]);

                        if (r < 0)
                                return r;
                        if (!v[i].ended)
                                watches[waiting++] = v[i].watch;
                }
                if (waiting == 0)
                        return 0;
                line_files_wait(watches, waiting, v[0].o->until_ns, FOLLOW_RECHECK_NS);
        }
}

/* What is there. Watched before it is read: nothing that comes in between is waited for. */
static int read_chain(struct reader *rd, struct err **reterr)
{
        int r = 0;

        line_files_open(rd->source->dirfd, LOG_FILE_NAME, &rd->files);
        if (rd->o->tail >= 0)
                r = log_tail(&rd->files, rd->source->driver, rd->o->tail);
        if (r >= 0 && rd->o->follow)
                r = rd->watch = watch_open(rd->source->dirfd, reterr);
        return r < 0 ? r : read_more(rd);
}

static int check_driver(enum log_driver d, struct err **reterr)
{
        int r;

        if (d == LOG_JSON_FILE || d == LOG_K8S_FILE)
                return 0;
        r = err_new(reterr, ERR_UNSUPPORTED, "log driver '%s' keeps no log that can be read",
                    log_driver_name(d));
        return err_hint(reterr, r, "make the container with --log-driver json-file or k8s-file");
}

int log_read_several(const struct log_source *v, size_t n, const struct log_read_opts *o,
                     log_read_fn fn, struct err **reterr)
{
        struct reader *readers = xcalloc(n, sizeof(*readers));
        int r = 0;

        for (size_t i = 0; i < n; i++)
                readers[i] = (struct reader){.o = o, .source = &v[i], .fn = fn, .watch = -EBADF};
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = check_driver(v[i].driver, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = read_chain(&readers[i], reterr);
        if (r >= 0 && o->follow)
                r = follow_all(readers, n);
        if (r < 0 && reterr && !*reterr)
                r = err_sys(reterr, -r, "read the log");
        for (size_t i = 0; i < n; i++) {
                log_entry_release(&readers[i].entry);
                strbuf_release(&readers[i].out);
                line_files_release(&readers[i].files);
                (void)fd_close(readers[i].watch);
        }
        free(readers);
        return r;
}

int log_read(int dirfd, enum log_driver d, const struct log_read_opts *o, log_read_fn fn, void *arg,
             struct err **reterr)
{
        const struct log_source s = {dirfd, d, arg, o->arg};

        return log_read_several(&s, 1, o, fn, reterr);
}
