/* SPDX-License-Identifier: Apache-2.0 */
/* event — what this process does to containers, told to the log of events. */
#include "events/events.h"

#include "base/dirs.h"
#include "container/container_internal.h"

void container_event(const struct dirs *d, struct container *c, const char *action,
                     const char *const *attributes)
{
        struct json_at root = json_root(container_config(c), CONFIG_FILE), config, labels;
        AUTO_STRV list = {0};

        if (root.obj) {
                config = json_key(&root, "Config");
                labels = config.obj ? json_key(&config, "Labels") : config;
                if (json_object_is_type(labels.obj, json_type_object)) {
                        json_object_object_foreach(labels.obj, key, value)
                        {
                                strv_addf(&list, "%s=%s", key, json_object_get_string(value));
                        }
                }
        }
        event_emit_container(
            d,
            &(struct event_container){
                .id = c->id, .name = c->name, .image = c->image_name, .labels = &list},
            action, attributes);
}
