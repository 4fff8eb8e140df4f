/* SPDX-License-Identifier: Apache-2.0 */
/* read — the log from its oldest file to its newest, and what comes after. */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/line_files.h"
#include "events/events.h"
#include "events/events_internal.h"

#include <errno.h>

#define RECHECK_NS                                                                                 \
        60000000000LL /* inotify tells of everything; this is for file systems where it does not */

struct reader {
        const struct event_read_opts *o;
        event_fn fn;
        void *arg;
        int dir;
        struct line_file *file; /* the newest that has been begun */
};

int64_t event_time_ns(struct json_object *event)
{
        struct json_object *v = NULL;

        if (!json_object_object_get_ex(event, "timeNano", &v) ||
            !json_object_is_type(v, json_type_int))
                return 0;
        return json_object_get_int64(v);
}

/* Whoever prints an event may rely on these. */
static bool is_event(struct json_object *o)
{
        struct json_at root = json_root(o, "event"), actor;
        const char *s;

        if (json_want_object(&root, NULL) < 0 || json_get_string(&root, "Type", &s, NULL) < 0 ||
            json_get_string(&root, "Action", &s, NULL) < 0)
                return false;
        actor = json_key(&root, "Actor");
        return json_object_is_type(actor.obj, json_type_object) &&
               json_get_string(&actor, "ID", &s, NULL) >= 0 &&
               json_object_is_type(json_key(&actor, "Attributes").obj, json_type_object) &&
               event_time_ns(o) > 0;
}

struct json_object *event_parse(const char *line, size_t n)
{
        struct json_object *o = NULL;

        if (json_parse(line, n, "event", &o, NULL) < 0)
                return NULL;
        return is_event(o) ? o : json_unref(o);
}

/* All that the file holds now. 0, or what ended it. */
static int read_file(struct reader *rd, struct err **reterr)
{
        const char *line;
        size_t n;
        int r;

        while ((r = line_file_next(rd->file, &line, &n)) > 0) {
                AUTO_JSON *event = event_parse(line, n);
                int64_t at;

                if (!event)
                        continue;
                at = event_time_ns(event);
                if (at < rd->o->since_ns || (rd->o->until_ns > 0 && at > rd->o->until_ns))
                        continue;
                r = rd->fn(event, rd->arg, reterr);
                if (r != 0)
                        return r;
        }
        return r < 0 ? err_sys(reterr, -r, "read the log of events") : 0;
}

/* From the file that has been begun to the current one. */
static int catch_up(struct reader *rd, struct err **reterr)
{
        for (;;) {
                struct line_file *next = NULL;
                /* Before the last read of this one: once its successor exists nothing is added to it. */
                int more = rd->file ? line_files_next(rd->dir, EVENTS_LOG, rd->file, &next) : 0;
                int r = rd->file ? read_file(rd, reterr) : 0;

                if (r != 0 || more <= 0) {
                        (void)line_file_free(next);
                        return r;
                }
                (void)line_file_free(rd->file);
                rd->file = next;
        }
}

static int read_all(struct reader *rd, struct err **reterr)
{
        struct line_files all;
        int r = 0;

        line_files_open(rd->dir, EVENTS_LOG, &all);
        for (size_t i = 0; i < all.n && r == 0; i++) {
                rd->file = line_file_free(rd->file);
                rd->file = TAKE_PTR(all.v[i]);
                r = read_file(rd, reterr);
        }
        line_files_release(&all);
        return r;
}

static int follow(struct reader *rd, struct err **reterr)
{
        AUTO_CLOSE int watch = line_files_watch(rd->dir);
        int r;

        if (watch < 0)
                return err_hint(reterr, err_sys(reterr, -watch, "follow the log of events"),
                                "raise fs.inotify.max_user_%s",
                                watch == -ENOSPC ? "watches" : "instances");
        for (;;) {
                bool over = rd->o->until_ns > 0 && clock_now_ns() > rd->o->until_ns;

                r = rd->file ? catch_up(rd, reterr) : read_all(rd, reterr);
                if (r != 0 || over)
                        return r;
                line_files_wait(&watch, 1, rd->o->until_ns, RECHECK_NS);
        }
}

int event_read(const struct dirs *d, const struct event_read_opts *o, event_fn fn, void *arg,
               struct err **reterr)
{
        AUTO_CLOSE int dir = dirs_sub(d, EVENTS_DIR, reterr);
        struct reader rd = {.o = o, .fn = fn, .arg = arg, .dir = dir};
        int r;

        if (dir < 0)
                return dir;
        r = read_all(&rd, reterr);
        if (r == 0 && o->follow)
                r = follow(&rd, reterr);
        (void)line_file_free(rd.file);
        return r;
}
