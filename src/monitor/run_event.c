/* SPDX-License-Identifier: Apache-2.0 */
/* run_event — what the monitor tells of its container, under the name that this has now. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/json.h"
#include "events/events.h"
#include "monitor/run_internal.h"
#include "volume/volume.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_FILE "config.json"
#define CONFIG_MAX  JSON_OWN_MAX

/* A rename replaces config.json, so that one look at its inode tells whether there was one. */
const char *run_name(struct run *run)
{
        AUTO_JSON *doc = NULL;
        struct json_at root;
        const char *name = NULL;
        struct stat st;

        if (fstatat(run->dir_fd, CONFIG_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            st.st_ino == run->config_ino)
                return run->name;
        if (run->config_ino != 0 &&
            json_read_file(run->dir_fd, CONFIG_FILE, CONFIG_MAX, &doc, NULL) >= 0) {
                root = json_root(doc, CONFIG_FILE);
                if (json_opt_string(&root, "Name", &name, NULL) >= 0 && name) {
                        free(run->name);
                        run->name = xstrdup(name);
                }
        }
        run->config_ino = st.st_ino;
        return run->name;
}

/* A volume is mounted from its directory below the data root, which the spec's paths have in front by now. */
static void remember_volume(struct run *run, const struct spec_mount *m)
{
        const char *name = m->file ? m->source : NULL;
        size_t root = strlen(run->d->root);

        if (!name || strncmp(name, run->d->root, root) != 0 ||
            !str_starts(name + root, "/" VOLUMES "/"))
                return;
        name += root + strlen("/" VOLUMES "/");
        strv_add_take(&run->volumes, xstrndup(name, strcspn(name, "/")));
        strv_add(&run->volumes, m->destination);
        strv_add(&run->volumes, strv_contains(&m->options, "ro") ? "false" : "true");
}

void run_remember(struct run *run, struct spec *s)
{
        run->name = xstrdup(run->a->name);
        run->image_name = TAKE_PTR(s->image_name);
        run->labels = s->labels;
        s->labels = (struct strv){0};
        for (size_t i = 0; i < s->n_mounts; i++)
                remember_volume(run, &s->mounts[i]);
        (void)run_name(run);
}

void run_event(struct run *run, const char *action, const char *const *attributes)
{
        struct event_container c = {.id = run->a->id,
                                    .name = run_name(run),
                                    .image = run->image_name,
                                    .labels = &run->labels};

        event_emit_container(run->d, &c, action, attributes);
}

void run_event_volumes(struct run *run, const char *action)
{
        bool mount = strcmp(action, "mount") == 0;

        for (size_t i = 0; i + 2 < run->volumes.n; i += 3) {
                const char *attributes[] = {
                    "container",   run->a->id, "destination", run->volumes.v[i + 1],
                    "propagation", "",         "read/write",  run->volumes.v[i + 2],
                    NULL};

                if (!mount)
                        attributes[2] = NULL;
                volume_event(run->d, run->volumes.v[i], action, attributes);
        }
}

void run_event_die(struct run *run, int code)
{
        int64_t lived = run->started_ns ? clock_now_ns() - run->started_ns : 0;
        char exit_code[16], seconds[24];
        const char *attributes[] = {"exitCode", exit_code, "execDuration", seconds, NULL};

        (void)snprintf(exit_code, sizeof(exit_code), "%d", code);
        (void)snprintf(seconds, sizeof(seconds), "%" PRId64, lived / 1000000000);
        run_event(run, "die", attributes);
        run_event_volumes(run, "unmount");
}
