/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/str.h"
#include "cli/image_names.h"
#include "cli/output.h"
#include "container/container.h"
#include "image/store.h"

#include <json-c/linkhash.h>
#include <string.h>
#include <time.h>

#define COMMAND_WIDTH 20 /* as Docker cuts it */

static void add_take(struct json_object *row, const char *key, char *value)
{
        json_add_string(row, key, value);
        free(value);
}

/* "2026-11-24 07:02:26 +0000 UTC" in the caller's time zone. */
static char *created_at(int64_t ns)
{
        time_t t = (time_t)(ns / 1000000000);
        struct tm tm;
        char buf[64];

        if (!localtime_r(&t, &tm) || !strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S %z %Z", &tm))
                return xstrdup("");
        return xstrdup(buf);
}

static char *ago(int64_t ns)
{
        char human[64];

        return xasprintf("%s ago", clock_human(clock_now_ns() - ns, human, sizeof(human)));
}

/* ---- containers ---- */

static struct json_object *member(struct json_object *o, const char *key)
{
        struct json_object *v = NULL;

        (void)json_object_object_get_ex(o, key, &v);
        return v;
}

static const char *string_of(struct json_object *v)
{
        return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* The command as Docker shows it: joined, quoted, cut. */
static char *command_text(const struct container *c, bool full)
{
        struct json_object *args = member(c->config, "Args");
        AUTO_STRBUF b = {0};
        AUTO_FREE char *cut = NULL;
        AUTO_JSON *quoted = NULL;
        AUTO_STRBUF out = {0};

        strbuf_add(&b, string_of(member(c->config, "Path")));
        for (size_t i = 0;
             json_object_is_type(args, json_type_array) && i < json_object_array_length(args); i++)
                strbuf_addf(&b, " %s", string_of(json_object_array_get_idx(args, i)));
        cut = full ? strbuf_take(&b) : output_ellipsis(b.data ? b.data : "", COMMAND_WIDTH - 1);
        quoted = json_object_new_string(cut);
        json_write(&out, quoted, 0); /* a JSON string is quoted as Go quotes one */
        return strbuf_take(&out);
}

static char *labels_text(const struct container *c)
{
        struct json_object *labels = member(member(c->config, "Config"), "Labels");
        AUTO_STRBUF b = {0};

        if (json_object_is_type(labels, json_type_object)) {
                json_object_object_foreach(labels, key, value)
                {
                        strbuf_addf(&b, "%s%s=%s", b.len ? "," : "", key, string_of(value));
                }
        }
        return strbuf_take(&b);
}

static char *mounts_text(const struct container *c, bool full)
{
        struct json_object *mounts = member(c->config, "Mounts");
        AUTO_STRBUF b = {0};

        for (size_t i = 0;
             json_object_is_type(mounts, json_type_array) && i < json_object_array_length(mounts);
             i++) {
                struct json_object *m = json_object_array_get_idx(mounts, i);
                const char *name = string_of(member(m, "Name"));
                AUTO_FREE char *cut = output_ellipsis(*name ? name : string_of(member(m, "Source")),
                                                      full ? SIZE_MAX : 15);

                strbuf_addf(&b, "%s%s", b.len ? "," : "", cut);
        }
        return strbuf_take(&b);
}

/* How many of its mounts are volumes. */
static char *volumes_text(const struct container *c)
{
        struct json_object *mounts = member(c->config, "Mounts");
        size_t n = 0;

        for (size_t i = 0;
             json_object_is_type(mounts, json_type_array) && i < json_object_array_length(mounts);
             i++)
                n += *string_of(member(json_object_array_get_idx(mounts, i), "Name")) != '\0';
        return xasprintf("%zu", n);
}

static const char *network_text(const struct container *c)
{
        const char *mode = string_of(member(member(c->config, "HostConfig"), "NetworkMode"));

        return *mode ? mode : "none";
}

const char *container_row_label(const char *name, const void *arg)
{
        const struct container *const *c = arg;

        return string_of(member(member(member((*c)->config, "Config"), "Labels"), name));
}

struct json_object *container_row(struct container *c, const char *size, const char *pod_name,
                                  bool full)
{
        struct json_object *row = json_object_new_object();

        (void)container_config(c);
        add_take(row, "Command", command_text(c, full));
        add_take(row, "CreatedAt", created_at(c->created_ns));
        add_take(row, "ID", output_id(c->id, full));
        json_add_string(row, "Image", c->image_name ? c->image_name : "");
        add_take(row, "Labels", labels_text(c));
        add_take(row, "LocalVolumes", volumes_text(c));
        add_take(row, "Mounts", mounts_text(c, full));
        json_add_string(row, "Names", c->name ? c->name : "");
        json_add_string(row, "Networks", network_text(c));
        if (pod_name) {
                add_take(row, "Pod", output_id(c->is_infra ? c->id : c->pod_id, full));
                json_add_string(row, "PodName", pod_name);
        }
        json_add_string(row, "Ports", "");
        add_take(row, "RunningFor", ago(c->created_ns));
        json_add_string(row, "Size", size);
        json_add_string(row, "State", container_status_name(c->status));
        add_take(row, "Status", container_status_text(c, clock_now_ns()));
        return row;
}

/* ---- images ---- */

struct json_object *image_row(const struct image *i, const char *name, bool full)
{
        struct json_object *row = json_object_new_object();
        AUTO_FREE char *repository = NULL, *tag = NULL;
        char size[OUTPUT_SIZE_MAX];

        if (name)
                image_familiar_split(name, &repository, &tag);
        json_add_string(row, "Containers", "N/A");
        add_take(row, "CreatedAt", i->created_ns ? created_at(i->created_ns) : xstrdup("N/A"));
        add_take(row, "CreatedSince", i->created_ns ? ago(i->created_ns) : xstrdup("N/A"));
        json_add_string(row, "Digest", i->manifest_digest);
        if (full)
                json_add_string(row, "ID", i->id);
        else
                add_take(row, "ID", output_id(i->id, false));
        json_add_string(row, "Repository", repository ? repository : "<none>");
        json_add_string(row, "SharedSize", "N/A");
        json_add_string(row, "Size", output_size(i->size, size));
        json_add_string(row, "Tag", tag ? tag : "<none>");
        json_add_string(row, "UniqueSize", "N/A");
        json_add_string(row, "VirtualSize", size);
        return row;
}
