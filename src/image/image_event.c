/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_event.h"

#include "base/json.h"
#include "events/events.h"
#include "image/store.h"

static void emit(const struct dirs *d, const char *id, const struct strv *labels,
                 const char *action, const char *name)
{
        const char *const attributes[] = {"name", name ? name : id, NULL};

        event_emit(d, &(struct event){.type = "image",
                                      .action = action,
                                      .id = id,
                                      .labels = labels,
                                      .attributes = attributes});
}

void image_event(const struct dirs *d, const struct image *i, const char *action, const char *name)
{
        struct json_at root = json_root(i->doc, "image"), config = {0};
        AUTO_STRV labels = {0};

        if (json_object_is_type(root.obj, json_type_object))
                config = json_key(&root, "config");
        if (json_object_is_type(config.obj, json_type_object))
                (void)json_opt_pairs(&config, "Labels", &labels, NULL);
        emit(d, i->id, &labels, action, name);
}

void image_event_id(const struct dirs *d, const char *id, const char *action, const char *name)
{
        AUTO(image_freep) struct image *i = NULL;

        if (store_resolve(d, id, &i, NULL) >= 0)
                image_event(d, i, action, name);
        else
                emit(d, id, NULL, action, name); /* removed meanwhile */
}
