/* SPDX-License-Identifier: Apache-2.0 */
/* kelp commit */
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verb.h"
#include "container/container.h"
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct commit_args {
        struct strv changes;
        char *author, *message, *format, *iidfile;
        int pause; /* enum opt_tri */
        bool quiet, squash;
};
#define F(f) offsetof(struct commit_args, f)
static const struct opt opts[] = {
    {"author", 'a', OPT_STRING, F(author), "NAME", "Author of the image"},
    {"change", 'c', OPT_STRV, F(changes), "INSTRUCTION",
     "Apply a Dockerfile instruction, such as 'CMD [\"sh\"]' or 'ENV A=1'"},
    {"format", 'f', OPT_STRING, F(format), "FORMAT", "oci (the default) or docker",
     .values = "oci docker"},
    {"iidfile", 0, OPT_STRING, F(iidfile), "FILE", "Write the image's id to this file"},
    {"message", 'm', OPT_STRING, F(message), "TEXT", "Comment in the image's history"},
    {"pause", 'p', OPT_TRI, F(pause), NULL, "Stop the container's processes meanwhile (true)"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show no progress"},
    {"squash", 's', OPT_BOOL, F(squash), NULL, "Make one layer of the whole file system"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int check_format(const char *format, bool *ret_docker, struct err **reterr)
{
        int r;

        *ret_docker = format && strcmp(format, "docker") == 0;
        if (!format || *ret_docker || strcmp(format, "oci") == 0)
                return 0;
        r = err_new(reterr, ERR_USAGE, "unknown format '%s'", format);
        return err_hint(reterr, r, "known: oci, docker");
}

static int write_iidfile(const char *path, const char *id, struct err **reterr)
{
        AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
        int r = fd < 0 ? -errno : io_write_full(fd, id, strlen(id));

        return r < 0 ? err_sys(reterr, -r, "id file '%s'", path) : 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct commit_args *a = args;
        AUTO(container_freep) struct container *c = NULL;
        struct container_job job = {.progress = progress_show, .warning = progress_warn};
        struct container_commit_opts o = {.author = a->author,
                                          .message = a->message,
                                          .changes = &a->changes,
                                          .squash = a->squash,
                                          .pause = a->pause != OPT_FALSE,
                                          .pause_wanted = a->pause == OPT_TRUE};
        AUTO_FREE char *name = NULL, *id = NULL;
        struct progress p;
        struct dirs *d;
        int r;

        if ((r = check_format(a->format, &o.docker, reterr)) < 0 ||
            (r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = container_find(d, operands->v[0], &c, reterr)) < 0)
                return r;
        if (operands->n > 1) {
                r = store_new_name(d, operands->v[1], &name, reterr);
                if (r < 0)
                        return r;
                o.name = name;
        }
        progress_init(&p, "Committing", !a->quiet);
        job.arg = &p;
        r = container_commit(d, c, &o, &job, &id, reterr);
        progress_end(&p);
        if (r >= 0 && a->iidfile)
                r = write_iidfile(a->iidfile, id, reterr);
        return r < 0 ? r : output_printf(reterr, "%s\n", id);
}

const struct verb verb_commit = {
    .names = {"commit", "container commit"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER [NAME[:TAG]]",
    .summary = "Make an image of what a container has changed",
    .details = "Volumes and what else is mounted in the container are not part of it.",
    .sections = sections,
    .args_size = sizeof(struct commit_args),
    .min_operands = 1,
    .max_operands = 2,
    .completes = {COMPLETE_CONTAINER, COMPLETE_IMAGE},
    .run = run,
};
