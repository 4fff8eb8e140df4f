/* SPDX-License-Identifier: Apache-2.0 */
/* kelp import */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verb.h"
#include "image/image_job.h"
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct import_args {
        struct strv changes;
        char *message, *platform, *arch, *os, *variant;
        bool quiet;
};
#define F(f) offsetof(struct import_args, f)
static const struct opt opts[] = {
    {"arch", 0, OPT_STRING, F(arch), "ARCH", "Architecture of the image (the host's)"},
    {"change", 'c', OPT_STRV, F(changes), "INSTRUCTION",
     "Apply a Dockerfile instruction, such as 'CMD [\"sh\"]' or 'ENV A=1'"},
    {"message", 'm', OPT_STRING, F(message), "TEXT", "Comment in the image's history"},
    {"os", 0, OPT_STRING, F(os), "OS", "Operating system of the image (linux)"},
    {"platform", 0, OPT_STRING, F(platform), "OS/ARCH", "Platform of the image (the host's)"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show no progress"},
    {"variant", 0, OPT_STRING, F(variant), "VARIANT", "Variant of the architecture"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int open_input(const char *path, struct err **reterr)
{
        int fd, r;

        if (str_starts(path, "http://") || str_starts(path, "https://")) {
                r = err_new(reterr, ERR_UNSUPPORTED, "'%s' is not fetched", path);
                return err_hint(reterr, r, "curl -L '%s' | kelp import - NAME", path);
        }
        if (strcmp(path, "-") != 0) {
                fd = open(path, O_RDONLY | O_CLOEXEC);
                return fd < 0 ? err_sys(reterr, errno, "%s", path) : fd;
        }
        if (fd_is_terminal(STDIN_FILENO))
                return err_new(reterr, ERR_USAGE, "standard input is a terminal");
        return fd_dup(STDIN_FILENO, reterr);
}

/* --os, --arch and --variant are the parts of --platform. */
static int add_platform(const struct import_args *a, struct json_object *request,
                        struct err **reterr)
{
        AUTO_FREE char *parts = NULL;

        if (a->platform && (a->os || a->arch || a->variant))
                return err_new(reterr, ERR_USAGE,
                               "--platform says the same as --os, --arch and --variant");
        if (a->variant && !a->arch)
                return err_new(reterr, ERR_USAGE, "--variant needs --arch");
        if (a->platform) {
                json_add_string(request, "platform", a->platform);
                return 0;
        }
        if (!a->os && !a->arch)
                return 0;
        if (!a->arch)
                parts = xstrdup(a->os);
        else
                parts = xasprintf("%s/%s%s%s", a->os ? a->os : "linux", a->arch,
                                  a->variant ? "/" : "", a->variant ? a->variant : "");
        json_add_string(request, "platform", parts);
        return 0;
}

static int make_request(const struct dirs *d, const struct import_args *a,
                        const struct strv *operands, struct json_object **ret, struct err **reterr)
{
        AUTO_JSON *request = json_object_new_object();
        AUTO_FREE char *name = NULL;
        int r;

        json_add_string(request, "what", operands->v[0]);
        json_object_object_add(request, "changes", json_from_strv(&a->changes));
        if (a->message)
                json_add_string(request, "message", a->message);
        r = add_platform(a, request, reterr);
        if (r < 0)
                return r;
        if (operands->n > 1) {
                r = store_new_name(d, operands->v[1], &name, reterr);
                if (r < 0)
                        return r;
                json_add_string(request, "name", name);
        }
        *ret = TAKE_PTR(request);
        return 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct import_args *a = args;
        AUTO_JSON *request = NULL;
        AUTO_JSON *results = NULL;
        struct image_job job = IMAGE_JOB_INIT("import");
        AUTO_CLOSE int in = -EBADF;
        const char *id = NULL;
        struct json_at at;
        struct progress p;
        struct dirs *d;
        int r;

        if ((r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = make_request(d, a, operands, &request, reterr)) < 0)
                return r;
        in = open_input(operands->v[0], reterr);
        if (in < 0)
                return in;
        progress_init(&p, "Importing", !a->quiet);
        job.request = request;
        job.in_fd = in;
        job.progress = progress_show;
        job.warning = progress_warn;
        job.arg = &p;
        r = image_job_run(d, &job, &results, reterr);
        progress_end(&p);
        if (r < 0)
                return r;
        at = json_root(json_object_array_get_idx(results, 0), "result");
        r = json_get_string(&at, "id", &id, reterr);
        return r < 0 ? r : output_printf(reterr, "%s\n", id);
}

const struct verb verb_import = {
    .names = {"import", "image import"},
    .group = VERB_GROUP_IMAGE,
    .operands = "FILE|- [NAME[:TAG]]",
    .summary = "Make an image from the tar of a root file system",
    .details = "The tar may be compressed with gzip, zstd, xz or bzip2.",
    .sections = sections,
    .args_size = sizeof(struct import_args),
    .min_operands = 1,
    .max_operands = 2,
    .completes = {COMPLETE_FILE, COMPLETE_NONE},
    .run = run,
};
