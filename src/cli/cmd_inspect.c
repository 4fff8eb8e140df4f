/* SPDX-License-Identifier: Apache-2.0 */
/* kelp inspect */
#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/select.h"
#include "cli/verb.h"
#include "container/container.h"
#include "image/image_query.h"
#include "volume/volume.h"

#include <string.h>

enum inspect_type {
        INSPECT_ANY,
        INSPECT_CONTAINER,
        INSPECT_IMAGE,
        INSPECT_VOLUME,
        INSPECT_TYPE_COUNT
};

struct inspect_args {
        char *format, *type;
        bool size, latest;
};
#define F(f) offsetof(struct inspect_args, f)
static const struct opt opts[] = {
    {"format", 'f', OPT_STRING, F(format), "FORMAT", "json or TEMPLATE"},
    {"size", 's', OPT_BOOL, F(size), NULL, "Add the sizes of containers"},
    {"latest", 'l', OPT_BOOL, F(latest), NULL, "The container that was created last"},
    {0},
};
static const struct opt type_opts[] = {
    {"type", 0, OPT_STRING, F(type), "TYPE", "container, image or volume only",
     .values = "container image volume"},
    {0},
};
#undef F
static const struct opt_section sections[] = {
    {opts, NULL, 0, false}, {type_opts, "Choice", 0, false}, {0}};
static const struct opt_section container_sections[] = {{opts, NULL, 0, false}, {0}};

static int inspect_container(const struct dirs *d, const char *name, bool size,
                             struct json_object **ret, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        int r = container_find(d, name, &c, reterr);

        return r < 0 ? r : container_inspect(d, c, size, ret, reterr);
}

static int inspect_volume(const struct dirs *d, const char *name, struct json_object **ret,
                          struct err **reterr)
{
        AUTO(volume_freep) struct volume *v = NULL;
        int r = volume_load(d, name, &v, reterr);

        if (r >= 0)
                *ret = volume_inspect(d, v);
        return r;
}

static int inspect_as(const struct dirs *d, const struct inspect_args *a, enum inspect_type type,
                      const char *name, struct json_object **ret, struct err **reterr)
{
        if (type == INSPECT_CONTAINER)
                return inspect_container(d, name, a->size, ret, reterr);
        if (type == INSPECT_IMAGE)
                return image_inspect(d, name, ret, reterr);
        return inspect_volume(d, name, ret, reterr);
}

static int inspect_one(const struct dirs *d, const struct inspect_args *a, enum inspect_type type,
                       const char *name, struct json_object **ret, struct err **reterr)
{
        int r;

        if (type != INSPECT_ANY)
                return inspect_as(d, a, type, name, ret, reterr);
        for (type = INSPECT_CONTAINER; type < INSPECT_TYPE_COUNT; type++) {
                AUTO_ERR struct err *e = NULL;

                /* A name of an image is none that a volume can have, which is no reason to complain about it. */
                if (type == INSPECT_VOLUME && volume_check_name(name, NULL) < 0)
                        break;
                r = inspect_as(d, a, type, name, ret, &e);
                if (r >= 0)
                        return r;
                if (err_kind(e) != ERR_NOT_FOUND)
                        return err_move(reterr, r, &e);
        }
        r = err_new(reterr, ERR_NOT_FOUND, "no such container, image or volume: %s", name);
        return err_hint(reterr, r,
                        "'kelp ps -a', 'kelp images' and 'kelp volume ls' list what there is");
}

/* What was found is printed, and what was not is reported behind it: exit code 1, as scripts that test for existence expect. */
static int inspect_all(struct cli *cli, const struct inspect_args *a, enum inspect_type type,
                       const struct strv *names, struct err **reterr)
{
        AUTO_FREE struct json_object **values = xcalloc(names->n, sizeof(struct json_object *));
        AUTO_ERR struct err *failure = NULL;
        struct dirs *d;
        size_t n = 0;
        int code = 0;
        int r = cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < names->n && !failure; i++) {
                if (inspect_one(d, a, type, names->v[i], &values[n], &failure) >= 0)
                        n++;
        }
        if (n > 0 || !a->format)
                r = output_inspect(values, n, a->format, reterr);
        for (size_t i = 0; i < n; i++)
                json_unref(values[i]);
        if (r >= 0 && failure) {
                (void)err_wrap(&failure, -1, "inspect");
                (void)cli_report(cli, &failure);
                code = 1;
        }
        return r < 0 ? r : code;
}

/* The operands, or the latest container instead. */
static int inspect_chosen(struct cli *cli, const struct inspect_args *a, enum inspect_type type,
                          const struct strv *operands, struct err **reterr)
{
        const struct select_args latest = {.latest = true};
        AUTO(selection_release) struct selection s = {0};
        int r;

        if (!a->latest && operands->n == 0)
                return err_hint(reterr, err_new(reterr, ERR_USAGE, "nothing was named"),
                                "name it, or say --latest for the container that was created last");
        if (!a->latest)
                return inspect_all(cli, a, type, operands, reterr);
        if (type == INSPECT_IMAGE || type == INSPECT_VOLUME)
                return err_new(reterr, ERR_USAGE,
                               "option '--latest' means a container, and '--type' %s", a->type);
        r = select_containers(cli, &latest, operands, SELECT_ANY, &s, reterr);
        return r < 0 ? r : inspect_all(cli, a, INSPECT_CONTAINER, &s.names, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        static const char *const types[] = {[INSPECT_ANY] = "",
                                            [INSPECT_CONTAINER] = "container",
                                            [INSPECT_IMAGE] = "image",
                                            [INSPECT_VOLUME] = "volume"};
        const struct inspect_args *a = args;

        for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
                if (strcmp(a->type ? a->type : "", types[t]) == 0)
                        return inspect_chosen(cli, a, (enum inspect_type)t, operands, reterr);
        }
        return err_new(reterr, ERR_USAGE,
                       "option '--type': unknown type '%s': expected container, image or volume",
                       a->type);
}

static int run_container(struct cli *cli, void *args, const struct strv *operands,
                         struct err **reterr)
{
        return inspect_chosen(cli, args, INSPECT_CONTAINER, operands, reterr);
}

const struct verb verb_inspect = {
    .names = {"inspect"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[NAME...]",
    .summary = "Show everything about containers, images or volumes as JSON",
    .sections = sections,
    .args_size = sizeof(struct inspect_args),
    .completes = {COMPLETE_OBJECT},
    .run = run,
};

const struct verb verb_container_inspect = {
    .names = {"container inspect"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER...]",
    .summary = "Show everything about containers as JSON",
    .sections = container_sections,
    .args_size = sizeof(struct inspect_args),
    .completes = {COMPLETE_CONTAINER},
    .run = run_container,
};
