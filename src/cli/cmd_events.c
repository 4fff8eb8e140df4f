/* SPDX-License-Identifier: Apache-2.0 */
/* kelp events */
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/time_arg.h"
#include "cli/verb.h"
#include "events/events.h"
#include "template/template.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct events_args {
        struct strv filters;
        char *since, *until, *format;
        int stream;
};
#define F(f) offsetof(struct events_args, f)
static const struct opt opts[] = {
    {"filter", 'f', OPT_STRV, F(filters), "KEY=VALUE",
     "container, daemon, event, image, label, network, pod, scope, secret, type, volume"},
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json or TEMPLATE"},
    {"since", 0, OPT_STRING, F(since), "TIME",
     "Begin with what was then: 2026-01-31T12:00:00Z, or 10m for ten minutes ago"},
    {"stream", 0, OPT_TRI, F(stream), NULL,
     "With =false: end after what has happened so far, instead of waiting for more"},
    {"until", 0, OPT_STRING, F(until), "TIME", "End with what was then"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

struct printer {
        struct template *template;
        struct event_filter *filter;
        bool json;
};

static const char *member_text(struct json_object *o, const char *key)
{
        struct json_object *v = NULL;

        return json_object_object_get_ex(o, key, &v) && v ? json_object_get_string(v) : "";
}

/* "2026-01-31T12:00:00.000000000+01:00" */
static void add_time(struct strbuf *b, int64_t ns)
{
        time_t t = (time_t)(ns / 1000000000);
        struct tm tm;
        char date[32], zone[8];

        if (!localtime_r(&t, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) ||
            !strftime(zone, sizeof(zone), "%z", &tm))
                return;
        strbuf_addf(b, "%s.%09" PRId64 "%.3s:%s", date, ns % 1000000000, zone, zone + 3);
}

static int by_key(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "(image=debian, name=web)", sorted as Docker sorts them. */
static void add_attributes(struct strbuf *b, struct json_object *attributes)
{
        size_t n = (size_t)json_object_object_length(attributes), i = 0;
        const char **keys = xcalloc(n + 1, sizeof(*keys));

        json_object_object_foreach(attributes, key, value)
        {
                (void)value; /* looked up again, in order */
                keys[i++] = key;
        }
        qsort(keys, n, sizeof(*keys), by_key);
        for (i = 0; i < n; i++) {
                const char *text = member_text(attributes, keys[i]);

                strbuf_add(b, i ? ", " : " (");
                strbuf_add_printable(b, keys[i], strlen(keys[i]));
                strbuf_add(b, "=");
                strbuf_add_printable(b, text, strlen(text));
        }
        strbuf_add(b, n ? ")" : "");
        free(keys);
}

static void add_text(struct strbuf *b, struct json_object *event)
{
        struct json_object *actor = NULL, *attributes = NULL;
        const char *action = member_text(event, "Action");

        (void)json_object_object_get_ex(event, "Actor", &actor);
        (void)json_object_object_get_ex(actor, "Attributes", &attributes);
        add_time(b, event_time_ns(event));
        strbuf_addf(b, " %s ", member_text(event, "Type"));
        strbuf_add_printable(b, action, strlen(action));
        strbuf_addf(b, " %s", member_text(actor, "ID"));
        add_attributes(b, attributes);
}

/* What older clients of Docker read: of containers only. */
static void add_old_names(struct json_object *event)
{
        struct json_object *actor = NULL, *attributes = NULL;

        if (strcmp(member_text(event, "Type"), "container") != 0)
                return;
        (void)json_object_object_get_ex(event, "Actor", &actor);
        (void)json_object_object_get_ex(actor, "Attributes", &attributes);
        json_add_string(event, "status", member_text(event, "Action"));
        json_add_string(event, "id", member_text(actor, "ID"));
        json_add_string(event, "from", member_text(attributes, "image"));
}

static int print_event(struct json_object *event, void *arg, struct err **reterr)
{
        static const struct template_opts maps = {.maps = template_docker_maps};
        const struct printer *p = arg;
        AUTO_STRBUF b = {0};
        int r = 0;

        if (!event_filter_match(p->filter, event))
                return 0;
        add_old_names(event);
        if (p->json)
                json_write(&b, event, 0);
        else if (p->template)
                r = template_execute(p->template, event, &maps, &b, reterr);
        else
                add_text(&b, event);
        if (r < 0)
                return r;
        strbuf_add(&b, "\n");
        r = output_rendered(&b, reterr);
        if (r >= 0 && fflush(stdout) != 0)
                return 1; /* the reader has seen enough */
        return r < 0 ? r : 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct events_args *a = args;
        AUTO(event_filter_freep) struct event_filter *filter = NULL;
        AUTO(template_freep) struct template *template = NULL;
        struct event_read_opts o = {.since_ns = clock_now_ns(), .follow = a->stream != OPT_FALSE};
        struct printer p = {.json = a->format && strcmp(a->format, "json") == 0};
        struct dirs *d;
        int r = time_arg_parse("since", a->since, &o.since_ns, reterr);

        if (r >= 0)
                r = time_arg_parse("until", a->until, &o.until_ns, reterr);
        if (r >= 0)
                r = event_filter_parse(&a->filters, &filter, reterr);
        if (r >= 0 && a->format && !p.json)
                r = template_parse(a->format, TEMPLATE_ESCAPES, &template, reterr);
        if (r >= 0)
                r = cli_dirs(cli, &d, reterr);
        if (r < 0)
                return r;
        /* Without a beginning everything that the log still holds is shown, unless there is more to wait for. */
        if (!a->since && (a->until || !o.follow))
                o.since_ns = 0;
        p.filter = filter;
        p.template = template;
        r = event_read(d, &o, print_event, &p, reterr);
        return r < 0 ? r : 0;
}

const struct verb verb_events = {
    .names = {"events", "system events"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "Show what happens to containers, images and volumes",
    .sections = sections,
    .args_size = sizeof(struct events_args),
    .run = run,
};
