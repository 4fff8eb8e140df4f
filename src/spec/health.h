/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* health — what checks a container's health and how often, as Docker's Healthcheck says it. Pure. */
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct json_object;
struct run_options;

enum health_action {
        HEALTH_ACTION_NONE,
        HEALTH_ACTION_KILL,
        HEALTH_ACTION_RESTART,
        HEALTH_ACTION_STOP,
        HEALTH_ACTION_COUNT
};
struct health_check {
        struct strv command; /* to be executed as it is */
        int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns;
        uint32_t retries;
        enum health_action action; /* when it becomes unhealthy */
};
void health_check_release(struct health_check *c);

/* From a config.json, with Docker's defaults. False: nothing is checked. */
bool health_check_from_config(struct json_object *config, struct health_check *ret);
/* What the options and the image's Healthcheck (JSON, or NULL) make: sets Healthcheck and HealthcheckOnFailureAction in @config. ERR_USAGE. */
int health_to_config(const struct run_options *o, const char *image_json,
                     struct json_object *config, struct err **reterr);
