/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `image-user` — whose programs an image is for, when its config does not run them as root: its USER, looked up in the image's own accounts,
 * else the owner of its first VOLUME directory that is not root's. The latter is how an image says it whose entry point begins as root, to
 * give the directory away, and then goes on as that user.
 *
 * Owners come from the recipes: what lies on disk was mapped, perhaps by ranges of another day, perhaps all to one id.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "idmap/idmap.h"
#include "image/accounts.h"
#include "image/layer_internal.h"
#include "image/recipe.h"
#include "image/tool.h"
#include "image/view.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

struct stack {
        int *layer_fds, *fs_fds; /* topmost first */
        size_t n;
        struct view view;
};

static void stack_release(struct stack *s)
{
        for (size_t i = 0; i < s->n; i++) {
                (void)fd_close(s->layer_fds[i]);
                (void)fd_close(s->fs_fds[i]);
        }
        free(s->layer_fds);
        free(s->fs_fds);
}

static int stack_open(const struct tool *t, const struct strv *layers, struct stack *s,
                      struct err **reterr)
{
        s->layer_fds = xcalloc(layers->n + 1, sizeof(int));
        s->fs_fds = xcalloc(layers->n + 1, sizeof(int));
        for (size_t i = layers->n; i > 0; i--) {
                int fd = tool_open_layer(t, layers->v[i - 1], reterr);

                if (fd < 0)
                        return fd;
                s->layer_fds[s->n] = fd;
                s->fs_fds[s->n++] =
                    openat(fd, LAYER_FS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (s->fs_fds[s->n - 1] < 0)
                        return err_sys(reterr, errno, "open layer %.12s", layers->v[i - 1]);
        }
        s->view = (struct view){.fds = s->fs_fds, .n = s->n};
        return 0;
}

/* The directory of the view that holds @path's last component. */
static struct view_dir *enter_parent(const struct stack *s, const char *path)
{
        struct view_dir *at = view_root(&s->view);
        const char *end;

        for (const char *p = path; at && (end = strchr(p, '/')); p = end + 1) {
                AUTO_FREE char *name = xstrndup(p, (size_t)(end - p));
                AUTO_FREE char *so_far = xstrndup(path, (size_t)(end - path));
                struct view_dir *next = view_enter(at, name, so_far);

                (void)view_dir_free(at);
                at = next;
        }
        return at;
}

/* Where @path leads, and which layer has it. NULL: there is no such thing of that @type. */
static char *find(const struct stack *s, const char *path, mode_t type, uint32_t *ret_layer)
{
        AUTO_FREE char *real = view_resolve(&s->view, path);
        AUTO(view_dir_freep) struct view_dir *parent = NULL;
        struct stat st;

        if (str_empty(real))
                return NULL;
        parent = enter_parent(s, real);
        if (!parent || view_lookup(parent, path_last(real), &st, ret_layer) <= 0 ||
            (st.st_mode & S_IFMT) != type)
                return NULL;
        return TAKE_PTR(real);
}

/* NULL: none, or one that no accounts are taken from. */
static char *read_file(const struct stack *s, const char *path)
{
        uint32_t layer = 0;
        AUTO_FREE char *real = find(s, path, S_IFREG, &layer);
        AUTO_CLOSE int fd = -EBADF;
        char *text = NULL;
        size_t n;

        if (real)
                fd = sys_openat2(s->fs_fds[layer], real, O_RDONLY | O_NONBLOCK, 0, BENEATH);
        if (fd < 0 || io_read_fd(fd, path, ACCOUNTS_MAX, &text, &n, NULL) < 0)
                return NULL;
        return text;
}

static bool find_user(const struct stack *s, const char *user, uint32_t *uid, uint32_t *gid)
{
        AUTO_FREE char *passwd = NULL, *group = NULL;

        if (str_empty(user))
                return false;
        passwd = read_file(s, "/etc/passwd");
        group = read_file(s, "/etc/group");
        return accounts_find(passwd, group, user, uid, gid) == 0 && *uid != 0;
}

struct owner {
        const char *path;
        uint32_t uid, gid;
        bool found;
};

static int note_owner(void *arg, const struct recipe_node *n, struct err **reterr)
{
        struct owner *o = arg;

        if (strcmp(n->path, o->path) == 0) {
                o->uid = n->uid;
                o->gid = n->gid;
                o->found = true;
        }
        return 0;
}

/* 1: found. */
static int find_owner(const struct stack *s, const struct strv *volumes, uint32_t *uid,
                      uint32_t *gid, struct err **reterr)
{
        for (size_t i = 0; i < volumes->n; i++) {
                uint32_t layer = 0;
                AUTO_FREE char *real = find(s, volumes->v[i], S_IFDIR, &layer);
                struct owner o = {.path = real};
                int r =
                    real ? recipe_each_in_place(s->layer_fds[layer], note_owner, &o, reterr) : 0;

                if (r < 0)
                        return err_wrap(reterr, r, "owner of the volume '%s'", volumes->v[i]);
                if (o.found && o.uid != 0) {
                        *uid = o.uid;
                        *gid = o.gid;
                        return 1;
                }
        }
        return 0;
}

int tool_image_user(struct tool *t, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        AUTO(stack_release) struct stack s = {0};
        AUTO_STRV layers = {0}, volumes = {0};
        struct json_object *msg;
        const char *user = NULL;
        uint32_t uid = 0, gid = 0;
        int r;

        if ((r = json_opt_strv(&root, "layers", &layers, reterr)) < 0 ||
            (r = json_opt_strv(&root, "volumes", &volumes, reterr)) < 0 ||
            (r = json_opt_string(&root, "user", &user, reterr)) < 0 ||
            (r = stack_open(t, &layers, &s, reterr)) < 0)
                return r;
        r = find_user(&s, user, &uid, &gid) ? 1 : find_owner(&s, &volumes, &uid, &gid, reterr);
        if (r <= 0)
                return r;
        msg = json_object_new_object();
        json_add_uint(msg, "uid", uid);
        json_add_uint(msg, "gid", gid);
        return tool_send_take(t, "result", msg, reterr);
}
