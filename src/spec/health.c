/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/health.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/options.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define NS_PER_MS      1000000LL
#define NS_PER_S       1000000000LL
#define INTERVAL       (30 * NS_PER_S)
#define TIMEOUT        (30 * NS_PER_S)
#define START_INTERVAL (5 * NS_PER_S)
#define RETRIES        3

static const char *const action_names[] = {
    [HEALTH_ACTION_NONE] = "none",
    [HEALTH_ACTION_KILL] = "kill",
    [HEALTH_ACTION_RESTART] = "restart",
    [HEALTH_ACTION_STOP] = "stop",
};
_Static_assert(ARRAY_SIZE(action_names) == HEALTH_ACTION_COUNT, "every action has a name");

static bool action_find(const char *name, enum health_action *ret)
{
        for (int a = 0; a < HEALTH_ACTION_COUNT; a++) {
                if (strcmp(action_names[a], name) != 0)
                        continue;
                *ret = (enum health_action)a;
                return true;
        }
        return false;
}

void health_check_release(struct health_check *c)
{
        strv_release(&c->command);
}

/* ---- reading ---- */

static int64_t duration(const struct json_at *health, const char *key, int64_t otherwise)
{
        int64_t ns = 0;

        return json_opt_i64(health, key, &ns, NULL) >= 0 && ns >= NS_PER_MS ? ns : otherwise;
}

/* Docker's three forms: NONE; CMD and words; CMD-SHELL and one text for the image's shell. */
static bool take_command(const struct json_at *config, const struct strv *test, struct strv *ret)
{
        if (test->n < 2)
                return false;
        if (strcmp(test->v[0], "CMD-SHELL") == 0) {
                AUTO_STRV shell = {0};

                (void)json_opt_strv(config, "Shell", &shell, NULL);
                if (shell.n > 0) {
                        strv_copy(ret, &shell);
                } else {
                        strv_add(ret, "/bin/sh");
                        strv_add(ret, "-c");
                }
        } else if (strcmp(test->v[0], "CMD") != 0) {
                return false;
        }
        for (size_t i = 1; i < test->n; i++)
                strv_add(ret, test->v[i]);
        return true;
}

bool health_check_from_config(struct json_object *doc, struct health_check *ret)
{
        struct json_at root = json_root(doc, "config.json"), config, health;
        AUTO_STRV test = {0};
        const char *action = NULL;
        uint64_t retries = 0;

        *ret = (struct health_check){0};
        config = json_key(&root, "Config");
        if (!json_object_is_type(config.obj, json_type_object))
                return false;
        health = json_key(&config, "Healthcheck");
        if (!json_object_is_type(health.obj, json_type_object) ||
            json_opt_strv(&health, "Test", &test, NULL) < 0 ||
            !take_command(&config, &test, &ret->command))
                return false;
        ret->interval_ns = duration(&health, "Interval", INTERVAL);
        ret->timeout_ns = duration(&health, "Timeout", TIMEOUT);
        ret->start_period_ns = duration(&health, "StartPeriod", 0);
        ret->start_interval_ns = duration(&health, "StartInterval", START_INTERVAL);
        ret->retries = json_opt_u64(&health, "Retries", &retries, NULL) >= 0 && retries > 0 &&
                               retries <= INT32_MAX
                           ? (uint32_t)retries
                           : RETRIES;
        if (json_opt_string(&config, "HealthcheckOnFailureAction", &action, NULL) < 0 || !action ||
            !action_find(action, &ret->action))
                ret->action = HEALTH_ACTION_NONE;
        return true;
}

/* ---- making ---- */

/* --health-cmd: a text for the shell, a JSON array of words, or "none". */
static int set_test(struct json_object *health, const char *text, struct err **reterr)
{
        AUTO_STRV words = {0};
        struct json_object *test;
        int r = 0;

        json_object_object_del(health, "Test");
        test = json_array(health, "Test");
        if (strcasecmp(text, "none") == 0) {
                (void)json_object_array_add(test, json_object_new_string("NONE"));
                return 0;
        }
        if (text[0] == '[')
                r = run_entrypoint_parse(text, &words, reterr);
        else
                strv_add(&words, text);
        if (r < 0)
                return err_wrap(reterr, r, "option '--health-cmd'");
        (void)json_object_array_add(test,
                                    json_object_new_string(text[0] == '[' ? "CMD" : "CMD-SHELL"));
        for (size_t i = 0; i < words.n; i++)
                (void)json_object_array_add(test, json_object_new_string(words.v[i]));
        return 0;
}

static int set_durations(struct json_object *health, const struct run_options *o,
                         struct err **reterr)
{
        const struct {
                const char *option, *key;
                int64_t ns;
        } durations[] = {
            {"interval", "Interval", o->health_interval},
            {"timeout", "Timeout", o->health_timeout},
            {"start-period", "StartPeriod", o->health_start_period},
            {"start-interval", "StartInterval", o->health_start_interval},
        };

        for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
                int64_t ns = durations[i].ns;

                if (ns == RUN_HEALTH_UNSET)
                        continue;
                if (ns < 0 || (ns > 0 && ns < NS_PER_MS))
                        return err_new(reterr, ERR_USAGE,
                                       "option '--health-%s': it is at least 1 ms, or 0 for the "
                                       "default",
                                       durations[i].option);
                json_add_int(health, durations[i].key, ns);
        }
        if (o->health_retries == RUN_HEALTH_UNSET)
                return 0;
        if (o->health_retries < 0 || o->health_retries > INT32_MAX)
                return err_new(reterr, ERR_USAGE, "option '--health-retries': it is no number");
        json_add_int(health, "Retries", o->health_retries);
        return 0;
}

static bool is_asked(const struct run_options *o)
{
        return o->health_cmd || o->health_on_failure || o->health_interval != RUN_HEALTH_UNSET ||
               o->health_timeout != RUN_HEALTH_UNSET || o->health_retries != RUN_HEALTH_UNSET ||
               o->health_start_period != RUN_HEALTH_UNSET ||
               o->health_start_interval != RUN_HEALTH_UNSET;
}

static int set_action(const struct run_options *o, struct json_object *config, struct err **reterr)
{
        enum health_action action;
        int r;

        if (!o->health_on_failure)
                return 0;
        if (!action_find(o->health_on_failure, &action)) {
                r = err_new(reterr, ERR_USAGE, "option '--health-on-failure': unknown action '%s'",
                            o->health_on_failure);
                return err_hint(reterr, r, "one of: none kill restart stop");
        }
        if (action == HEALTH_ACTION_RESTART && o->rm)
                return err_new(reterr, ERR_USAGE,
                               "options '--health-on-failure=restart' and '--rm' contradict each "
                               "other");
        if (action != HEALTH_ACTION_NONE)
                json_add_string(config, "HealthcheckOnFailureAction", action_names[action]);
        return action == HEALTH_ACTION_RESTART ? restart_check_log_driver(o->log_driver, reterr)
                                               : 0;
}

int health_to_config(const struct run_options *o, const char *image_json,
                     struct json_object *config, struct err **reterr)
{
        struct json_object *health = NULL;
        struct health_check check;
        int r = 0;

        if (o->no_healthcheck && is_asked(o))
                return err_new(reterr, ERR_USAGE,
                               "option '--no-healthcheck' and those of --health-… contradict each "
                               "other");
        if (o->no_healthcheck)
                return set_test(json_object(config, "Healthcheck"), "none", reterr);
        if (image_json &&
            json_parse(image_json, strlen(image_json), "Healthcheck", &health, NULL) >= 0)
                (void)json_object_object_add(config, "Healthcheck", health);
        if (!is_asked(o))
                return 0;
        if (!json_object_is_type(health, json_type_object))
                health = json_object(config, "Healthcheck");
        if (o->health_cmd)
                r = set_test(health, o->health_cmd, reterr);
        if (r >= 0)
                r = set_durations(health, o, reterr);
        if (r >= 0)
                r = set_action(o, config, reterr);
        if (r >= 0) {
                AUTO_JSON *doc = json_object_new_object();
                bool checks;

                (void)json_object_object_add(doc, "Config", json_object_get(config));
                checks = health_check_from_config(doc, &check);
                health_check_release(&check);
                if (!checks && !(o->health_cmd && strcasecmp(o->health_cmd, "none") == 0)) {
                        r = err_new(reterr, ERR_USAGE,
                                    "options of a health check, but neither the image nor "
                                    "'--health-cmd' says what to run");
                }
        }
        return r;
}
