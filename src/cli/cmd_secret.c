/* SPDX-License-Identifier: Apache-2.0 */
/* kelp secret create, inspect, rm, exists */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "secret/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- create ---- */

struct create_args {
        char *driver;
        struct strv labels;
        bool env, replace, ignore;
};
#define F(f) offsetof(struct create_args, f)
static const struct opt create_opts[] = {
    {"driver", 'd', OPT_STRING, F(driver), "DRIVER", "file, the only one there is",
     .values = "file"},
    {"env", 0, OPT_BOOL, F(env), NULL, "The secret is the value of the environment variable named"},
    {"ignore", 0, OPT_BOOL, F(ignore), NULL, "One of that name is no error, and is left as it is"},
    {"label", 'l', OPT_STRV, F(labels), "KEY=VALUE", "Label of the secret"},
    {"replace", 0, OPT_BOOL, F(replace), NULL, "Replace one of that name"},
    {0},
};
#undef F
static const struct opt_section create_sections[] = {{create_opts, NULL, 0, false}, {0}};

/* What is too large fails before it is held in memory. */
static int read_data(const struct create_args *a, const char *from, char **ret, size_t *ret_len,
                     struct err **reterr)
{
        const char *value;

        if (a->env) {
                value = getenv(from);
                if (!value)
                        return err_new(reterr, ERR_NOT_FOUND,
                                       "environment variable '%s' is not set", from);
                *ret = xstrdup(value);
                *ret_len = strlen(value);
                return 0;
        }
        if (strcmp(from, "-") == 0)
                return io_read_fd(STDIN_FILENO, "standard input", SECRET_MAX, ret, ret_len, reterr);
        return io_read_file(AT_FDCWD, from, SECRET_MAX, ret, ret_len, reterr);
}

static int create(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct create_args *a = args;
        const char *name = operands->v[0];
        struct secret_create_opts o = {.name = name,
                                       .driver = a->driver,
                                       .labels = &a->labels,
                                       .replace = a->replace,
                                       .ignore = a->ignore};
        AUTO_FREE char *data = NULL, *id = NULL;
        struct dirs *d;
        int r;

        r = read_data(a, operands->v[1], &data, &o.len, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "secret create '%s'", name);
        o.data = data;
        if ((r = cli_dirs(cli, &d, reterr)) < 0 || (r = secret_create(d, &o, &id, reterr)) < 0)
                return r;
        return output_printf(reterr, "%s\n", id);
}

const struct verb verb_secret_create = {
    .names = {"secret create"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "NAME FILE|-",
    .summary = "Create a secret from a file or standard input",
    .details = "Containers are given it with --secret. At most 512000 bytes.",
    .sections = create_sections,
    .args_size = sizeof(struct create_args),
    .min_operands = 2,
    .max_operands = 2,
    .completes = {COMPLETE_NONE, COMPLETE_FILE},
    .run = create,
};

/* ---- inspect ---- */

struct inspect_args {
        char *format;
        bool pretty, show;
};
#define F(f) offsetof(struct inspect_args, f)
static const struct opt inspect_opts[] = {
    {"format", 'f', OPT_STRING, F(format), "FORMAT", "json or TEMPLATE"},
    {"pretty", 0, OPT_BOOL, F(pretty), NULL, "Print it for people instead of as JSON"},
    {"showsecret", 0, OPT_BOOL, F(show), NULL, "Show the secret itself as well (SecretData)"},
    {0},
};
#undef F
static const struct opt_section inspect_sections[] = {{inspect_opts, NULL, 0, false}, {0}};

/* Bytes that are no UTF-8 have no place in JSON. */
static int add_data(const struct dirs *d, const struct secret *s, struct json_object *o,
                    struct err **reterr)
{
        AUTO(secret_freep) struct secret *again = NULL;
        AUTO_FREE char *data = NULL, *quoted = NULL;
        AUTO_JSON *check = NULL, *probe = NULL;
        const char *text;
        size_t len = 0;
        int r = secret_read(d, s->name, &again, &data, &len, reterr);

        if (r < 0)
                return r;
        probe = json_object_new_string_len(data, (int)len);
        text = json_object_to_json_string(probe);
        quoted = xasprintf("[%s]", text);
        if (json_parse(quoted, strlen(quoted), "secret", &check, NULL) < 0) {
                r = err_new(reterr, ERR_UNSUPPORTED, "secret '%s' is no text", s->name);
                return err_hint(reterr, r, "give it to a container as a file: --secret %s",
                                s->name);
        }
        (void)json_object_object_add(o, "SecretData", json_object_get(probe));
        return 0;
}

static int print_pretty(const struct secret *s, struct json_object *o, struct err **reterr)
{
        char created[CLOCK_RFC3339_MAX], updated[CLOCK_RFC3339_MAX];
        struct json_object *data = NULL;
        AUTO_STRBUF out = {0};

        strbuf_addf(&out, "ID:              %s\nName:            %s\n", s->id, s->name);
        if (s->labels.n > 0)
                strbuf_addf(&out, "Labels:\n");
        for (size_t i = 0; i < s->labels.n; i++)
                strbuf_addf(&out, " - %s\n", s->labels.v[i]);
        strbuf_addf(&out,
                    "Driver:          " SECRET_DRIVER "\nCreated at:      %s\n"
                    "Updated at:      %s\n",
                    clock_format(s->created_ns, created), clock_format(s->updated_ns, updated));
        if (json_object_object_get_ex(o, "SecretData", &data))
                strbuf_addf(&out, "Secret:          %s\n", json_object_get_string(data));
        return output_text(out.data, out.len, reterr);
}

static int look_up(const struct dirs *d, const char *name, const struct inspect_args *a,
                   struct secret **ret, struct json_object **ret_json, struct err **reterr)
{
        AUTO(secret_freep) struct secret *s = NULL;
        AUTO_JSON *o = NULL;
        int r = secret_find(d, name, &s, reterr);

        if (r < 0)
                return r;
        o = secret_inspect(d, s);
        if (a->show)
                r = add_data(d, s, o, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        *ret_json = TAKE_PTR(o);
        return 0;
}

static int inspect_one(const struct dirs *d, const char *name, const void *arg,
                       struct json_object **ret, struct err **reterr)
{
        AUTO(secret_freep) struct secret *s = NULL;

        return look_up(d, name, arg, &s, ret, reterr);
}

static int print_one(struct dirs *d, const char *name, const void *arg, struct err **reterr)
{
        AUTO(secret_freep) struct secret *s = NULL;
        AUTO_JSON *o = NULL;
        int r = look_up(d, name, arg, &s, &o, reterr);

        return r < 0 ? r : print_pretty(s, o, reterr);
}

static int inspect(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct inspect_args *a = args;

        if (a->pretty && a->format)
                return err_new(reterr, ERR_USAGE,
                               "options '--pretty' and '--format' contradict each other");
        if (a->pretty)
                return each_name(cli, "secret inspect", operands, print_one, a, reterr);
        return each_inspect(cli, "secret inspect", operands, inspect_one, a, a->format, reterr);
}

const struct verb verb_secret_inspect = {
    .names = {"secret inspect"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "SECRET [SECRET...]",
    .summary = "Show everything about secrets but their content",
    .sections = inspect_sections,
    .args_size = sizeof(struct inspect_args),
    .min_operands = 1,
    .completes = {COMPLETE_SECRET},
    .run = inspect,
};

/* ---- rm ---- */

struct rm_args {
        bool all, ignore;
};
static const struct opt rm_opts[] = {
    {"all", 'a', OPT_BOOL, offsetof(struct rm_args, all), NULL, "All of them"},
    {"ignore", 'i', OPT_BOOL, offsetof(struct rm_args, ignore), NULL,
     "One that is not there is no error"},
    {0},
};
static const struct opt_section rm_sections[] = {{rm_opts, NULL, 0, false}, {0}};

static int remove_one(struct dirs *d, const char *name, const void *arg, struct err **reterr)
{
        const struct rm_args *a = arg;
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *id = NULL;
        int r = secret_remove(d, name, &id, &e);

        if (r < 0 && !((a->ignore || a->all) && err_kind(e) == ERR_NOT_FOUND))
                return err_move(reterr, r, &e);
        if (id)
                printf("%s\n", id);
        return 0;
}

static int add_all(struct cli *cli, struct strv *names, struct err **reterr)
{
        struct secret **v = NULL;
        struct dirs *d;
        size_t n = 0;
        int r = cli_dirs(cli, &d, reterr);

        if (r >= 0)
                r = secret_list(d, &v, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++)
                strv_add(names, v[i]->name);
        secret_list_free(v, n);
        return r;
}

static int rm(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct rm_args *a = args;
        AUTO_STRV names = {0};
        int r;

        if (a->all && operands->n > 0)
                return err_new(reterr, ERR_USAGE,
                               "secret rm: --all and names contradict each other");
        if (!a->all && operands->n == 0)
                return err_new(reterr, ERR_USAGE, "secret rm: no secret given");
        strv_copy(&names, operands);
        r = a->all ? add_all(cli, &names, reterr) : 0;
        return r < 0 ? r : each_name(cli, "secret rm", &names, remove_one, args, reterr);
}

const struct verb verb_secret_rm = {
    .names = {"secret rm", "secret remove"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "SECRET [SECRET...]",
    .summary = "Remove secrets; containers keep what they were given",
    .sections = rm_sections,
    .args_size = sizeof(struct rm_args),
    .completes = {COMPLETE_SECRET},
    .run = rm,
};

/* ---- exists ---- */

static int exists(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(secret_freep) struct secret *s = NULL;
        AUTO_ERR struct err *e = NULL;
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        (void)args;
        if (r < 0)
                return r;
        r = secret_find(d, operands->v[0], &s, &e);
        if (r < 0 && err_kind(e) != ERR_NOT_FOUND)
                return err_move(reterr, r, &e);
        return r < 0 ? 1 : 0;
}

const struct verb verb_secret_exists = {
    .names = {"secret exists"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "SECRET",
    .summary = "Exit with 0 if the secret exists, with 1 if not",
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_SECRET},
    .run = exists,
};
