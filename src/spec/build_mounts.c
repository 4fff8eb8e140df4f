/* SPDX-License-Identifier: Apache-2.0 */
/* build_mounts.c — the mounts of every container, then the user's, then devices. */
#include "base/err.h"
#include "base/path.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <string.h>

static const struct {
        const char *destination, *type, *source, *options;
} default_mounts[] = {
    {"/proc", "proc", "proc", "nosuid,noexec,nodev"},
    {"/dev", "tmpfs", "tmpfs", "nosuid,noexec,strictatime,mode=755,size=65536k"},
    {"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
    {"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"},
    {"/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro"},
};

static void add_defaults(const struct run_options *o, struct spec *s)
{
        AUTO_FREE char *shm = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(default_mounts); i++) {
                struct spec_mount *m =
                    spec_add_mount(s, default_mounts[i].destination, default_mounts[i].type,
                                   default_mounts[i].source, default_mounts[i].options);

                /* The last word wins: /sys and the cgroup tree are writable then, as with Docker. */
                if (o->privileged)
                        strv_add(&m->options, "rw");
                if (strcmp(m->type, "proc") == 0)
                        strv_copy(&m->options, &s->proc_options);
        }
        if (!s->ns[SPEC_NS_IPC].enabled) {
                (void)spec_add_mount(s, "/dev/shm", "bind", "/dev/shm",
                                     "rbind,nosuid,noexec,nodev");
                return;
        }
        /* POSIX shared memory and semaphores are files there: what shares the namespace shares them. */
        if (o->ipc && str_starts(o->ipc, "container:")) {
                spec_add_mount(s, "/dev/shm", "bind", "/dev/shm", "bind,nosuid,noexec,nodev")
                    ->of_ipc = true;
                return;
        }
        shm = xasprintf("nosuid,noexec,nodev,mode=1777,size=%llu",
                        (unsigned long long)(o->shm_size ? o->shm_size : SPEC_SHM_SIZE));
        (void)spec_add_mount(s, "/dev/shm", "tmpfs", "shm", shm);
}

/* Where programs write that have nothing to say there later. */
static void add_writable(struct spec *s)
{
        static const char *const places[] = {"/run", "/tmp", "/var/tmp"};

        for (size_t i = 0; i < ARRAY_SIZE(places); i++)
                (void)spec_add_mount(s, places[i], "tmpfs", "tmpfs",
                                     "nosuid,nodev,mode=1777,tmpcopyup");
}

static bool has_propagation(const struct strv *options)
{
        static const char *const names[] = {"private", "rprivate", "slave",
                                            "rslave",  "shared",   "rshared"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strv_contains(options, names[i]))
                        return true;
        }
        return false;
}

/* What the user has said of it, and what every bind has. */
static void set_bind_options(const struct run_mount *m, struct spec_mount *to)
{
        strv_copy(&to->options, &m->options);
        if (!strv_contains(&to->options, "bind") && !strv_contains(&to->options, "rbind"))
                strv_add(&to->options, "rbind");
        /* Read-only means all of it, as with Docker since mount_setattr(2) can: a mount further down is no way round. */
        if (strv_contains(&to->options, "ro") && !strv_contains(&to->options, "bind") &&
            !m->writable_below)
                strv_add(&to->options, "rro");
        if (!has_propagation(&to->options))
                strv_add(&to->options, "rprivate");
}

/* A mount of our own between the container and the source. Which directories take the changes is container/'s to say, unless the user did. */
static void add_overlay(const struct run_mount *m, struct spec_mount *to)
{
        free(to->type);
        to->type = xstrdup("overlay");
        for (size_t i = 0; i < m->options.n; i++) {
                if (strcmp(m->options.v[i], "bind") != 0 && strcmp(m->options.v[i], "rbind") != 0)
                        strv_add(&to->options, m->options.v[i]);
        }
        to->upper = xstrdup(m->upper);
        to->work = xstrdup(m->work);
}

static int add_bind(const struct run_mount *m, const char *target, struct spec *s,
                    struct err **reterr)
{
        struct spec_mount *to;

        if (m->source[0] != '/')
                return err_new(reterr, ERR_USAGE, "mount '%s': source '%s' is not absolute",
                               m->target, m->source);
        to = spec_add_mount(s, target, "bind", m->source, NULL);
        to->create_missing = m->create_source;
        to->chown = m->chown;
        if (m->overlay)
                add_overlay(m, to);
        else
                set_bind_options(m, to);
        return 0;
}

static int add_volume(const struct run_mount *m, const char *target, struct spec *s,
                      struct err **reterr)
{
        AUTO_FREE char *source = NULL;
        struct spec_mount *to;

        if (str_empty(m->source)) /* container/ gives a name to those that have none */
                return err_new(reterr, ERR_USAGE, "volume '%s': it has no name", m->target);
        source = xasprintf("volumes/%s/_data", m->source);
        to = spec_add_mount(s, target, "bind", source, NULL);
        to->file = true;
        to->chown = m->chown;
        to->subpath = xstrdup(m->subpath);
        if (m->overlay)
                add_overlay(m, to);
        else
                set_bind_options(m, to);
        return 0;
}

/* The layers are filled in by container/. */
static void add_image(const struct run_mount *m, const char *target, struct spec *s)
{
        struct spec_mount *to = spec_add_mount(s, target, "overlay", m->source, NULL);

        to->subpath = xstrdup(m->subpath);
        strv_copy(&to->options, &m->options);
}

static void add_tmpfs(const struct run_mount *m, const char *target, struct spec *s)
{
        struct spec_mount *to = spec_add_mount(s, target, "tmpfs", "tmpfs", "nosuid,nodev");

        /* Docker's default is noexec; the options of the user come later and win. */
        strv_add(&to->options, "noexec");
        strv_copy(&to->options, &m->options);
}

/* Of the kind that the type is called after. */
static void add_file_system(const struct run_mount *m, const char *target, const char *options,
                            struct spec *s)
{
        const char *type = run_mount_type_name(m->type);

        strv_copy(&spec_add_mount(s, target, type, type, options)->options, &m->options);
}

static int add_user_mount(const struct run_mount *m, struct spec *s, size_t n_defaults,
                          struct err **reterr)
{
        AUTO_FREE char *target = path_clean(m->target);

        for (size_t i = n_defaults; i < s->n_mounts; i++) {
                if (strcmp(s->mounts[i].destination, target) == 0)
                        return err_new(reterr, ERR_USAGE, "mount '%s': given twice", target);
        }
        switch (m->type) {
        case RUN_MOUNT_BIND:
                return add_bind(m, target, s, reterr);
        case RUN_MOUNT_TMPFS:
                add_tmpfs(m, target, s);
                return 0;
        case RUN_MOUNT_VOLUME:
                return add_volume(m, target, s, reterr);
        case RUN_MOUNT_IMAGE:
                add_image(m, target, s);
                return 0;
        case RUN_MOUNT_DEVPTS:
                add_file_system(m, target, "nosuid,noexec,newinstance,ptmxmode=0666", s);
                return 0;
        case RUN_MOUNT_RAMFS:
                add_file_system(m, target, "nosuid,nodev", s);
                return 0;
        case RUN_MOUNT_GLOB: /* the command line has resolved it */
        case RUN_MOUNT_TYPE_COUNT:
                break;
        }
        return err_new(reterr, ERR_USAGE, "mount '%s': unknown type", m->target);
}

/* What the user puts in the place of a default (--tmpfs /dev/shm, -v /dev:/dev) replaces it. */
static void drop_replaced_defaults(struct spec *s, size_t n_defaults)
{
        size_t kept = 0, n = s->n_mounts;

        for (size_t i = 0; i < n; i++) {
                bool replaced = false;

                for (size_t j = n_defaults; i < n_defaults && j < n && !replaced; j++)
                        replaced = strcmp(s->mounts[i].destination, s->mounts[j].destination) == 0;
                if (replaced)
                        spec_mount_release(&s->mounts[i]);
                else
                        s->mounts[kept++] = s->mounts[i];
        }
        s->n_mounts = kept;
}

static size_t depth(const char *path)
{
        size_t n = 0;

        for (; *path; path++)
                n += *path == '/';
        return n;
}

/* As Docker does: what is nearer to the root is mounted first, in whatever order it was written. Stable. */
static void sort_mounts(struct spec *s)
{
        for (size_t i = 1; i < s->n_mounts; i++) {
                struct spec_mount m = s->mounts[i];
                size_t j = i;

                for (; j > 0 && depth(s->mounts[j - 1].destination) > depth(m.destination); j--)
                        s->mounts[j] = s->mounts[j - 1];
                s->mounts[j] = m;
        }
}

/* HOST[:CONTAINER[:ACCESS]], ACCESS out of "rwm". */
static int add_device(const char *value, struct spec *s, struct err **reterr)
{
        AUTO_STRV parts = {0};
        const char *path, *access = "rwm";

        strv_split(&parts, value, ':');
        if (parts.n > 3 || parts.v[0][0] != '/')
                return err_new(reterr, ERR_USAGE,
                               "--device '%s' is not HOST[:CONTAINER[:rwm]] with an absolute path",
                               value);
        path = parts.v[0];
        /* "/dev/x:rw": the second part may be the access already, as Docker reads it. */
        if (parts.n >= 2 && parts.v[1][0] == '/')
                path = parts.v[1];
        else if (parts.n == 2)
                access = parts.v[1];
        if (parts.n == 3)
                access = parts.v[2];
        if (!*access || strspn(access, "rwm") != strlen(access))
                return err_new(reterr, ERR_USAGE,
                               "--device '%s': access '%s' is not made of r, w and m", value,
                               access);
        /* Which accesses a device node grants is the device cgroup's to restrict, and that is root's: what cannot be kept
         * must not be promised. "m" can be left out, since nobody makes device nodes in a user namespace. */
        if (!strchr(access, 'r') || !strchr(access, 'w')) {
                (void)err_new(reterr, ERR_UNSUPPORTED,
                              "--device '%s': an ordinary user cannot restrict the access to '%s'",
                              value, access);
                return err_hint(reterr, -EOPNOTSUPP, "give it with rw, or leave it out");
        }
        (void)spec_add_device(s, parts.v[0], path, access);
        return 0;
}

int spec_build_mounts(const struct run_options *o, struct spec *s, struct err **reterr)
{
        size_t n_defaults;
        int r = 0;

        add_defaults(o, s);
        if (o->read_only_tmpfs)
                add_writable(s);
        n_defaults = s->n_mounts;
        for (size_t i = 0; r >= 0 && i < o->n_mounts; i++)
                r = add_user_mount(&o->mounts[i], s, n_defaults, reterr);
        for (size_t i = 0; r >= 0 && i < o->devices.n; i++)
                r = add_device(o->devices.v[i], s, reterr);
        if (r < 0)
                return r;
        drop_replaced_defaults(s, n_defaults);
        sort_mounts(s);
        return 0;
}
