/* SPDX-License-Identifier: Apache-2.0 */
/* kelp save */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/random_id.h"
#include "base/str.h"
#include "cli/progress.h"
#include "cli/verb.h"
#include "image/image_job.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* A file that is replaced when it is complete, and only then: a failed save leaves the old one as it was. */
struct target {
        int fd, dir_fd;
        char *name; /* final, in dir_fd; NULL: written in place */
        char temporary[80];
        bool linked;    /* the temporary name exists */
        bool directory; /* was empty, and is again when we fail */
        bool made_dir;
};

static void target_release(struct target *t)
{
        static const char *const written[] = {"blobs", "index.json", "oci-layout"};

        if (t->linked)
                (void)unlinkat(t->dir_fd, t->temporary, 0);
        for (size_t i = 0; t->directory && i < ARRAY_SIZE(written); i++)
                (void)path_remove_tree(t->fd, written[i], NULL);
        if (t->made_dir)
                (void)unlinkat(t->dir_fd, t->name, AT_REMOVEDIR);
        (void)fd_close(t->fd);
        (void)fd_close(t->dir_fd);
        free(t->name);
}

static int open_parent(const char *path, struct target *t, struct err **reterr)
{
        AUTO_FREE char *full = path_make_absolute(path, reterr);
        AUTO_FREE char *clean = full ? path_clean(full) : NULL;
        AUTO_FREE char *dir = NULL;

        if (!clean)
                return -ENOENT;
        t->name = xstrdup(path_last(clean));
        dir = xstrndup(clean, strlen(clean) - strlen(t->name));
        t->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return t->dir_fd < 0 ? err_sys(reterr, errno, "%s", dir) : 0;
}

static int open_file(const char *path, struct target *t, struct err **reterr)
{
        char id[RANDOM_ID_LEN + 1];
        struct stat st;
        int r;

        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                return err_hint(reterr, err_new(reterr, ERR_USAGE, "%s is a directory", path),
                                "use --format oci-dir to write a directory");
        if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
                t->fd = open(path, O_WRONLY | O_CLOEXEC);
                return t->fd < 0 ? err_sys(reterr, errno, "%s", path) : 0;
        }
        r = open_parent(path, t, reterr);
        if (r < 0)
                return r;
        random_id(id);
        (void)snprintf(t->temporary, sizeof(t->temporary), ".kelp-save-%.16s", id);
        /* Without a name nothing is left behind even by kill -9, where the file system can do that. */
        t->fd = openat(t->dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
        if (t->fd >= 0)
                return 0;
        t->fd = openat(t->dir_fd, t->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (t->fd < 0)
                return err_sys(reterr, errno, "%s", path);
        t->linked = true;
        return 0;
}

static int open_directory(const char *path, struct target *t, struct err **reterr)
{
        struct dirent *e;
        bool empty = true;
        DIR *dir;
        int r = open_parent(path, t, reterr);

        if (r < 0)
                return r;
        if (mkdirat(t->dir_fd, t->name, 0777) == 0)
                t->made_dir = true;
        else if (errno != EEXIST)
                return err_sys(reterr, errno, "%s", path);
        t->fd = openat(t->dir_fd, t->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = t->fd < 0 ? NULL : opendir(path); /* another descriptor: reading moves its position */
        if (!dir)
                return err_sys(reterr, errno, "%s", path);
        while ((e = readdir(dir)))
                empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
        closedir(dir);
        if (!empty)
                return err_new(reterr, ERR_EXISTS, "directory %s is not empty", path);
        t->directory = true;
        return 0;
}

static int open_target(const struct save_args *a, bool directory, struct target *t,
                       struct err **reterr)
{
        bool standard = !a->output || strcmp(a->output, "-") == 0;

        if (directory && standard)
                return err_new(reterr, ERR_USAGE, "--format oci-dir needs --output DIRECTORY");
        if (directory)
                return open_directory(a->output, t, reterr);
        if (!standard)
                return open_file(a->output, t, reterr);
        if (fd_is_terminal(STDOUT_FILENO)) {
                int r = err_new(reterr, ERR_USAGE, "standard output is a terminal");

                return err_hint(reterr, r, "name a file with --output, or redirect");
        }
        t->fd = fd_dup(STDOUT_FILENO, reterr);
        return t->fd < 0 ? t->fd : 0;
}

static int finish_target(struct target *t, struct err **reterr)
{
        char proc[FD_PATH_MAX];

        t->directory = t->made_dir = false;
        if (!t->temporary[0])
                return 0;
        if (fsync(t->fd) < 0)
                return err_sys(reterr, errno, "write %s", t->name);
        if (!t->linked &&
            linkat(AT_FDCWD, fd_path(t->fd, proc), t->dir_fd, t->temporary, AT_SYMLINK_FOLLOW) < 0)
                return err_sys(reterr, errno, "make %s", t->name);
        t->linked = true;
        if (renameat(t->dir_fd, t->temporary, t->dir_fd, t->name) < 0)
                return err_sys(reterr, errno, "make %s", t->name);
        t->linked = false;
        return fsync(t->dir_fd) < 0 ? err_sys(reterr, errno, "write %s", t->name) : 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct save_args *a = args;
        AUTO(target_release) struct target target = {.fd = -EBADF, .dir_fd = -EBADF};
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
        return r < 0 ? r : finish_target(&target, reterr);
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
