/* SPDX-License-Identifier: Apache-2.0 */
/* kelp save */
#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "cli/verb.h"
#include "image/image_job.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/store.h"

#include <string.h>

struct save_args {
        char *output, *format, *platform;
        bool quiet;
};
#define F(f) offsetof(struct save_args, f)
static const struct opt opts[] = {
    {"format", 0, OPT_STRING, F(format), "FORMAT",
     "docker-archive (which is an OCI archive too), oci-archive, oci-dir, docker-v1",
     .values = "docker-archive oci-archive oci-dir docker-v1"},
    {"output", 'o', OPT_STRING, F(output), "PATH", "Write to this file or directory"},
    {"platform", 0, OPT_STRING, F(platform), "OS/ARCH", "Refuse images of other platforms"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show no progress"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static const struct format_name {
        const char *name, *request;
        bool directory;
} formats[] = {
    {"docker-archive", "docker", false},
    {"oci-archive", "oci", false},
    {"oci-dir", "oci", true},
    {"docker-v1", "docker-v1", false},
};

static int find_format(const char *name, const struct format_name **ret, struct err **reterr)
{
        *ret = &formats[0];
        if (!name)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
                if (strcmp(formats[i].name, name) == 0) {
                        *ret = &formats[i];
                        return 0;
                }
        return err_hint(reterr, err_new(reterr, ERR_USAGE, "unknown format '%s'", name),
                        "known: docker-archive, oci-archive, oci-dir, docker-v1");
}

/* ---- what is saved ---- */

static struct json_object *find_entry(struct json_object *images, const struct image *i)
{
        struct json_object *entry;

        for (size_t k = 0; k < json_object_array_length(images); k++) {
                struct json_object *id = NULL, *manifest = NULL;

                entry = json_object_array_get_idx(images, k);
                if (json_object_object_get_ex(entry, "id", &id) &&
                    json_object_object_get_ex(entry, "manifest", &manifest) &&
                    strcmp(json_object_get_string(id), i->id) == 0 &&
                    strcmp(json_object_get_string(manifest), i->manifest_digest) == 0)
                        return entry;
        }
        entry = json_object_new_object();
        json_add_string(entry, "id", i->id);
        json_add_string(entry, "manifest", i->manifest_digest);
        (void)json_array(entry, "names");
        json_object_array_add(images, entry);
        return entry;
}

static void add_name(struct json_object *entry, const char *name)
{
        struct json_object *names = NULL;

        if (!name || !json_object_object_get_ex(entry, "names", &names))
                return;
        for (size_t i = 0; i < json_object_array_length(names); i++)
                if (strcmp(json_object_get_string(json_object_array_get_idx(names, i)), name) == 0)
                        return;
        json_object_array_add(names, json_object_new_string(name));
}

/* The reference of the image that the operand means; an id means none. */
static const char *named_by(const struct image *i, const char *operand)
{
        AUTO(reference_release) struct reference r = {0};
        AUTO_FREE char *full = NULL, *twin = NULL;

        if (reference_parse(operand, &r, NULL) < 0 || r.digest)
                return NULL;
        full = reference_format(&r);
        twin = r.has_domain ? NULL : reference_twin(&r);
        for (size_t k = 0; k < i->names.n; k++)
                if (strcmp(i->names.v[k], full) == 0 || (twin && strcmp(i->names.v[k], twin) == 0))
                        return i->names.v[k];
        return NULL;
}

static int check_platform(const struct save_args *a, const struct image *i, const char *operand,
                          struct err **reterr)
{
        struct platform wanted, have;
        int r;

        if (!a->platform)
                return 0;
        r = platform_parse(a->platform, &wanted, reterr);
        if (r < 0)
                return r;
        platform_set(&have, i->os, i->architecture, NULL);
        if (platform_score(&wanted, &have) > 0)
                return 0;
        return err_new(reterr, ERR_NOT_FOUND, "image '%s' is for %s/%s, not for %s", operand, i->os,
                       i->architecture, a->platform);
}

static int choose_images(const struct dirs *d, const struct save_args *a,
                         const struct strv *operands, struct json_object *images,
                         struct err **reterr)
{
        for (size_t k = 0; k < operands->n; k++) {
                AUTO(image_freep) struct image *i = NULL;
                int r = store_find(d, operands->v[k], &i, reterr);

                if (r >= 0)
                        r = check_platform(a, i, operands->v[k], reterr);
                if (r < 0)
                        return r;
                add_name(find_entry(images, i), named_by(i, operands->v[k]));
        }
        return 0;
}

/* ---- where to ---- */

static int open_target(const struct save_args *a, bool directory, struct target *t,
                       struct err **reterr)
{
        if (!directory)
                return target_open(a->output, "use --format oci-dir to write a directory", t,
                                   reterr);
        if (!a->output || strcmp(a->output, "-") == 0)
                return err_new(reterr, ERR_USAGE, "--format oci-dir needs --output DIRECTORY");
        return target_open_directory(a->output, t, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct save_args *a = args;
        AUTO(target_release) struct target target = TARGET_NONE;
        AUTO_JSON *request = json_object_new_object();
        struct image_job job = IMAGE_JOB_INIT("save");
        const struct format_name *format;
        struct progress p;
        struct dirs *d;
        int r;

        if ((r = find_format(a->format, &format, reterr)) < 0 ||
            (r = cli_dirs(cli, &d, reterr)) < 0)
                return r;
        r = choose_images(d, a, operands, json_array(request, "images"), reterr);
        if (r < 0)
                return r;
        json_add_string(request, "format", format->request);
        r = open_target(a, format->directory, &target, reterr);
        if (r < 0)
                return r;
        progress_init(&p, "Saving layer", !a->quiet);
        job.request = request;
        job.out_fd = target.fd;
        job.progress = progress_show;
        job.warning = progress_warn;
        job.arg = &p;
        r = image_job_run(d, &job, NULL, reterr);
        progress_end(&p);
        return r < 0 ? r : target_finish(&target, reterr);
}

const struct verb verb_save = {
    .names = {"save", "image save"},
    .group = VERB_GROUP_IMAGE,
    .operands = "IMAGE [IMAGE...]",
    .summary = "Write images to an archive or standard output",
    .details = "The default format is read by every tool that reads Docker or OCI archives.",
    .sections = sections,
    .args_size = sizeof(struct save_args),
    .min_operands = 1,
    .completes = {COMPLETE_IMAGE},
    .run = run,
};
