/* SPDX-License-Identifier: Apache-2.0 */
/* kelp volume import, export */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct archive_args {
        char *output;
        bool quiet;
};
#define F(f) offsetof(struct archive_args, f)

/* ---- import ---- */

static const struct opt import_opts[] = {
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show no progress"},
    {0},
};
static const struct opt_section import_sections[] = {{import_opts, NULL, 0, false}, {0}};

static int open_input(const char *name, struct err **reterr)
{
        int fd;

        if (strcmp(name, "-") != 0) {
                fd = open(name, O_RDONLY | O_CLOEXEC);
                return fd < 0 ? err_sys(reterr, errno, "open '%s'", name) : fd;
        }
        if (fd_is_terminal(STDIN_FILENO)) {
                int r = err_new(reterr, ERR_USAGE, "standard input is a terminal, not an archive");

                return err_hint(reterr, r,
                                "name a file, or redirect: … | kelp volume import NAME -");
        }
        return fd_dup(STDIN_FILENO, reterr);
}

static int import(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct archive_args *a = args;
        const char *file = operands->n > 1 ? operands->v[1] : "-";
        struct volumes_job job = {.progress = progress_show, .warning = progress_warn};
        AUTO_CLOSE int in = -EBADF;
        struct progress p;
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        in = open_input(file, reterr);
        if (in < 0)
                return in;
        progress_init(&p, "Importing", !a->quiet);
        job.arg = &p;
        r = volumes_import(d, operands->v[0], in, strcmp(file, "-") == 0 ? "standard input" : file,
                           &job, reterr);
        progress_end(&p);
        return r < 0 ? err_wrap(reterr, r, "import into volume '%s'", operands->v[0]) : 0;
}

const struct verb verb_volume_import = {
    .names = {"volume import"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "VOLUME [FILE|-]",
    .summary = "Put the files of a tar archive into a volume",
    .details = "The tar may be compressed. Files of the same name are replaced, others stay.",
    .sections = import_sections,
    .args_size = sizeof(struct archive_args),
    .min_operands = 1,
    .max_operands = 2,
    .completes = {COMPLETE_VOLUME, COMPLETE_FILE},
    .run = import,
};

/* ---- export ---- */

static const struct opt export_opts[] = {
    {"output", 'o', OPT_STRING, F(output), "FILE", "Write to this file"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show no progress"},
    {0},
};
static const struct opt_section export_sections[] = {{export_opts, NULL, 0, false}, {0}};

static int export(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct archive_args *a = args;
        AUTO(target_release) struct target target = TARGET_NONE;
        struct volumes_job job = {.progress = progress_show, .warning = progress_warn};
        struct progress p;
        struct dirs *d;
        int r;

        if ((r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = target_open(a->output, "name a file in it", &target, reterr)) < 0)
                return r;
        progress_init(&p, "Exporting", !a->quiet);
        job.arg = &p;
        r = volumes_export(d, operands->v[0], target.fd, &job, reterr);
        progress_end(&p);
        if (r < 0)
                return err_wrap(reterr, r, "export volume '%s'", operands->v[0]);
        return target_finish(&target, reterr);
}

const struct verb verb_volume_export = {
    .names = {"volume export"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "VOLUME",
    .summary = "Write the files of a volume to a tar archive or standard output",
    .sections = export_sections,
    .args_size = sizeof(struct archive_args),
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_VOLUME, COMPLETE_NONE},
    .run = export,
};
