/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c — the runtime's side of hooks: the state that each of them is given, those that the runtime runs itself, and their failures in words. */
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "launch/launch_internal.h"
#include "spec/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ANNOTATION_OUT "run.oci.hooks.stdout"
#define ANNOTATION_ERR "run.oci.hooks.stderr"

/* Sealed: a hook can change nothing of what the next one reads. */
static int state_fd(const struct spec *s, const char *status, pid_t pid, struct err **reterr)
{
        AUTO_CLOSE int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        AUTO_FREE char *text = spec_oci_state(s, status, pid);
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "hooks: make room for the state");
        r = io_write_full(fd, text, strlen(text));
        if (r < 0)
                return err_sys(reterr, -r, "hooks: write the state");
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return err_sys(reterr, errno, "hooks: seal the state");
        return TAKE_FD(fd);
}

/* The file that an annotation names, else @otherwise, which may be NULL. */
static int output_fd(const struct spec *s, const char *annotation, const char *otherwise,
                     struct err **reterr)
{
        const char *path = strv_env_get(&s->annotations, annotation);
        bool named = !str_empty(path);
        int fd;

        if (!named && !otherwise)
                return -EBADF;
        if (named && path[0] != '/')
                return err_new(reterr, ERR_INVALID, "annotation %s: '%s' is not an absolute path",
                               annotation, path);
        fd = open(named ? path : otherwise, O_WRONLY | O_APPEND | O_CLOEXEC | (named ? O_CREAT : 0),
                  0600);
        if (fd < 0 && named)
                return err_sys(reterr, errno, "annotation %s: '%s'", annotation, path);
        return fd < 0 ? err_sys(reterr, errno, "'%s'", otherwise) : fd;
}

static void io_release(struct launch_hook_io *io)
{
        io->state_fd = fd_close(io->state_fd);
        io->out_fd = fd_close(io->out_fd);
        io->err_fd = fd_close(io->err_fd);
}

static int io_open(const struct spec *s, const char *status, pid_t pid, struct launch_hook_io *ret,
                   struct err **reterr)
{
        struct launch_hook_io io = {
            .state_fd = -EBADF, .out_fd = -EBADF, .err_fd = -EBADF, .directory = s->bundle};
        struct err *e = NULL;

        io.state_fd = state_fd(s, status, pid, &e);
        if (!e)
                io.out_fd = output_fd(s, ANNOTATION_OUT, "/dev/null", &e);
        if (!e)
                io.err_fd = output_fd(s, ANNOTATION_ERR, NULL, &e);
        if (e) {
                int r = io.state_fd < 0 ? io.state_fd : io.out_fd < 0 ? io.out_fd : io.err_fd;

                io_release(&io);
                return err_move(reterr, r, &e);
        }
        *ret = io;
        return 0;
}

int launch_hook_failed(enum spec_hook point, const struct child_note *note, int errnum,
                       struct err **reterr)
{
        AUTO_STRBUF path = {0};
        AUTO_STRBUF words = {0};
        int r;

        /* The hook's words are anybody's bytes, and may be cut within a character. */
        strbuf_add_utf8(&path, note->object, strlen(note->object));
        strbuf_add_utf8(&words, note->detail, strlen(note->detail));
        if (errnum == ECHILD && words.len > 0)
                return err_new(reterr, ERR_REMOTE, "%s hook '%s': %s", spec_hook_name(point),
                               path.data, words.data);
        r = err_sys(reterr, errnum, "%s hook '%s'", spec_hook_name(point),
                    path.data ? path.data : "");
        if (errnum != ENOENT && errnum != EACCES)
                return r;
        return err_hint(reterr, r, "%s",
                        point == SPEC_HOOK_START_CONTAINER
                            ? "the path of a startContainer hook is one inside the container"
                            : "the path of a hook is one of the runtime's, outside the container");
}

static int run_point(const struct spec *s, enum spec_hook point, const struct launch_hook_io *io,
                     struct strv *warnings, struct err **reterr)
{
        for (size_t i = 0; i < s->hooks[point].n; i++) {
                AUTO_ERR struct err *e = NULL;
                struct child_note note;
                int r = child_hook_run(&s->hooks[point].v[i], io, &note);

                if (r == 0)
                        continue;
                r = launch_hook_failed(point, &note, -r, &e);
                if (!warnings)
                        return err_move(reterr, r, &e);
                strv_add(warnings, err_message(e));
        }
        return 0;
}

int launch_hooks_run(const struct spec *s, enum spec_hook point, const char *status, pid_t pid,
                     struct strv *warnings, struct err **reterr)
{
        struct launch_hook_io io;
        int r;

        if (s->hooks[point].n == 0)
                return 0;
        r = io_open(s, status, pid, &io, reterr);
        if (r < 0)
                return r;
        r = run_point(s, point, &io, warnings, reterr);
        io_release(&io);
        return r;
}

bool launch_hooks_wanted(const struct spec *s)
{
        return s->hooks[SPEC_HOOK_PRESTART].n || s->hooks[SPEC_HOOK_CREATE_RUNTIME].n ||
               s->hooks[SPEC_HOOK_CREATE_CONTAINER].n || s->hooks[SPEC_HOOK_START_CONTAINER].n;
}

int launch_hooks_create(const struct spec *s, pid_t pid, int sock, struct err **reterr)
{
        struct child_report go = {.what = REPORT_GO_ON, .stage = STAGE_HOOKS_RUNTIME};
        AUTO_CLOSE int created = -EBADF;
        struct launch_hook_io io;
        int r;

        r = io_open(s, "creating", pid, &io, reterr);
        if (r < 0)
                return r;
        r = run_point(s, SPEC_HOOK_PRESTART, &io, NULL, reterr);
        if (r == 0)
                r = run_point(s, SPEC_HOOK_CREATE_RUNTIME, &io, NULL, reterr);
        if (r == 0)
                r = created = state_fd(s, "created", pid, reterr);
        if (r >= 0) {
                const int fds[HOOK_FD_COUNT] = {[HOOK_FD_CREATING] = io.state_fd,
                                                [HOOK_FD_CREATED] = created,
                                                [HOOK_FD_OUT] = io.out_fd,
                                                [HOOK_FD_ERR] = io.err_fd};

                r = sync_send(sock, &go, fds, io.err_fd >= 0 ? HOOK_FD_COUNT : HOOK_FD_ERR);
                /* A child that ended meanwhile has left a report, or is missed by who reads next. */
                if (r == -EPIPE || r == -ECONNRESET)
                        r = 0;
                if (r < 0)
                        (void)err_sys(reterr, -r,
                                      "hand the state to the container's first process");
        }
        io_release(&io);
        return r;
}
