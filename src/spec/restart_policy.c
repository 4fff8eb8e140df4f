/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/restart_policy.h"

#include "base/err.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/parse.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>

#define PAUSE_FIRST_NS 100000000ULL
#define PAUSE_MOST_NS  60000000000ULL
#define LIVED_WELL_NS  10000000000LL

static const char *const names[] = {
    [RESTART_NO] = "no",
    [RESTART_ON_FAILURE] = "on-failure",
    [RESTART_ALWAYS] = "always",
    [RESTART_UNLESS_STOPPED] = "unless-stopped",
};
_Static_assert(ARRAY_SIZE(names) == RESTART_MODE_COUNT, "every mode has a name");

const char *restart_mode_name(enum restart_mode m)
{
        return m < RESTART_MODE_COUNT ? names[m] : "unknown";
}

static bool mode_find(const char *text, size_t n, enum restart_mode *ret)
{
        for (int m = 0; m < RESTART_MODE_COUNT; m++) {
                if (strlen(names[m]) != n || memcmp(names[m], text, n) != 0)
                        continue;
                *ret = (enum restart_mode)m;
                return true;
        }
        return false;
}

int restart_policy_parse(const char *text, struct restart_policy *ret, struct err **reterr)
{
        size_t n = strcspn(text, ":");
        int r;

        *ret = (struct restart_policy){0};
        if (!*text || strcmp(text, "never") == 0)
                return 0;
        if (!mode_find(text, n, &ret->mode)) {
                r = err_new(reterr, ERR_USAGE, "unknown restart policy '%s'", text);
                return err_hint(reterr, r, "one of: no on-failure[:N] always unless-stopped");
        }
        if (!text[n])
                return 0;
        if (ret->mode != RESTART_ON_FAILURE)
                return err_new(reterr, ERR_USAGE,
                               "restart policy '%s': only on-failure takes a number of restarts",
                               text);
        if (parse_u32(text + n + 1, &ret->max) < 0 || ret->max > INT32_MAX)
                return err_new(reterr, ERR_USAGE,
                               "restart policy '%s': '%s' is no number of restarts", text,
                               text + n + 1);
        return 0;
}

struct restart_policy restart_policy_from_config(struct json_object *config)
{
        struct restart_policy p = {0}, none = {0};
        struct json_at root = json_root(config, "config.json"), host, at;
        const char *name = NULL;
        uint64_t max = 0;

        if (!json_object_is_type(config, json_type_object))
                return none;
        host = json_key(&root, "HostConfig");
        if (!json_object_is_type(host.obj, json_type_object))
                return none;
        at = json_key(&host, "RestartPolicy");
        if (!json_object_is_type(at.obj, json_type_object) ||
            json_opt_string(&at, "Name", &name, NULL) < 0 || !name ||
            !mode_find(name, strlen(name), &p.mode) ||
            json_opt_u64(&at, "MaximumRetryCount", &max, NULL) < 0 || max > INT32_MAX)
                return none;
        p.max = (uint32_t)max;
        return p;
}

void restart_policy_to_host_config(const struct restart_policy *p, struct json_object *host)
{
        struct json_object *o;

        json_object_object_del(host, "RestartPolicy");
        if (p->mode == RESTART_NO)
                return;
        o = json_object(host, "RestartPolicy");
        json_add_string(o, "Name", restart_mode_name(p->mode));
        json_add_uint(o, "MaximumRetryCount", p->max);
}

int restart_check_log_driver(const char *driver, struct err **reterr)
{
        int r;

        if (!driver || strcmp(driver, "passthrough") != 0)
                return 0;
        r = err_new(reterr, ERR_USAGE,
                    "a restart policy does not go with log driver 'passthrough': the streams that "
                    "it passes on are there for one run");
        return err_hint(reterr, r, "use another log driver, or have kelp run in a loop");
}

bool restart_policy_wants(const struct restart_policy *p, int code, uint64_t restarts)
{
        switch (p->mode) {
        case RESTART_ALWAYS:
        case RESTART_UNLESS_STOPPED: /* a stop by hand ends both: it is not asked here then */
                return true;
        case RESTART_ON_FAILURE:
                return code != 0 && (p->max == 0 || restarts < p->max);
        case RESTART_NO:
        case RESTART_MODE_COUNT:
                break;
        }
        return false;
}

uint64_t restart_pause_ns(uint64_t last_ns, int64_t lived_ns)
{
        if (last_ns == 0 || lived_ns >= LIVED_WELL_NS)
                return PAUSE_FIRST_NS;
        return MIN(last_ns * 2, PAUSE_MOST_NS);
}
