/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c — theory of operation
 *
 * A controller works in a cgroup when every ancestor has it in cgroup.subtree_control. From the root of the mount down, what is
 * missing there is asked for; who may not change an ancestor's (an ordinary user above what was delegated to him) finds it there
 * already, or not at all. What counts in the end is cgroup.controllers of the cgroup itself, and only what is needed is looked for:
 * the others (defaults) are for the statistics, and may fail.
 */
#include "cgroup/cgroup_internal.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>

static const char *const defaults[] = {"cpu", "memory", "pids", "io"};

struct enable {
        const struct cgroup_mount *mount;
        const struct strv *needed;
        const char *at; /* the ancestor that is looked at, for messages */
        /* The first that failed. */
        int errnum;
        char *failed_at;
};

static void enable_one(struct enable *e, int fd, const char *have, const char *enabled,
                       const char *controller, bool needed)
{
        AUTO_FREE char *word = xasprintf("+%s", controller);
        int r;

        if (cgroup_has_word(enabled, controller))
                return;
        r = cgroup_has_word(have, controller) ? cgroup_write(fd, "cgroup.subtree_control", word)
                                              : -ENOENT;
        if (r == 0 || !needed || e->failed_at)
                return;
        e->errnum = -r;
        e->failed_at = xstrdup(e->at);
}

static void enable_in(struct enable *e, int fd)
{
        AUTO_FREE char *have = cgroup_read(fd, "cgroup.controllers");
        AUTO_FREE char *enabled = cgroup_read(fd, "cgroup.subtree_control");

        for (size_t i = 0; i < e->needed->n; i++)
                enable_one(e, fd, have, enabled, e->needed->v[i], true);
        for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
                if (!strv_contains(e->needed, defaults[i]))
                        enable_one(e, fd, have, enabled, defaults[i], false);
        }
}

/* Why it is missing, and what would help. */
static int missing(const struct enable *e, const char *controller, struct err **reterr)
{
        const char *at = e->failed_at ? e->failed_at : "/";
        int r;

        if (e->errnum == EBUSY) {
                r = err_new(reterr, ERR_UNSUPPORTED,
                            "controller '%s' cannot be enabled in cgroup '%s': it has processes of "
                            "its own",
                            controller, at);
                return err_hint(reterr, r, "choose a cgroup that is not below one with processes");
        }
        if (e->errnum == EACCES || e->errnum == EPERM || e->errnum == EROFS) {
                r = err_new(
                    reterr, ERR_UNSUPPORTED,
                    "controller '%s' is not enabled in cgroup '%s', which we may not change",
                    controller, at);
                return err_hint(reterr, r,
                                "delegate it: Delegate=cpu cpuset io memory pids in a drop-in "
                                "/etc/systemd/system/user@.service.d/delegate.conf, then log in "
                                "anew");
        }
        r = err_new(reterr, ERR_UNSUPPORTED, "controller '%s' is not available in cgroup '%s'",
                    controller, at);
        if (e->mount->hybrid)
                return err_hint(reterr, r,
                                "this host has its controllers in cgroup v1: boot it with "
                                "systemd.unified_cgroup_hierarchy=1, or run without limits");
        return err_hint(reterr, r,
                        "see %s%s/cgroup.controllers: the kernel lacks it, or an "
                        "ancestor does not pass it on",
                        e->mount->path, strcmp(at, "/") == 0 ? "" : at);
}

int cgroup_enable(const struct cgroup_mount *m, const char *path, const struct strv *controllers,
                  struct err **reterr)
{
        struct enable e = {.mount = m, .needed = controllers, .at = "/"};
        AUTO_CLOSE int fd = fd_dup(m->fd, NULL);
        AUTO_FREE char *have = NULL;
        AUTO_STRBUF at = {0};
        AUTO_STRV names = {0};
        int r = 0;

        strv_split(&names, path + 1, '/');
        for (size_t i = 0; i < names.n && fd >= 0; i++) {
                int next;

                enable_in(&e, fd);
                next = openat(fd, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                (void)fd_close(fd);
                fd = next;
                strbuf_addf(&at, "/%s", names.v[i]);
                e.at = at.data;
        }
        have = cgroup_read(fd, "cgroup.controllers");
        for (size_t i = 0; r == 0 && i < controllers->n; i++) {
                if (!cgroup_has_word(have, controllers->v[i]))
                        r = missing(&e, controllers->v[i], reterr);
        }
        free(e.failed_at);
        return r;
}

static int apply_one(int fd, const struct cgroup_setting *s)
{
        int r = cgroup_write(fd, s->file, s->value);

        if (r == -ENOENT && s->other_file)
                r = cgroup_write(fd, s->other_file, s->other_value);
        return r == -ENOENT && s->optional ? 0 : r;
}

int cgroup_apply(int fd, const struct cgroup_mount *m, const char *path,
                 const struct cgroup_settings *s, struct err **reterr)
{
        for (size_t i = 0; i < s->n; i++) {
                const struct cgroup_setting *v = &s->v[i];
                int r = apply_one(fd, v);

                if (r == -ENOENT) {
                        r = err_new(reterr, ERR_UNSUPPORTED, "cgroup '%s' has no file '%s'", path,
                                    v->file);
                        return err_hint(reterr, r,
                                        "this kernel is too old for it, or was built "
                                        "without it");
                }
                if (r < 0)
                        return err_sys(reterr, -r, "set %s to '%s' in cgroup '%s'", v->file,
                                       v->value, path);
        }
        return 0;
}
