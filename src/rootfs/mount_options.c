/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs/mount_options.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "spec/spec.h"

#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

enum option_what { OPT_SET, OPT_CLEAR, OPT_PROPAGATION, OPT_BIND, OPT_COPY_UP, OPT_NOTHING };

static const struct mount_option {
        const char *name;
        enum option_what what;
        bool recursive;
        uint64_t value;
} mount_options[] = {
    {"ro", OPT_SET, false, MOUNT_ATTR_RDONLY},
    {"rro", OPT_SET, true, MOUNT_ATTR_RDONLY},
    {"rw", OPT_CLEAR, false, MOUNT_ATTR_RDONLY},
    {"nosuid", OPT_SET, false, MOUNT_ATTR_NOSUID},
    {"rnosuid", OPT_SET, true, MOUNT_ATTR_NOSUID},
    {"suid", OPT_CLEAR, false, MOUNT_ATTR_NOSUID},
    {"nodev", OPT_SET, false, MOUNT_ATTR_NODEV},
    {"rnodev", OPT_SET, true, MOUNT_ATTR_NODEV},
    {"dev", OPT_CLEAR, false, MOUNT_ATTR_NODEV},
    {"noexec", OPT_SET, false, MOUNT_ATTR_NOEXEC},
    {"rnoexec", OPT_SET, true, MOUNT_ATTR_NOEXEC},
    {"exec", OPT_CLEAR, false, MOUNT_ATTR_NOEXEC},
    {"noatime", OPT_SET, false, MOUNT_ATTR_NOATIME},
    {"strictatime", OPT_SET, false, MOUNT_ATTR_STRICTATIME},
    {"nodiratime", OPT_SET, false, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", OPT_SET, false, MOUNT_ATTR_NOSYMFOLLOW},
    {"private", OPT_PROPAGATION, false, MS_PRIVATE},
    {"rprivate", OPT_PROPAGATION, true, MS_PRIVATE},
    {"slave", OPT_PROPAGATION, false, MS_SLAVE},
    {"rslave", OPT_PROPAGATION, true, MS_SLAVE},
    {"shared", OPT_PROPAGATION, false, MS_SHARED},
    {"rshared", OPT_PROPAGATION, true, MS_SHARED},
    {"unbindable", OPT_PROPAGATION, false, MS_UNBINDABLE},
    {"runbindable", OPT_PROPAGATION, true, MS_UNBINDABLE},
    {"bind", OPT_BIND, false, 0},
    {"rbind", OPT_BIND, true, 0},
    {"tmpcopyup", OPT_COPY_UP, false, 0},
    /* What every mount has anyway. */
    {"defaults", OPT_NOTHING, false, 0},
    {"relatime", OPT_NOTHING, false, 0},
    {"atime", OPT_NOTHING, false, 0},
    {"diratime", OPT_NOTHING, false, 0},
    {"symfollow", OPT_NOTHING, false, 0},
    {"rrw", OPT_NOTHING, false, 0},
    {"async", OPT_NOTHING, false, 0},
    {"nomand", OPT_NOTHING, false, 0},
};

static const struct mount_option *option_find(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(mount_options); i++) {
                if (strcmp(mount_options[i].name, name) == 0)
                        return &mount_options[i];
        }
        return NULL;
}

static void option_apply(const struct mount_option *o, struct rootfs_op *op, bool *bind)
{
        switch (o->what) {
        case OPT_SET:
                op->attrs |= o->value;
                op->attrs_recursive = op->attrs_recursive || o->recursive;
                break;
        case OPT_CLEAR:
                /* Only takes back what stood further left: what the host's mount has is locked, and stays. */
                op->attrs &= ~o->value;
                break;
        case OPT_PROPAGATION:
                op->propagation = o->value;
                op->propagation_recursive = o->recursive;
                break;
        case OPT_BIND:
                *bind = true;
                op->recursive = op->recursive || o->recursive;
                break;
        case OPT_COPY_UP:
                op->copy_up = true;
                break;
        case OPT_NOTHING:
                break;
        }
}

/* "key=value" or "flag", for the file system itself. */
static void option_add_param(const char *text, struct rootfs_op *op, struct strv *strings)
{
        struct rootfs_param *params =
            xrealloc((void *)op->params, op->n_params + 1, sizeof(*params));
        const char *equals = strchr(text, '=');
        struct rootfs_param *p = &params[op->n_params++];

        strv_add_take(strings, equals ? xstrndup(text, (size_t)(equals - text)) : xstrdup(text));
        p->key = strings->v[strings->n - 1];
        p->value = NULL;
        if (equals) {
                strv_add(strings, equals + 1);
                p->value = strings->v[strings->n - 1];
        }
        op->params = params;
}

int mount_options_parse(const struct spec_mount *m, struct rootfs_op *op, struct strv *strings,
                        bool *ret_bind, struct err **reterr)
{
        bool bind = false;

        for (size_t i = 0; i < m->options.n; i++) {
                const struct mount_option *o = option_find(m->options.v[i]);

                if (o)
                        option_apply(o, op, &bind);
                else
                        option_add_param(m->options.v[i], op, strings);
        }
        bind = bind || strcmp(m->type, "bind") == 0;
        if (bind && op->n_params > 0)
                return err_new(reterr, ERR_USAGE, "mount '%s': unknown option '%s'", m->destination,
                               op->params[0].key);
        if (op->copy_up && (bind || strcmp(m->type, "tmpfs") != 0))
                return err_new(reterr, ERR_USAGE, "mount '%s': tmpcopyup is for tmpfs only",
                               m->destination);
        *ret_bind = bind;
        return 0;
}
