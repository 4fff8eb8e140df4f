/* SPDX-License-Identifier: Apache-2.0 */
/* status_text — Docker's words for a listing; other programs take them apart, so they are part of the interface. */
#include "base/clock.h"
#include "container/container_internal.h"

#include <string.h>

char *container_status_text(const struct container *c, int64_t now_ns)
{
        char ago[64];

        switch (c->status) {
        case CONTAINER_RUNNING:
                clock_human(now_ns - c->started_ns, ago, sizeof(ago));
                if (!c->health)
                        return xasprintf("Up %s", ago);
                return xasprintf("Up %s (%s%s)", ago,
                                 strcmp(c->health, "starting") == 0 ? "health: " : "", c->health);
        case CONTAINER_PAUSED:
                return xasprintf("Up %s (Paused)",
                                 clock_human(now_ns - c->started_ns, ago, sizeof(ago)));
        case CONTAINER_RESTARTING:
                return xasprintf("Restarting (%d) %s ago", c->exit_code,
                                 clock_human(now_ns - c->finished_ns, ago, sizeof(ago)));
        case CONTAINER_EXITED:
                return xasprintf("Exited (%d) %s ago", c->exit_code,
                                 clock_human(now_ns - c->finished_ns, ago, sizeof(ago)));
        case CONTAINER_REMOVING:
                return xstrdup("Removal In Progress");
        case CONTAINER_DEAD:
                return xstrdup("Dead");
        case CONTAINER_CREATED:
        case CONTAINER_STATUS_COUNT:
                break;
        }
        return xstrdup("Created");
}
