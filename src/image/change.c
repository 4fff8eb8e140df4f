/* SPDX-License-Identifier: Apache-2.0 */
#include "image/change.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define INSTRUCTION_MAX (64U * 1024)

int change_split_words(const char *text, struct strv *ret, struct err **reterr)
{
        AUTO_STRBUF word = {0};
        bool in_word = false;
        char quote = '\0';

        for (const char *p = text;; p++) {
                if (!*p || (!quote && isspace((unsigned char)*p))) {
                        if (in_word)
                                strv_add_take(ret, strbuf_take(&word));
                        in_word = false;
                        if (!*p)
                                break;
                        continue;
                }
                in_word = true;
                if (*p == '\\' && quote != '\'' && p[1])
                        strbuf_add_len(&word, ++p, 1);
                else if (quote && *p == quote)
                        quote = '\0';
                else if (!quote && (*p == '"' || *p == '\''))
                        quote = *p;
                else
                        strbuf_add_len(&word, p, 1);
        }
        if (quote)
                return err_new(reterr, ERR_USAGE, "a quote (%c) is not closed", quote);
        return 0;
}

/* ["a", "b"], or NULL when it is not that (the shell form). */
static struct json_object *json_form(const char *text)
{
        AUTO_JSON *array = NULL;

        if (text[0] != '[' || json_parse(text, strlen(text), "JSON form", &array, NULL) < 0 ||
            !json_object_is_type(array, json_type_array))
                return NULL;
        for (size_t i = 0; i < json_object_array_length(array); i++)
                if (!json_object_is_type(json_object_array_get_idx(array, i), json_type_string))
                        return NULL;
        return TAKE_PTR(array);
}

static struct json_object *shell_form(const char *first, const char *text)
{
        struct json_object *array = json_object_new_array();

        if (first) {
                json_object_array_add(array, json_object_new_string(first));
        } else {
                json_object_array_add(array, json_object_new_string("/bin/sh"));
                json_object_array_add(array, json_object_new_string("-c"));
        }
        json_object_array_add(array, json_object_new_string(text));
        return array;
}

static int change_cmd(struct json_object *config, const char *text, struct err **reterr)
{
        struct json_object *value = json_form(text);

        (void)reterr;
        json_object_object_add(config, "Cmd", value ? value : shell_form(NULL, text));
        return 0;
}

static int change_entrypoint(struct json_object *config, const char *text, struct err **reterr)
{
        struct json_object *value = json_form(text);

        (void)reterr;
        json_object_object_add(config, "Entrypoint", value ? value : shell_form(NULL, text));
        return 0;
}

/* The object or array under @key, made when it is missing or something else. */
static struct json_object *member(struct json_object *config, const char *key, bool array)
{
        struct json_object *o = NULL;

        if (json_object_object_get_ex(config, key, &o) &&
            json_object_is_type(o, array ? json_type_array : json_type_object))
                return o;
        return array ? json_array(config, key) : json_object(config, key);
}

static void set_env(struct json_object *config, const char *assignment)
{
        struct json_object *env = member(config, "Env", true);
        size_t n = (size_t)(strchr(assignment, '=') - assignment) + 1;

        for (size_t i = 0; i < json_object_array_length(env); i++) {
                const char *have = json_object_get_string(json_object_array_get_idx(env, i));

                if (have && strncmp(have, assignment, n) == 0) {
                        json_object_array_put_idx(env, i, json_object_new_string(assignment));
                        return;
                }
        }
        json_object_array_add(env, json_object_new_string(assignment));
}

/* "A=1 B=2", or the old "A the rest of the line". */
static int split_assignments(const char *text, struct strv *ret, struct err **reterr)
{
        size_t name = strcspn(text, "= \t");
        int r;

        if (name == 0)
                return err_new(reterr, ERR_USAGE, "a name is missing before '='");
        if (text[name] != '=') {
                const char *value = text + name + strspn(text + name, " \t");

                if (!*value)
                        return err_new(reterr, ERR_USAGE, "'%s' has no value", text);
                strv_addf(ret, "%.*s=%s", (int)name, text, value);
                return 0;
        }
        r = change_split_words(text, ret, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ret->n; i++) {
                const char *equals = strchr(ret->v[i], '=');

                if (!equals || equals == ret->v[i])
                        return err_new(reterr, ERR_USAGE, "'%s' is not NAME=VALUE", ret->v[i]);
        }
        return 0;
}

static int change_env(struct json_object *config, const char *text, struct err **reterr)
{
        AUTO_STRV words = {0};
        int r = split_assignments(text, &words, reterr);

        for (size_t i = 0; r >= 0 && i < words.n; i++)
                set_env(config, words.v[i]);
        return r;
}

static int change_label(struct json_object *config, const char *text, struct err **reterr)
{
        AUTO_STRV words = {0};
        int r = split_assignments(text, &words, reterr);

        for (size_t i = 0; r >= 0 && i < words.n; i++) {
                char *equals = strchr(words.v[i], '=');

                *equals = '\0';
                json_add_string(member(config, "Labels", false), words.v[i], equals + 1);
        }
        return r;
}

/* "80", "80/udp", "8000-8010" */
static int parse_ports(const char *word, uint32_t *ret_first, uint32_t *ret_last,
                       const char **ret_proto, struct err **reterr)
{
        AUTO_FREE char *copy = xstrdup(word);
        char *slash = strchr(copy, '/'), *dash;

        *ret_proto = "tcp";
        if (slash) {
                *slash = '\0';
                *ret_proto = strcasecmp(slash + 1, "udp") == 0    ? "udp"
                             : strcasecmp(slash + 1, "sctp") == 0 ? "sctp"
                             : strcasecmp(slash + 1, "tcp") == 0  ? "tcp"
                                                                  : NULL;
        }
        dash = strchr(copy, '-');
        if (dash)
                *dash = '\0';
        if (!*ret_proto || parse_u32(copy, ret_first) < 0 ||
            parse_u32(dash ? dash + 1 : copy, ret_last) < 0 || *ret_first == 0 ||
            *ret_last > 65535 || *ret_first > *ret_last)
                return err_new(reterr, ERR_USAGE, "'%s' is no port", word);
        return 0;
}

static int change_expose(struct json_object *config, const char *text, struct err **reterr)
{
        AUTO_STRV words = {0};
        int r = change_split_words(text, &words, reterr);

        for (int pass = 0; pass < 2; pass++)
                for (size_t i = 0; r >= 0 && i < words.n; i++) {
                        uint32_t first, last;
                        const char *proto;

                        r = parse_ports(words.v[i], &first, &last, &proto, reterr);
                        for (uint32_t p = first; r >= 0 && pass == 1 && p <= last; p++) {
                                AUTO_FREE char *port = xasprintf("%u/%s", p, proto);

                                (void)json_object(member(config, "ExposedPorts", false), port);
                        }
                }
        return r;
}

static int change_user(struct json_object *config, const char *text, struct err **reterr)
{
        (void)reterr;
        json_add_string(config, "User", text);
        return 0;
}

static int change_workdir(struct json_object *config, const char *text, struct err **reterr)
{
        struct json_object *have = NULL;
        AUTO_FREE char *joined = NULL, *clean = NULL;
        const char *before = "/";

        (void)reterr;
        if (json_object_object_get_ex(config, "WorkingDir", &have) &&
            json_object_get_string_len(have) > 0)
                before = json_object_get_string(have);
        joined = path_join(before, text);
        clean = path_clean(joined);
        json_add_string(config, "WorkingDir", clean);
        return 0;
}

static int change_stopsignal(struct json_object *config, const char *text, struct err **reterr)
{
        int sig;

        if (parse_signal(text, &sig) < 0)
                return err_new(reterr, ERR_USAGE, "'%s' is no signal", text);
        json_add_string(config, "StopSignal", text);
        return 0;
}

static int change_volume(struct json_object *config, const char *text, struct err **reterr)
{
        AUTO_JSON *array = json_form(text);
        AUTO_STRV words = {0};
        int r = 0;

        if (array)
                for (size_t i = 0; i < json_object_array_length(array); i++)
                        strv_add(&words,
                                 json_object_get_string(json_object_array_get_idx(array, i)));
        else
                r = change_split_words(text, &words, reterr);
        for (size_t i = 0; r >= 0 && i < words.n; i++)
                if (!words.v[i][0])
                        r = err_new(reterr, ERR_USAGE, "the name of a volume is empty");
        for (size_t i = 0; r >= 0 && i < words.n; i++)
                (void)json_object(member(config, "Volumes", false), words.v[i]);
        return r;
}

static int change_onbuild(struct json_object *config, const char *text, struct err **reterr)
{
        (void)reterr;
        json_object_array_add(member(config, "OnBuild", true), json_object_new_string(text));
        return 0;
}

/* Reads one "--name=value" of HEALTHCHECK; *text goes behind it. */
static int health_option(struct json_object *health, const char **text, struct err **reterr)
{
        static const struct {
                const char *prefix, *key;
        } durations[] = {
            {"--interval=", "Interval"},
            {"--timeout=", "Timeout"},
            {"--start-period=", "StartPeriod"},
            {"--start-interval=", "StartInterval"},
        };
        size_t n = strcspn(*text, " \t");
        AUTO_FREE char *word = xstrndup(*text, n);
        int64_t ns;
        uint32_t retries;

        *text += n + strspn(*text + n, " \t");
        for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
                if (!str_starts(word, durations[i].prefix))
                        continue;
                if (parse_duration(word + strlen(durations[i].prefix), &ns) < 0 || ns < 0)
                        return err_new(reterr, ERR_USAGE, "'%s' is no duration", word);
                json_add_int(health, durations[i].key, ns);
                return 0;
        }
        if (!str_starts(word, "--retries=") || parse_u32(word + strlen("--retries="), &retries) < 0)
                return err_new(reterr, ERR_USAGE, "unknown option '%s'", word);
        json_add_uint(health, "Retries", retries);
        return 0;
}

static int change_healthcheck(struct json_object *config, const char *text, struct err **reterr)
{
        AUTO_JSON *health = json_object_new_object();
        struct json_object *form, *test;
        size_t n;

        while (str_starts(text, "--")) {
                int r = health_option(health, &text, reterr);

                if (r < 0)
                        return r;
        }
        n = strcspn(text, " \t");
        if (n == 4 && strncasecmp(text, "NONE", 4) == 0 && !text[n + strspn(text + n, " \t")]) {
                test = json_array(health, "Test");
                json_object_array_add(test, json_object_new_string("NONE"));
        } else if (n == 3 && strncasecmp(text, "CMD", 3) == 0 && text[n]) {
                text += n + strspn(text + n, " \t");
                form = json_form(text);
                if (form) {
                        test = json_array(health, "Test");
                        json_object_array_add(test, json_object_new_string("CMD"));
                        for (size_t i = 0; i < json_object_array_length(form); i++)
                                json_object_array_add(
                                    test, json_object_get(json_object_array_get_idx(form, i)));
                        (void)json_unref(form);
                } else {
                        json_object_object_add(health, "Test", shell_form("CMD-SHELL", text));
                }
        } else {
                return err_new(reterr, ERR_USAGE, "expected CMD or NONE, not '%s'", text);
        }
        json_object_object_add(config, "Healthcheck", TAKE_PTR(health));
        return 0;
}

static const struct {
        const char *name;
        int (*apply)(struct json_object *config, const char *text, struct err **reterr);
} instructions[] = {
    {"CMD", change_cmd},         {"ENTRYPOINT", change_entrypoint},   {"ENV", change_env},
    {"EXPOSE", change_expose},   {"HEALTHCHECK", change_healthcheck}, {"LABEL", change_label},
    {"ONBUILD", change_onbuild}, {"STOPSIGNAL", change_stopsignal},   {"USER", change_user},
    {"VOLUME", change_volume},   {"WORKDIR", change_workdir},
};

int change_apply(struct json_object *config, const char *instruction, struct err **reterr)
{
        const char *p = instruction + strspn(instruction, " \t\n");
        size_t n = strcspn(p, " \t=");
        AUTO_FREE char *text = NULL;
        int r;

        if (strlen(instruction) > INSTRUCTION_MAX)
                return err_new(reterr, ERR_USAGE, "change '%.40s…': too long", instruction);
        for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
                if (strlen(instructions[i].name) != n ||
                    strncasecmp(p, instructions[i].name, n) != 0)
                        continue;
                p += n;
                if (*p == '=')
                        p++;
                text = xstrdup(p + strspn(p, " \t"));
                for (size_t end = strlen(text); end > 0 && isspace((unsigned char)text[end - 1]);
                     end--)
                        text[end - 1] = '\0';
                r = *text ? instructions[i].apply(config, text, reterr)
                          : err_new(reterr, ERR_USAGE, "nothing follows %s", instructions[i].name);
                return r < 0 ? err_wrap(reterr, r, "change '%s'", instruction) : 0;
        }
        r = err_new(reterr, ERR_USAGE,
                    "change '%s': '%.*s' is no instruction that changes an image", instruction,
                    (int)n, p);
        return err_hint(reterr, r,
                        "known: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL "
                        "USER VOLUME WORKDIR");
}
