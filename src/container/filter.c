/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter — the filters of ps. Several values of one key: any of them must match (of labels: all); several keys: every one.
 * Everything is looked up when the filter is parsed, so that matching touches no file.
 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/moment.h"
#include "base/parse.h"
#include "container/container_internal.h"
#include "container/ports.h"
#include "image/store.h"

#include <assert.h>
#include <fnmatch.h>
#include <regex.h>
#include <string.h>

enum filter_key {
        FILTER_ID,
        FILTER_NAME,
        FILTER_LABEL,
        FILTER_STATUS,
        FILTER_EXITED,
        FILTER_ANCESTOR,
        FILTER_BEFORE,
        FILTER_SINCE,
        FILTER_NETWORK,
        FILTER_VOLUME,
        FILTER_HEALTH,
        FILTER_IS_TASK,
        FILTER_ISOLATION,
        FILTER_PUBLISH,
        FILTER_EXPOSE,
        FILTER_NOT_LABEL,
        FILTER_UNTIL,
        FILTER_RESTART_POLICY,
        FILTER_START_ON_BOOT,
        FILTER_POD,
        FILTER_COUNT
};
static const char *const key_names[] = {
    [FILTER_ID] = "id",
    [FILTER_NAME] = "name",
    [FILTER_LABEL] = "label",
    [FILTER_STATUS] = "status",
    [FILTER_EXITED] = "exited",
    [FILTER_ANCESTOR] = "ancestor",
    [FILTER_BEFORE] = "before",
    [FILTER_SINCE] = "since",
    [FILTER_NETWORK] = "network",
    [FILTER_VOLUME] = "volume",
    [FILTER_HEALTH] = "health",
    [FILTER_IS_TASK] = "is-task",
    [FILTER_ISOLATION] = "isolation",
    [FILTER_PUBLISH] = "publish",
    [FILTER_EXPOSE] = "expose",
    [FILTER_NOT_LABEL] = "label!",
    [FILTER_UNTIL] = "until",
    [FILTER_RESTART_POLICY] = "restart-policy",
    [FILTER_START_ON_BOOT] = "should-start-on-boot",
    [FILTER_POD] = "pod",
};
static_assert(ARRAY_SIZE(key_names) == FILTER_COUNT, "every filter has a name");

/* What a command's filters may be, and the words that name them in its errors. */
#define BIT(key) (1U << (key))
#define OF_PRUNE (BIT(FILTER_LABEL) | BIT(FILTER_NOT_LABEL) | BIT(FILTER_UNTIL))
#define OF_PS    (~(BIT(FILTER_NOT_LABEL) | BIT(FILTER_UNTIL)))
static const struct filter_set {
        unsigned keys;
        const char *names;
} of_ps = {OF_PS, "ancestor before exited expose health id is-task isolation label name network "
                  "pod publish restart-policy should-start-on-boot since status volume"},
  of_prune = {OF_PRUNE, "label label! until"};

struct container_filter {
        struct strv values[FILTER_COUNT];
        regex_t *names; /* one per name value; Docker matches names as regular expressions */
        size_t n_names;
        int64_t before_ns, since_ns;            /* 0: none */
        struct port_range *published, *exposed; /* one per value */
};

struct container_filter *container_filter_free(struct container_filter *f)
{
        if (!f)
                return NULL;
        for (size_t i = 0; i < FILTER_COUNT; i++)
                strv_release(&f->values[i]);
        for (size_t i = 0; i < f->n_names; i++)
                regfree(&f->names[i]);
        free(f->names);
        free(f->published);
        free(f->exposed);
        free(f);
        return NULL;
}

static bool is_status(const char *value)
{
        for (int s = 0; s < CONTAINER_STATUS_COUNT; s++) {
                if (strcmp(container_status_name((enum container_status)s), value) == 0)
                        return true;
        }
        return false;
}

static int add_name(struct container_filter *f, const char *value, struct err **reterr)
{
        f->names = xrealloc(f->names, f->n_names + 1, sizeof(*f->names));
        if (regcomp(&f->names[f->n_names], value, REG_EXTENDED | REG_NOSUB) != 0)
                return err_new(reterr, ERR_USAGE, "filter name: '%s' is no regular expression",
                               value);
        f->n_names++;
        return 0;
}

static int add_moment(const struct dirs *d, const char *value, int64_t *ret, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        int r = container_find(d, value, &c, reterr);

        if (r >= 0)
                *ret = c->created_ns;
        return r;
}

/* An ancestor is found by its name as the container was made, by its id, or as the image that a name leads to now. */
static void add_ancestor(const struct dirs *d, struct container_filter *f, const char *value)
{
        AUTO(image_freep) struct image *image = NULL;

        if (store_resolve(d, value, &image, NULL) >= 0)
                strv_add(&f->values[FILTER_ANCESTOR], image->id);
}

/* Several: before the earliest of them. */
static int add_until(struct container_filter *f, const char *value, struct err **reterr)
{
        int64_t ns;
        int r;

        if (moment_parse(value, &ns) < 0) {
                r = err_new(reterr, ERR_USAGE,
                            "filter until: '%s' is neither a time nor a duration", value);
                return err_hint(reterr, r, MOMENT_HINT);
        }
        if (!f->before_ns || ns < f->before_ns)
                f->before_ns = ns;
        return 0;
}

static int add_port(struct port_range **ranges, size_t n, const char *key, const char *value,
                    struct err **reterr)
{
        int r;

        *ranges = xrealloc(*ranges, n, sizeof(**ranges));
        if (port_range_parse(value, &(*ranges)[n - 1]) >= 0)
                return 0;
        r = err_new(reterr, ERR_USAGE, "filter %s: '%s' is no port", key, value);
        return err_hint(reterr, r, "80, 80/udp, or a range as 8000-8010/tcp");
}

/* One of @words. */
static int check_word(const char *key, const char *value, const char *const *words,
                      struct err **reterr)
{
        AUTO_STRBUF known = {0};
        int r;

        for (size_t i = 0; words[i]; i++) {
                if (strcmp(words[i], value) == 0)
                        return 0;
                strbuf_addf(&known, "%s%s", i ? " " : "", words[i]);
        }
        r = err_new(reterr, ERR_USAGE, "filter %s: unknown value '%s'", key, value);
        return err_hint(reterr, r, "one of: %s", known.data);
}

/* A name becomes its id; what is none may be the beginning of one. */
static void add_pod(const struct dirs *d, struct container_filter *f, const char *value)
{
        AUTO(container_freep) struct container *c = NULL;
        struct strv *values = &f->values[FILTER_POD];

        if (container_find(d, value, &c, NULL) < 0 || !c->is_infra)
                return;
        free(values->v[values->n - 1]);
        values->v[values->n - 1] = xstrdup(c->id);
}

static int add_value(const struct dirs *d, struct container_filter *f, enum filter_key key,
                     const char *value, struct err **reterr)
{
        static const char *const healths[] = {"none", "starting", "healthy", "unhealthy", NULL};
        static const char *const isolations[] = {"default", "process", "hyperv", NULL};
        struct restart_policy policy;
        int64_t code;
        bool on;
        int r;

        strv_add(&f->values[key], value);
        switch (key) {
        case FILTER_NAME:
                return add_name(f, value, reterr);
        case FILTER_STATUS:
                if (is_status(value))
                        return 0;
                r = err_new(reterr, ERR_USAGE, "filter status: unknown status '%s'", value);
                return err_hint(reterr, r,
                                "one of: created restarting running removing paused exited dead");
        case FILTER_EXITED:
                if (parse_i64(value, &code) < 0)
                        return err_new(reterr, ERR_USAGE, "filter exited: '%s' is no number",
                                       value);
                return 0;
        case FILTER_POD:
                add_pod(d, f, value);
                return 0;
        case FILTER_ANCESTOR:
                add_ancestor(d, f, value);
                return 0;
        case FILTER_BEFORE:
                return add_moment(d, value, &f->before_ns, reterr);
        case FILTER_SINCE:
                return add_moment(d, value, &f->since_ns, reterr);
        case FILTER_HEALTH:
                return check_word("health", value, healths, reterr);
        case FILTER_ISOLATION:
                return check_word("isolation", value, isolations, reterr);
        case FILTER_RESTART_POLICY:
                r = restart_policy_parse(value, &policy, reterr);
                return r < 0 ? err_wrap(reterr, r, "filter restart-policy") : 0;
        case FILTER_IS_TASK:
        case FILTER_START_ON_BOOT:
                if (parse_bool(value, &on) >= 0)
                        return 0;
                return err_new(reterr, ERR_USAGE, "filter %s: '%s' is not a truth value",
                               key_names[key], value);
        case FILTER_PUBLISH:
                return add_port(&f->published, f->values[key].n, "publish", value, reterr);
        case FILTER_EXPOSE:
                return add_port(&f->exposed, f->values[key].n, "expose", value, reterr);
        case FILTER_UNTIL:
                return add_until(f, value, reterr);
        case FILTER_ID:
        case FILTER_LABEL:
        case FILTER_NOT_LABEL:
        case FILTER_NETWORK:
        case FILTER_VOLUME:
        case FILTER_COUNT:
                break;
        }
        return 0;
}

static int add_filter(const struct dirs *d, struct container_filter *f,
                      const struct filter_set *set, const char *text, struct err **reterr)
{
        const char *eq = strchr(text, '=');
        size_t n = eq ? (size_t)(eq - text) : 0;
        int r;

        if (!eq)
                return err_new(reterr, ERR_USAGE, "filter '%s' is not of the form KEY=VALUE", text);
        for (int key = 0; key < FILTER_COUNT; key++) {
                if ((set->keys & BIT(key)) && strlen(key_names[key]) == n &&
                    memcmp(key_names[key], text, n) == 0)
                        return add_value(d, f, (enum filter_key)key, eq + 1, reterr);
        }
        r = err_new(reterr, ERR_USAGE, "unknown filter '%.*s'", (int)n, text);
        return err_hint(reterr, r, "known: %s", set->names);
}

static int parse_filters(const struct dirs *d, char *const *filters, const struct filter_set *set,
                         struct container_filter **ret, struct err **reterr)
{
        AUTO(container_filter_freep) struct container_filter *f = xnew(struct container_filter);

        for (size_t i = 0; filters && filters[i]; i++) {
                int r = add_filter(d, f, set, filters[i], reterr);

                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

int container_filter_parse(const struct dirs *d, char *const *filters,
                           struct container_filter **ret, struct err **reterr)
{
        return parse_filters(d, filters, &of_ps, ret, reterr);
}

int container_prune_filter_parse(const struct dirs *d, char *const *filters,
                                 struct container_filter **ret, struct err **reterr)
{
        return parse_filters(d, filters, &of_prune, ret, reterr);
}

/* ---- matching ---- */

static struct json_object *get(struct json_object *o, const char *key)
{
        struct json_object *v = NULL;

        if (o && json_object_is_type(o, json_type_object))
                (void)json_object_object_get_ex(o, key, &v);
        return v;
}

static bool match_label(struct container *c, const char *want)
{
        struct json_object *labels = get(get(container_config(c), "Config"), "Labels");
        const char *eq = strchr(want, '=');
        AUTO_FREE char *key = eq ? xstrndup(want, (size_t)(eq - want)) : xstrdup(want);
        struct json_object *value = NULL;

        if (!labels || !json_object_object_get_ex(labels, key, &value))
                return false;
        return !eq || strcmp(json_object_get_string(value), eq + 1) == 0;
}

static bool match_volume(struct container *c, const char *want)
{
        struct json_object *mounts = get(container_config(c), "Mounts");
        size_t n = mounts ? json_object_array_length(mounts) : 0;

        for (size_t i = 0; i < n; i++) {
                struct json_object *m = json_object_array_get_idx(mounts, i);
                const char *name = json_object_get_string(get(m, "Name"));
                const char *source = json_object_get_string(get(m, "Source"));
                const char *target = json_object_get_string(get(m, "Destination"));

                if ((name && strcmp(name, want) == 0) || (source && strcmp(source, want) == 0) ||
                    (target && strcmp(target, want) == 0))
                        return true;
        }
        return false;
}

static bool match_ancestor(const struct container *c, const char *want)
{
        const char *hex = str_starts(c->image_id, "sha256:") ? c->image_id + 7 : c->image_id;

        if (strcmp(c->image_name, want) == 0 || strcmp(c->image_id, want) == 0)
                return true;
        return strlen(want) >= 12 && str_starts(hex, want);
}

static bool match_policy(struct container *c, const char *want)
{
        struct restart_policy has = restart_policy_from_config(container_config(c)), wanted;

        return restart_policy_parse(want, &wanted, NULL) >= 0 && wanted.mode == has.mode &&
               (!strchr(want, ':') || wanted.max == has.max);
}

/* What Docker's daemon starts when it comes up: it has been started once, and nobody has stopped it, or that does not count. */
static bool starts_on_boot(struct container *c)
{
        enum restart_mode mode = restart_policy_from_config(container_config(c)).mode;

        if (c->status == CONTAINER_CREATED && !c->error)
                return false;
        return mode == RESTART_ALWAYS || (mode == RESTART_UNLESS_STOPPED && !c->stopped);
}

static bool match_one(enum filter_key key, struct container *c, const char *want)
{
        struct json_object *mode;
        bool wanted = false;
        int64_t code;

        switch (key) {
        case FILTER_ID:
                return str_starts(c->id, want);
        case FILTER_LABEL:
                return match_label(c, want);
        case FILTER_STATUS:
                return strcmp(container_status_name(c->status), want) == 0;
        case FILTER_EXITED:
                return c->status == CONTAINER_EXITED && parse_i64(want, &code) >= 0 &&
                       code == c->exit_code;
        case FILTER_ANCESTOR:
                return match_ancestor(c, want);
        case FILTER_NETWORK:
                mode = get(get(container_config(c), "HostConfig"), "NetworkMode");
                return strcmp(mode ? json_object_get_string(mode) : "none", want) == 0;
        case FILTER_VOLUME:
                return match_volume(c, want);
        case FILTER_HEALTH:
                return strcmp(want, c->health ? c->health : "none") == 0;
        case FILTER_ISOLATION:
                return strcmp(want, "default") == 0; /* the others are words of another system */
        case FILTER_IS_TASK:
                return parse_bool(want, &wanted) >= 0 &&
                       !wanted; /* there are no services to be part of */
        case FILTER_RESTART_POLICY:
                return match_policy(c, want);
        case FILTER_START_ON_BOOT:
                return parse_bool(want, &wanted) >= 0 && wanted == starts_on_boot(c);
        case FILTER_NOT_LABEL:
                return !match_label(c, want);
        case FILTER_POD:
                return *want && str_starts(c->is_infra ? c->id : c->pod_id, want);
        case FILTER_PUBLISH:
        case FILTER_EXPOSE:
        case FILTER_UNTIL:
        case FILTER_NAME:
        case FILTER_BEFORE:
        case FILTER_SINCE:
        case FILTER_COUNT:
                break;
        }
        return true;
}

static bool match_names(const struct container_filter *f, const struct container *c)
{
        AUTO_FREE char *slash = NULL;

        if (f->n_names == 0)
                return true;
        slash = xasprintf(
            "/%s", c->name); /* Docker's names begin with one, and patterns may say "^/web$" */
        for (size_t i = 0; i < f->n_names; i++) {
                if (regexec(&f->names[i], c->name, 0, NULL, 0) == 0 ||
                    regexec(&f->names[i], slash, 0, NULL, 0) == 0)
                        return true;
        }
        return false;
}

/* @by_host: of the port on the host, as "publish" is; else of the container's. */
static bool match_ports(const struct port_range *wanted, size_t n, bool by_host,
                        struct container *c)
{
        AUTO(port_list_release) struct port_list ports = {0};

        if (n == 0)
                return true;
        container_ports(c, !by_host, &ports);
        for (size_t i = 0; i < ports.n; i++) {
                for (size_t k = 0; k < n; k++) {
                        if (port_range_has(&wanted[k], &ports.v[i], by_host))
                                return true;
                }
        }
        return false;
}

static bool match_key(const struct container_filter *f, enum filter_key key, struct container *c)
{
        const struct strv *v = &f->values[key];
        bool all = key == FILTER_LABEL || key == FILTER_NOT_LABEL;

        for (size_t i = 0; i < v->n; i++) {
                if (match_one(key, c, v->v[i]) != all)
                        return !all;
        }
        return v->n == 0 || all;
}

bool container_filter_match(const struct container_filter *f, struct container *c)
{
        if (f->before_ns && c->created_ns >= f->before_ns)
                return false;
        if (f->since_ns && c->created_ns <= f->since_ns)
                return false;
        for (int key = 0; key < FILTER_COUNT; key++) {
                /* Not value by value: below, and above. */
                if (key == FILTER_NAME || key == FILTER_BEFORE || key == FILTER_SINCE ||
                    key == FILTER_UNTIL || key == FILTER_PUBLISH || key == FILTER_EXPOSE)
                        continue;
                if (!match_key(f, (enum filter_key)key, c))
                        return false;
        }
        return match_names(f, c) &&
               match_ports(f->published, f->values[FILTER_PUBLISH].n, true, c) &&
               match_ports(f->exposed, f->values[FILTER_EXPOSE].n, false, c);
}
