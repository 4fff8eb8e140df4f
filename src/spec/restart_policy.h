/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * restart_policy — whether a container that has ended is started again, and when. As Docker's: the pause before a restart doubles from 100 ms
 * to a minute, and begins anew behind a run of ten seconds. Pure: the monitor carries it out (monitor/run_again.c).
 */
#include <stdbool.h>
#include <stdint.h>

struct err;
struct json_object;

enum restart_mode {
        RESTART_NO,
        RESTART_ON_FAILURE,
        RESTART_ALWAYS,
        RESTART_UNLESS_STOPPED,
        RESTART_MODE_COUNT
};
struct restart_policy {
        enum restart_mode mode;
        uint32_t max; /* on-failure: so many restarts; 0: no bound */
};

const char *restart_mode_name(enum restart_mode m); /* Docker's words */
/* "no", "on-failure[:N]", "always", "unless-stopped"; "" and Podman's "never" are "no". ERR_USAGE. */
int restart_policy_parse(const char *text, struct restart_policy *ret, struct err **reterr);
/* HostConfig.RestartPolicy of a config.json; what is not there or not to be understood is "no". */
struct restart_policy restart_policy_from_config(struct json_object *config);
/* Sets it there. "no" is the default and is left out. */
void restart_policy_to_host_config(const struct restart_policy *p, struct json_object *host);

/* ERR_USAGE with the driver (NULL: the default) that lends the container the streams of who starts it: there is none at a restart. */
int restart_check_log_driver(const char *driver, struct err **reterr);

/* Behind a run that ended with @code, when @restarts have been made. */
bool restart_policy_wants(const struct restart_policy *p, int code, uint64_t restarts);
/* The pause after @last (0: there was none) and a run of @lived. */
uint64_t restart_pause_ns(uint64_t last_ns, int64_t lived_ns);
