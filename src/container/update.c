/* SPDX-License-Identifier: Apache-2.0 */
/* update — changes to a container that exists. Its monitor reads config.json when it needs it: nobody has to be told. */
#include "container/update.h"

#include "base/atomic_file.h"
#include "base/err.h"
#include "base/fd.h"
#include "container/container_internal.h"

static int check_restart(const struct container *c, const struct restart_policy *p,
                         struct err **reterr)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_at host = container_host_config(&root), log = json_key(&host, "LogConfig");
        const char *driver = NULL;

        if (p->mode == RESTART_NO)
                return 0;
        if (container_auto_remove(c))
                return err_hint(
                    reterr,
                    err_new(reterr, ERR_USAGE,
                            "its end removes it (--rm), so that no restart policy can have it"),
                    "make it anew without --rm");
        (void)json_opt_string(&log, "Type", &driver, NULL);
        return restart_check_log_driver(driver, reterr);
}

int container_update(const struct dirs *d, struct container *c, const struct restart_policy *p,
                     struct err **reterr)
{
        AUTO_CLOSE int lock = container_change_begin(d, c, reterr);
        struct json_object *host = NULL;
        int r = lock < 0 ? lock : check_restart(c, p, reterr);

        if (r >= 0) {
                if (!json_object_object_get_ex(c->config, "HostConfig", &host))
                        host = json_object(c->config, "HostConfig");
                restart_policy_to_host_config(p, host);
                r = atomic_file_write_json(c->dir_fd, CONFIG_FILE, c->config, true, reterr);
        }
        if (r < 0)
                return err_wrap(reterr, r, "update container '%s'", c->name);
        container_event(d, c, "update", NULL);
        return 0;
}
