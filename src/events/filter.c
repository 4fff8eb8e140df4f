/* SPDX-License-Identifier: Apache-2.0 */
/* filter — which events a reader wants. */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "events/events.h"

#include <assert.h>
#include <string.h>

enum filter_key {
        FILTER_TYPE,
        FILTER_EVENT,
        FILTER_LABEL,
        FILTER_SCOPE,
        FILTER_DAEMON,
        FILTER_CONTAINER, /* from here on: a type, and its object's id or name */
        FILTER_IMAGE,
        FILTER_VOLUME,
        FILTER_NETWORK,
        FILTER_POD,
        FILTER_SECRET,
        FILTER_COUNT
};
static const char *const key_names[] = {
    [FILTER_TYPE] = "type",   [FILTER_EVENT] = "event",   [FILTER_LABEL] = "label",
    [FILTER_SCOPE] = "scope", [FILTER_DAEMON] = "daemon", [FILTER_CONTAINER] = "container",
    [FILTER_IMAGE] = "image", [FILTER_VOLUME] = "volume", [FILTER_NETWORK] = "network",
    [FILTER_POD] = "pod",     [FILTER_SECRET] = "secret",
};
static_assert(ARRAY_SIZE(key_names) == FILTER_COUNT, "every filter has a name");

struct event_filter {
        struct strv values[FILTER_COUNT];
};

struct event_filter *event_filter_free(struct event_filter *f)
{
        if (!f)
                return NULL;
        for (size_t i = 0; i < FILTER_COUNT; i++)
                strv_release(&f->values[i]);
        free(f);
        return NULL;
}

static int add(struct event_filter *f, const char *text, struct err **reterr)
{
        const char *eq = strchr(text, '=');
        AUTO_STRBUF known = {0};
        int r;

        if (!eq)
                return err_new(reterr, ERR_USAGE, "filter '%s': expected KEY=VALUE", text);
        for (size_t i = 0; i < FILTER_COUNT; i++) {
                if (strlen(key_names[i]) == (size_t)(eq - text) &&
                    memcmp(key_names[i], text, (size_t)(eq - text)) == 0) {
                        strv_add(&f->values[i], eq + 1);
                        return 0;
                }
                strbuf_addf(&known, "%s%s", i ? ", " : "", key_names[i]);
        }
        r = err_new(reterr, ERR_USAGE, "unknown filter '%.*s'", (int)(eq - text), text);
        return err_hint(reterr, r, "known filters: %s", known.data);
}

int event_filter_parse(const struct strv *filters, struct event_filter **ret, struct err **reterr)
{
        AUTO(event_filter_freep) struct event_filter *f = xnew(struct event_filter);

        for (size_t i = 0; i < filters->n; i++) {
                int r = add(f, filters->v[i], reterr);

                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

static const char *text_of(struct json_object *o, const char *key)
{
        struct json_object *v = NULL;

        if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string))
                return "";
        return json_object_get_string(v);
}

/* "exec_create: sh" and "health_status: healthy" answer to their first word too. */
static bool action_is(const char *action, const char *want)
{
        size_t n = strlen(want);

        return strncmp(action, want, n) == 0 && (!action[n] || strncmp(action + n, ": ", 2) == 0);
}

static bool labels_match(const struct strv *labels, struct json_object *attributes)
{
        for (size_t i = 0; i < labels->n; i++) {
                const char *eq = strchr(labels->v[i], '=');
                AUTO_FREE char *key = eq ? xstrndup(labels->v[i], (size_t)(eq - labels->v[i]))
                                         : xstrdup(labels->v[i]);

                if (!json_object_object_get_ex(attributes, key, NULL) ||
                    (eq && strcmp(text_of(attributes, key), eq + 1) != 0))
                        return false;
        }
        return true;
}

/* Of an object: its id, the beginning of a hexadecimal one, or its name. A container's events also belong to its image, and a volume's or
 * network's to the container that uses it. */
static bool object_matches(enum filter_key key, const char *want, const char *type, const char *id,
                           struct json_object *attributes)
{
        if (strcmp(type, key_names[key]) != 0) {
                const char *other = text_of(attributes, key_names[key]);

                return *other && (strcmp(other, want) == 0 || str_starts(other, want));
        }
        if (strcmp(id, want) == 0 || strcmp(text_of(attributes, "name"), want) == 0)
                return true;
        return strlen(want) >= 2 && strspn(want, "0123456789abcdef") == strlen(want) &&
               str_is_hex(id, 64) && str_starts(id, want);
}

static bool value_matches(enum filter_key key, const char *want, struct json_object *event)
{
        struct json_object *actor = NULL, *attributes = NULL;

        (void)json_object_object_get_ex(event, "Actor", &actor);
        (void)json_object_object_get_ex(actor, "Attributes", &attributes);
        switch (key) {
        case FILTER_TYPE:
                return strcmp(text_of(event, "Type"), want) == 0;
        case FILTER_EVENT:
                return action_is(text_of(event, "Action"), want);
        case FILTER_SCOPE:
                return strcmp(text_of(event, "scope"), want) == 0;
        case FILTER_DAEMON:
                return true; /* there is none that it could have come from but this */
        case FILTER_CONTAINER:
        case FILTER_IMAGE:
        case FILTER_VOLUME:
        case FILTER_NETWORK:
        case FILTER_POD:
        case FILTER_SECRET:
                return object_matches(key, want, text_of(event, "Type"), text_of(actor, "ID"),
                                      attributes);
        case FILTER_LABEL:
        case FILTER_COUNT:
                break;
        }
        return false;
}

bool event_filter_match(const struct event_filter *f, struct json_object *event)
{
        struct json_object *actor = NULL, *attributes = NULL;

        if (!f)
                return true;
        for (size_t k = 0; k < FILTER_COUNT; k++) {
                bool any = f->values[k].n == 0;

                if (k == FILTER_LABEL)
                        continue;
                for (size_t i = 0; i < f->values[k].n && !any; i++)
                        any = value_matches((enum filter_key)k, f->values[k].v[i], event);
                if (!any)
                        return false;
        }
        (void)json_object_object_get_ex(event, "Actor", &actor);
        (void)json_object_object_get_ex(actor, "Attributes", &attributes);
        return labels_match(&f->values[FILTER_LABEL], attributes);
}
