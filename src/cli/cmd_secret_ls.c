/* SPDX-License-Identifier: Apache-2.0 */
/* kelp secret ls */
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "secret/secret.h"

#include <errno.h>
#include <string.h>

struct ls_args {
        struct strv filters;
        char *format;
        bool quiet, no_heading;
};
#define F(f) offsetof(struct ls_args, f)
static const struct opt ls_opts[] = {
    {"filter", 'f', OPT_STRV, F(filters), "KEY=VALUE", "id, label, name; of one key any may match",
     .values = "id= label= name="},
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, table, table TEMPLATE or TEMPLATE",
     .values = "json table"},
    {"noheading", 'n', OPT_BOOL, F(no_heading), NULL, "Leave the headings out"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show ids only"},
    {0},
};
#undef F
static const struct opt_section ls_sections[] = {{ls_opts, NULL, 0, false}, {0}};

#define TABLE "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}"
static const struct column columns[] = {
    {"CreatedAt", "CREATED"}, {"Driver", "DRIVER"},     {"ID", "ID"}, {"Labels", "LABELS"},
    {"Name", "NAME"},         {"UpdatedAt", "UPDATED"}, {NULL, NULL},
};

static bool label_matches(const struct secret *s, const char *want)
{
        AUTO_FREE char *key = xstrndup(want, strcspn(want, "="));
        const char *has = strv_env_get(&s->labels, key), *value = strchr(want, '=');

        return has && (!value || strcmp(has, value + 1) == 0);
}

static int matches_one(const struct secret *s, const char *key, const char *value)
{
        if (strcmp(key, "id") == 0)
                return str_starts(s->id, value);
        if (strcmp(key, "name") == 0)
                return strstr(s->name, value) != NULL;
        return label_matches(s, value);
}

static int check_filters(const struct strv *filters, struct err **reterr)
{
        for (size_t i = 0; i < filters->n; i++) {
                const char *f = filters->v[i];

                if (str_starts(f, "id=") || str_starts(f, "name=") || str_starts(f, "label="))
                        continue;
                (void)err_new(reterr, ERR_USAGE, "option '--filter': unknown filter '%s'", f);
                return err_hint(reterr, -EINVAL, "filters are id=, name= and label=");
        }
        return 0;
}

/* Of one key any value may match, of labels all must; every key must. */
static bool matches(const struct secret *s, const struct strv *filters)
{
        static const char *const keys[] = {"id", "name", "label"};

        for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
                bool asked = false, any = false, all = true;

                for (size_t i = 0; i < filters->n; i++) {
                        size_t n = strlen(keys[k]);
                        bool match;

                        if (!str_starts(filters->v[i], keys[k]) || filters->v[i][n] != '=')
                                continue;
                        match = matches_one(s, keys[k], filters->v[i] + n + 1);
                        asked = true;
                        any = any || match;
                        all = all && match;
                }
                if (asked && !(strcmp(keys[k], "label") == 0 ? all : any))
                        return false;
        }
        return true;
}

static void add_ago(struct json_object *row, const char *key, int64_t ns)
{
        char human[64];
        AUTO_FREE char *text =
            xasprintf("%s ago", clock_human(clock_now_ns() - ns, human, sizeof(human)));

        json_add_string(row, key, text);
}

static struct json_object *make_row(const struct secret *s)
{
        struct json_object *row = json_object_new_object();
        AUTO_STRBUF labels = {0};

        for (size_t i = 0; i < s->labels.n; i++)
                strbuf_addf(&labels, "%s%s", i > 0 ? "," : "", s->labels.v[i]);
        add_ago(row, "CreatedAt", s->created_ns);
        json_add_string(row, "Driver", SECRET_DRIVER);
        json_add_string(row, "ID", s->id);
        json_add_string(row, "Labels", labels.data ? labels.data : "");
        json_add_string(row, "Name", s->name);
        add_ago(row, "UpdatedAt", s->updated_ns);
        return row;
}

/* @arg: the row's secret. */
static const char *label_value(const char *name, const void *arg)
{
        const struct secret *const *s = arg;

        return strv_env_get(&(*s)->labels, name);
}

static int ls(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct ls_args *a = args;
        const struct secret *current = NULL; /* for its labels */
        struct output_opts o = {.format = a->format,
                                .quiet = a->quiet,
                                .no_heading = a->no_heading,
                                .quiet_field = "ID",
                                .table = TABLE,
                                .columns = columns,
                                .label = label_value,
                                .arg = &current};
        AUTO(output_freep) struct output *out = NULL;
        struct secret **v = NULL;
        struct dirs *d;
        size_t n = 0;
        int r;

        (void)operands;
        if ((r = check_filters(&a->filters, reterr)) < 0 ||
            (r = output_new(&o, &out, reterr)) < 0 || (r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = secret_list(d, &v, &n, reterr)) < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                AUTO_JSON *row = NULL;

                if (!matches(v[i], &a->filters))
                        continue;
                current = v[i];
                row = make_row(v[i]);
                r = output_row(out, row, reterr);
        }
        secret_list_free(v, n);
        return r < 0 ? r : output_finish(out, reterr);
}

const struct verb verb_secret_ls = {
    .names = {"secret ls", "secret list"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "List secrets",
    .sections = ls_sections,
    .args_size = sizeof(struct ls_args),
    .run = ls,
};
