/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removal of images.
 *
 * Theory of operation (docs/state.md, "Creation and removal"): `run` takes no lock. It makes its container and then looks whether
 * the image's record is still there; we delete the record and then look at the containers. Whatever the order, one of the two
 * sees the other. A container that turns up after the record is gone makes us put everything back and refuse, unless forced.
 */
#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/parse.h"
#include "events/events.h"
#include "image/digest.h"
#include "image/image_event.h"
#include "image/image_query.h"
#include "image/reference.h"
#include "image/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHORT(id) (digest_hex(id) ? digest_hex(id) : (id))

/* The references of one image. */
static int refs_of(const struct dirs *d, const char *id, struct ref_list *ret, struct err **reterr)
{
        int r = refs_list(d, ret, reterr);
        size_t n = 0;

        if (r < 0)
                return r;
        for (size_t i = 0; i < ret->n; i++) {
                if (strcmp(ret->v[i].image, id) == 0)
                        ret->v[n++] = ret->v[i];
                else
                        ref_release(&ret->v[i]);
        }
        ret->n = n;
        return 0;
}

static int in_use(const char *id, const char *what, const char *container, bool running,
                  struct err **reterr)
{
        int r;

        if (running) {
                r = err_new(reterr, ERR_BUSY,
                            "unable to delete %s (cannot be forced): image is being used by "
                            "running container %.12s",
                            what, container);
                return err_hint(reterr, r, "stop and remove the container first: kelp rm -f %.12s",
                                container);
        }
        r = err_new(
            reterr, ERR_BUSY,
            "unable to delete %s (must be forced): container %.12s is using its image %.12s", what,
            container, SHORT(id));
        return err_hint(reterr, r, "remove the container first (kelp rm %.12s), or use --force",
                        container);
}

static int check_use(const struct dirs *d, const char *id, const char *what, bool force,
                     struct err **reterr)
{
        char container[65];
        bool running = false;
        int r = store_image_user(d, id, container, &running, reterr);

        if (r <= 0 || (force && !running))
                return r < 0 ? r : 0;
        return in_use(id, what, container, running, reterr);
}

static int unlink_record(const struct dirs *d, const char *id, struct err **reterr)
{
        AUTO_CLOSE int dir = dirs_sub(d, STORE_RUN, reterr);
        char name[64 + sizeof(".json")];

        if (dir < 0)
                return dir;
        snprintf(name, sizeof(name), "%s.json", digest_hex(id));
        if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
                return err_sys(reterr, errno, "remove image %.12s", SHORT(id));
        return fsync(dir) < 0 ? err_sys(reterr, errno, "remove image %.12s", SHORT(id)) : 0;
}

static int restore_record(const struct dirs *d, const struct image *i, struct err **reterr)
{
        AUTO_CLOSE int dir = dirs_sub(d, STORE_RUN, reterr);
        char name[64 + sizeof(".json")];

        if (dir < 0)
                return dir;
        snprintf(name, sizeof(name), "%s.json", digest_hex(i->id));
        return atomic_file_write_json(dir, name, i->doc, true, reterr);
}

/* With the lock held. The record goes first, its names last: a name without a record names nothing. */
static int delete_image(const struct dirs *d, const struct image *i, const struct ref_list *refs,
                        bool force, struct strv *report, struct err **reterr)
{
        AUTO_ERR struct err *restore_err = NULL;
        int r;

        r = check_use(d, i->id, SHORT(i->id), force, reterr);
        if (r < 0)
                return r;
        r = unlink_record(d, i->id, reterr);
        if (r < 0)
                return r;
        FAULT_POINT("rmi-record");
        r = check_use(d, i->id, SHORT(i->id), force, reterr);
        if (r < 0) {
                if (restore_record(d, i, &restore_err) < 0)
                        (void)err_hint(reterr, r, "the image's record is lost: %s",
                                       err_message(restore_err));
                return r;
        }
        for (size_t k = 0; k < refs->n; k++) {
                AUTO_FREE char *name = reference_shown(refs->v[k].name);

                r = refs_unset(d, refs->v[k].name, reterr);
                if (r < 0)
                        return r;
                strv_addf(report, "Untagged: %s", name);
                image_event(d, i, "untag", name);
        }
        strv_addf(report, "Deleted: %s", i->id);
        image_event(d, i, "delete", NULL);
        return 0;
}

static bool same_repository(const struct ref_list *refs)
{
        for (size_t i = 1; i < refs->n; i++) {
                const char *a = refs->v[0].name, *b = refs->v[i].name;
                size_t n = (size_t)(strrchr(a, ':') - a);

                if (strncmp(a, b, n + 1) != 0 || strchr(b + n + 1, '/'))
                        return false;
        }
        return true;
}

static int remove_locked(const struct dirs *d, const char *name, const struct store_remove_opts *o,
                         struct strv *report, struct err **reterr)
{
        AUTO(store_name_release) struct store_name n = {0};
        AUTO(ref_list_release) struct ref_list refs = {0};
        int r;

        r = store_lookup(d, name, &n, reterr);
        if (r < 0)
                return r;
        r = refs_of(d, n.image->id, &refs, reterr);
        if (r < 0)
                return r;
        if (n.ref && refs.n > 1) {
                AUTO_FREE char *shown = reference_shown(n.ref);

                r = refs_unset(d, n.ref, reterr);
                if (r < 0)
                        return r;
                strv_addf(report, "Untagged: %s", shown);
                image_event(d, n.image, "untag", shown);
                return 0;
        }
        if (!n.ref && refs.n > 1 && !o->force && !same_repository(&refs)) {
                r = err_new(reterr, ERR_BUSY,
                            "unable to delete %.12s (must be forced): image is referenced in "
                            "multiple repositories",
                            SHORT(n.image->id));
                return err_hint(reterr, r, "remove it by name, or use --force");
        }
        return delete_image(d, n.image, &refs, o->force, report, reterr);
}

/* Ends a change of references: what is unreferenced now is taken away under the lock and deleted after it. */
static int finish(const struct dirs *d, int *lock, struct strv *report, uint64_t *ret_bytes,
                  struct err **reterr)
{
        AUTO(collected_release) struct collected c = {.trash = TMP_DIR_NONE};
        int r = refs_derive_index(d, reterr);

        if (r >= 0)
                r = store_collect(d, &c, reterr);
        *lock = fd_close(*lock);
        FAULT_POINT("rmi-collected");
        for (size_t i = 0; i < c.layers.n; i++)
                strv_addf(report, "Deleted: sha256:%.64s", c.layers.v[i]);
        if (ret_bytes)
                *ret_bytes = c.bytes;
        if (r >= 0)
                r = tmp_dir_remove(d, &c.trash, reterr);
        return r < 0 ? err_wrap(reterr, r, "free the space of removed images") : 0;
}

int store_remove(const struct dirs *d, const char *name, const struct store_remove_opts *o,
                 struct strv *report, struct err **reterr)
{
        AUTO_CLOSE int lock = lock_acquire(d->root_fd, STORE_LOCK, true, reterr);
        int r;

        if (lock < 0)
                return lock;
        r = remove_locked(d, name, o, report, reterr);
        return r < 0 ? r : finish(d, &lock, report, NULL, reterr);
}

/* ---- prune ---- */

struct prune_filter {
        bool all;
        int64_t until_ns; /* created before; 0: any */
        struct strv labels, not_labels;
};

static void prune_filter_release(struct prune_filter *f)
{
        strv_release(&f->labels);
        strv_release(&f->not_labels);
}

static int prune_filter_parse(char *const *filters, struct prune_filter *f, struct err **reterr)
{
        for (char *const *p = filters; p && *p; p++) {
                bool dangling = true;
                int r = 0;

                if (str_starts(*p, "until="))
                        r = image_filter_until(*p + strlen("until="), &f->until_ns, reterr);
                else if (str_starts(*p, "label="))
                        strv_add(&f->labels, *p + strlen("label="));
                else if (str_starts(*p, "label!="))
                        strv_add(&f->not_labels, *p + strlen("label!="));
                else if (str_starts(*p, "dangling=") &&
                         parse_bool(*p + strlen("dangling="), &dangling) == 0)
                        f->all = f->all || !dangling;
                else
                        return err_hint(reterr,
                                        err_new(reterr, ERR_USAGE, "invalid filter '%s'", *p),
                                        "known: dangling=true|false label label! until");
                if (r < 0)
                        return r;
        }
        return 0;
}

bool image_has_label(const struct image *i, const char *wanted)
{
        struct json_at root = json_root(i->doc, "image"), config = json_key(&root, "config"),
                       labels;
        const char *equals = strchr(wanted, '=');
        AUTO_FREE char *key =
            equals ? xstrndup(wanted, (size_t)(equals - wanted)) : xstrdup(wanted);
        struct json_object *value = NULL;
        const char *text;

        labels = json_key(&config, "Labels");
        if (!json_object_is_type(labels.obj, json_type_object) ||
            !json_object_object_get_ex(labels.obj, key, &value))
                return false;
        text = json_object_get_string(value); /* NULL for null, which the image may well say */
        return !equals || strcmp(text ? text : "", equals + 1) == 0;
}

static bool prune_matches(const struct prune_filter *f, const struct image *i)
{
        if (!f->all && i->names.n > 0)
                return false;
        if (f->until_ns && i->created_ns >= f->until_ns)
                return false;
        for (size_t k = 0; k < f->labels.n; k++)
                if (!image_has_label(i, f->labels.v[k]))
                        return false;
        for (size_t k = 0; k < f->not_labels.n; k++)
                if (image_has_label(i, f->not_labels.v[k]))
                        return false;
        return true;
}

static int prune_one(const struct dirs *d, const struct image *i, struct strv *report,
                     struct err **reterr)
{
        AUTO(ref_list_release) struct ref_list refs = {0};
        AUTO_ERR struct err *busy = NULL;
        int r = refs_of(d, i->id, &refs, reterr);

        if (r < 0)
                return r;
        r = delete_image(d, i, &refs, false, report, &busy);
        if (r < 0 && err_kind(busy) == ERR_BUSY)
                return 0; /* prune removes what is unused */
        if (r < 0 && reterr)
                *reterr = TAKE_PTR(busy);
        return r;
}

int store_prune(const struct dirs *d, bool all, char *const *filters, struct strv *report,
                uint64_t *ret_bytes, struct err **reterr)
{
        AUTO(prune_filter_release) struct prune_filter f = {.all = all};
        AUTO_CLOSE int lock = -EBADF;
        struct image **images = NULL;
        size_t n = 0;
        int r;

        r = prune_filter_parse(filters, &f, reterr);
        if (r < 0)
                return r;
        lock = lock_acquire(d->root_fd, STORE_LOCK, true, reterr);
        if (lock < 0)
                return lock;
        r = store_list(d, &images, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (prune_matches(&f, images[i]))
                        r = prune_one(d, images[i], report, reterr);
        image_list_free(images, n);
        if (r >= 0)
                r = finish(d, &lock, report, ret_bytes, reterr);
        if (report->n > 0)
                event_emit_prune(d, "image", *ret_bytes);
        return r;
}
