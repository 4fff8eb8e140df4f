/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs/mount_options.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "spec/mount_option.h"
#include "spec/spec.h"

#include <linux/mount.h>
#include <string.h>

/* A flag is set, cleared, or left as it comes: the last word about it counts. */
static void set_flags(struct rootfs_op *op, bool below, uint64_t set, uint64_t clear)
{
        uint64_t *to = below ? &op->attrs_below : &op->attrs;
        uint64_t *from = below ? &op->clear_below : &op->clear;

        *to = (*to & ~clear) | set;
        *from = (*from & ~set) | clear;
}

/* A time policy is a field, not a bit: the kernel wants it cleared before it is set. */
static void set_atime(struct rootfs_op *op, bool below, uint64_t value)
{
        set_flags(op, below, 0, MOUNT_ATTR__ATIME);
        *(below ? &op->attrs_below : &op->attrs) |= value;
}

/* What a bundle may ask for, and Kelp's own command line may not. */
static bool is_foreign(const struct mount_option *o)
{
        switch (o->effect) {
        case MOUNT_OPTION_REMOUNT:
        case MOUNT_OPTION_IDMAP:
        case MOUNT_OPTION_COPY_SYMLINK:
        case MOUNT_OPTION_SOURCE_NOFOLLOW:
        case MOUNT_OPTION_TARGET_NOFOLLOW:
        case MOUNT_OPTION_SUPER_SET:
                return true;
        case MOUNT_OPTION_CLEAR:
                return o->recursive && o->value != MOUNT_ATTR_RDONLY;
        case MOUNT_OPTION_SET:
        case MOUNT_OPTION_ATIME:
        case MOUNT_OPTION_PROPAGATION:
        case MOUNT_OPTION_BIND:
        case MOUNT_OPTION_SUPER_CLEAR:
        case MOUNT_OPTION_COPY_UP:
        case MOUNT_OPTION_NOTHING:
                break;
        }
        return false;
}

static void option_apply(const struct mount_option *o, const char *text, bool below,
                         struct rootfs_op *op, struct mount_options *ret)
{
        switch (o->effect) {
        case MOUNT_OPTION_SET:
                set_flags(op, below, o->value, 0);
                break;
        case MOUNT_OPTION_CLEAR:
                set_flags(op, below, 0, o->value);
                break;
        case MOUNT_OPTION_ATIME:
                set_atime(op, below, o->value);
                break;
        case MOUNT_OPTION_PROPAGATION:
                op->propagation = o->value;
                op->propagation_recursive = o->recursive;
                break;
        case MOUNT_OPTION_BIND:
                ret->bind = true;
                op->recursive = op->recursive || o->recursive;
                break;
        case MOUNT_OPTION_REMOUNT:
                ret->remount = true;
                break;
        case MOUNT_OPTION_SUPER_SET:
                ret->super |= o->value;
                break;
        case MOUNT_OPTION_SUPER_CLEAR:
                ret->super &= ~o->value;
                break;
        case MOUNT_OPTION_COPY_UP:
                op->copy_up = true;
                break;
        case MOUNT_OPTION_IDMAP:
                ret->idmap = true;
                ret->idmap_recursive = ret->idmap_recursive || o->recursive;
                if (strchr(text, '='))
                        ret->idmap_text = strchr(text, '=') + 1;
                break;
        case MOUNT_OPTION_COPY_SYMLINK:
                ret->copy_symlink = true;
                break;
        case MOUNT_OPTION_SOURCE_NOFOLLOW:
                op->source_nofollow = true;
                break;
        case MOUNT_OPTION_TARGET_NOFOLLOW:
                op->target_nofollow = true;
                break;
        case MOUNT_OPTION_NOTHING:
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

/* What the host's mount has is locked, and stays; "rro" of Kelp's own options speaks for the others as well. */
static void settle_own(struct rootfs_op *op, bool recursive)
{
        op->clear = op->attrs & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0;
        if (!recursive)
                return;
        op->attrs_below = op->attrs;
        op->clear_below = op->clear;
}

int mount_options_parse(const struct spec_mount *m, bool oci, struct rootfs_op *op,
                        struct strv *strings, struct mount_options *ret, struct err **reterr)
{
        const char *type = m->type ? m->type : "";
        bool recursive = false;

        *ret = (struct mount_options){0};
        for (size_t i = 0; i < m->options.n; i++) {
                const char *text = m->options.v[i];
                const struct mount_option *o = mount_option_find(text);

                if (o && (oci || !is_foreign(o)))
                        option_apply(o, text, oci && o->recursive, op, ret);
                else if (*text)
                        option_add_param(text, op, strings);
                recursive = recursive || (o && o->recursive && o->effect == MOUNT_OPTION_SET);
        }
        if (!oci)
                settle_own(op, recursive);
        ret->bind = ret->bind || strcmp(type, "bind") == 0;
        /* Of a bundle: they go to the file system, which is mounted already and looks at none, as with mount(2). */
        if (ret->bind && op->n_params > 0 && !oci)
                return err_new(reterr, ERR_USAGE, "mount '%s': unknown option '%s'", m->destination,
                               op->params[0].key);
        if (op->copy_up && (ret->bind || strcmp(type, "tmpfs") != 0))
                return err_new(reterr, ERR_USAGE, "mount '%s': tmpcopyup is for tmpfs only",
                               m->destination);
        return 0;
}
