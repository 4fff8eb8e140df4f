/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp-image — reads and writes archives of images, which may be hostile; and kelp-changes, the same with a table of its own of what it can do.
 * image_protocol.h says how they are talked to.
 *
 * Point of no return: main() enters U, then confine() gives up everything that the verbs don't need. Only after that is
 * the first byte of input read, the request's own bytes excepted: they come from `kelp`.
 */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "idmap/idmap.h"
#include "image/confine.h"
#include "image/image_protocol.h"
#include "image/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_request(struct tool *t, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        size_t len = 0;
        int r = io_read_fd(IMAGE_FD_REQUEST, "request", IMAGE_REQUEST_MAX, &text, &len, reterr);

        return r < 0 ? r : json_parse(text, len, "request", &t->request, reterr);
}

/* Asked to end, we still clean up. Losing the caller counts as being asked. */
static int watch_signals(struct tool *t, struct err **reterr)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGQUIT);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return err_sys(reterr, errno, "block signals");
        t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return t->signal_fd < 0 ? err_sys(reterr, errno, "watch signals") : 0;
}

static int enter(struct tool *t, struct err **reterr)
{
        pid_t parent = getppid();
        int r = idmap_userns_open(t->dirs, &t->userns, reterr);

        if (r < 0)
                return r;
        r = idmap_userns_enter(t->userns, reterr);
        if (r < 0)
                return r;
        /* Entering changed our credentials, which clears the signal that the caller had asked for. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
                return err_sys(reterr, errno, "watch the caller");
        if (getppid() != parent)
                return tool_interrupted_error(reterr);
        id_map_add(&t->uid, 0, 0, (uint32_t)id_map_total(&t->userns->uid));
        id_map_add(&t->gid, 0, 0, (uint32_t)id_map_total(&t->userns->gid));
        t->maps = (struct layer_maps){
            .uid = &t->uid,
            .gid = &t->gid,
            .host_uid = &t->userns->uid,
            .host_gid = &t->userns->gid,
        };
        return 0;
}

/* An image of hundreds of layers is unpacked with all of them open. */
static void raise_open_files(void)
{
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
                l.rlim_cur = l.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &l);
        }
}

static int confine_tool(const struct tool *t, struct err **reterr)
{
        struct confine_dir dirs[3] = {{.fd = t->dirs->root_fd, .writable = 1}};
        size_t n = 1;
        struct stat st;

        if (fstat(IMAGE_FD_INPUT, &st) == 0 && S_ISDIR(st.st_mode))
                dirs[n++] = (struct confine_dir){.fd = IMAGE_FD_INPUT};
        if (fstat(IMAGE_FD_OUTPUT, &st) == 0 && S_ISDIR(st.st_mode))
                dirs[n++] = (struct confine_dir){.fd = IMAGE_FD_OUTPUT, .writable = 1};
        return confine(dirs, n, reterr);
}

static int run(struct tool *t, const char *verb, const char *root, struct err **reterr)
{
        int r;

        if ((r = watch_signals(t, reterr)) < 0 || (r = dirs_open(root, &t->dirs, reterr)) < 0 ||
            (r = read_request(t, reterr)) < 0 || (r = enter(t, reterr)) < 0 ||
            (r = confine_tool(t, reterr)) < 0)
                return r;
        for (const struct tool_verb *v = tool_verbs; v->name; v++)
                if (strcmp(v->name, verb) == 0)
                        return v->run(t, reterr);
        return err_new(reterr, ERR_USAGE, "unknown verb '%s'", verb);
}

int main(int argc, char **argv)
{
        struct tool t = {.status_fd = IMAGE_FD_STATUS, .signal_fd = -EBADF};
        AUTO_ERR struct err *e = NULL;
        struct json_object *msg = json_object_new_object();
        int r;

        (void)fd_sanitize_stdio();
        if (argc != 3 || fcntl(IMAGE_FD_STATUS, F_GETFD) < 0 ||
            fcntl(IMAGE_FD_REQUEST, F_GETFD) < 0) {
                fprintf(stderr, "kelp-image: a helper of kelp; not to be called by hand\n");
                return 125;
        }
        (void)signal(SIGPIPE, SIG_IGN);
        umask(0);
        raise_open_files();
        r = run(&t, argv[1], argv[2], &e);
        if (r < 0)
                json_object_object_add(msg, "error", err_encode(e));
        (void)tool_send_take(&t, r < 0 ? "error" : "done", msg, NULL);
        (void)json_unref(t.request);
        id_map_release(&t.uid);
        id_map_release(&t.gid);
        (void)idmap_userns_free(t.userns);
        (void)dirs_free(t.dirs);
        return r < 0 ? 1 : 0;
}
