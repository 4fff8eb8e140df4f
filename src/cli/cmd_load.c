/* SPDX-License-Identifier: Apache-2.0 */
/* kelp load */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/image_names.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verb.h"
#include "image/image_job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct load_args {
        char *input, *platform;
        bool quiet;
};
#define F(f) offsetof(struct load_args, f)
static const struct opt opts[] = {
    {"input", 'i', OPT_STRING, F(input), "PATH",
     "Read this archive or OCI layout directory instead of standard input"},
    {"platform", 0, OPT_STRING, F(platform), "OS/ARCH",
     "Load the image for this platform instead of the host's"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show no progress"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int open_input(const char *path, struct err **reterr)
{
        int fd, r;

        if (path && strcmp(path, "-") != 0) {
                fd = open(path, O_RDONLY | O_CLOEXEC);
                return fd < 0 ? err_sys(reterr, errno, "%s", path) : fd;
        }
        if (fd_is_terminal(STDIN_FILENO)) {
                r = err_new(reterr, ERR_USAGE, "standard input is a terminal");
                return err_hint(reterr, r, "name an archive with --input, or pipe one in");
        }
        return fd_dup(STDIN_FILENO, reterr);
}

/* The table would say no more than that there are too many. */
static int no_operands(const char *path, struct err **reterr)
{
        return err_hint(reterr, err_new(reterr, ERR_USAGE, "unexpected argument '%s'", path),
                        "kelp load -i %s", path);
}

static int print_results(struct json_object *results, struct err **reterr)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < json_object_array_length(results); i++) {
                struct json_at at = json_root(json_object_array_get_idx(results, i), "result");
                const char *id = NULL, *name = NULL;

                if ((r = json_get_string(&at, "id", &id, reterr)) < 0 ||
                    (r = json_opt_string(&at, "name", &name, reterr)) < 0)
                        break;
                if (name) {
                        AUTO_FREE char *familiar = image_familiar(name);

                        r = output_printf(reterr, "Loaded image: %s\n", familiar);
                } else {
                        r = output_printf(reterr, "Loaded image ID: %s\n", id);
                }
        }
        return r < 0 ? r : 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct load_args *a = args;
        AUTO_JSON *request = json_object_new_object();
        AUTO_JSON *results = NULL;
        struct image_job job = IMAGE_JOB_INIT("load");
        AUTO_ERR struct err *failure = NULL;
        AUTO_CLOSE int in = -EBADF;
        struct progress p;
        struct dirs *d;
        int r = operands->n ? no_operands(operands->v[0], reterr) : cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        in = open_input(a->input, reterr);
        if (in < 0)
                return in;
        json_add_string(request, "what", a->input ? a->input : "standard input");
        if (a->platform)
                json_add_string(request, "platform", a->platform);
        progress_init(&p, "Loading layer", !a->quiet);
        job.request = request;
        job.in_fd = in;
        job.progress = progress_show;
        job.warning = progress_warn;
        job.arg = &p;
        r = image_job_run(d, &job, &results, &failure);
        progress_end(&p);
        /* Of several images in an archive, those before the one that failed are there. */
        if (print_results(results, r < 0 ? NULL : reterr) < 0 && r >= 0)
                return -EIO;
        return r < 0 ? err_move(reterr, r, &failure) : 0;
}

const struct verb verb_load = {
    .names = {"load", "image load"},
    .group = VERB_GROUP_IMAGE,
    .summary = "Load images from an archive or standard input",
    .details = "Reads OCI archives and layout directories and Docker archives of every age, "
               "plain or\ncompressed with gzip, zstd, xz or bzip2.",
    .sections = sections,
    .operands = "",
    .args_size = sizeof(struct load_args),
    .run = run,
};
