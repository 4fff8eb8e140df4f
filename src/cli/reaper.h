/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * reaper — will the session manager end what we leave running in the background?
 *
 * systemd-logind ends everything in a session's scope when the session ends, if KillUserProcesses= says so; and the user's own manager, with
 * everything in it, when his last session ends, unless he lingers. Whoever is in neither is left alone.
 */
#include <sys/types.h>

struct reaper_host {
        const char *root;   /* in front of /etc, /run …; "" but in tests */
        const char *cgroup; /* text of /proc/self/cgroup */
        uid_t uid;
};
/* A line that says who ends it and what helps; NULL: nobody, or we cannot know. Caller owns. */
char *reaper_warning_of(const struct reaper_host *h);
/* The same of ourselves. */
char *reaper_warning(void);
