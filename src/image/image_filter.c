/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/moment.h"
#include "base/parse.h"
#include "base/str.h"
#include "image/image_query.h"
#include "image/reference.h"
#include "image/store.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

struct image_filter {
        int dangling; /* 1: only, -1: none, 0: any */
        struct strv labels, not_labels, references;
        int64_t before_ns, since_ns, until_ns; /* 0: any */
};

struct image_filter *image_filter_free(struct image_filter *f)
{
        if (!f)
                return NULL;
        strv_release(&f->labels);
        strv_release(&f->not_labels);
        strv_release(&f->references);
        free(f);
        return NULL;
}

static int parse_image_time(const struct dirs *d, const char *name, int64_t *ret,
                            struct err **reterr)
{
        AUTO(image_freep) struct image *i = NULL;
        int r = store_resolve(d, name, &i, reterr);

        if (r >= 0)
                *ret = i->created_ns;
        return r < 0 ? r : 0;
}

int image_filter_until(const char *value, int64_t *ret, struct err **reterr)
{
        int r;

        if (moment_parse(value, ret) >= 0)
                return 0;
        r = err_new(reterr, ERR_USAGE, "filter until: '%s' is neither a time nor a duration",
                    value);
        return err_hint(reterr, r, MOMENT_HINT);
}

static int parse_one(const struct dirs *d, const char *text, struct image_filter *f,
                     struct err **reterr)
{
        const char *value = strchr(text, '=');
        AUTO_FREE char *key = NULL;
        bool on;
        int r;

        if (!value)
                return err_new(reterr, ERR_USAGE, "invalid filter '%s': expected KEY=VALUE", text);
        key = xstrndup(text, (size_t)(value - text));
        value++;
        if (strcmp(key, "dangling") == 0) {
                if (parse_bool(value, &on) < 0)
                        return err_new(reterr, ERR_USAGE,
                                       "invalid filter '%s': expected true or false", text);
                f->dangling = on ? 1 : -1;
                return 0;
        }
        if (strcmp(key, "label") == 0)
                strv_add(&f->labels, value);
        else if (strcmp(key, "label!") == 0)
                strv_add(&f->not_labels, value);
        else if (strcmp(key, "reference") == 0)
                strv_add(&f->references, value);
        else if (strcmp(key, "before") == 0)
                return parse_image_time(d, value, &f->before_ns, reterr);
        else if (strcmp(key, "since") == 0)
                return parse_image_time(d, value, &f->since_ns, reterr);
        else if (strcmp(key, "until") == 0)
                return image_filter_until(value, &f->until_ns, reterr);
        else {
                r = err_new(reterr, ERR_USAGE, "unknown filter '%s'", key);
                return err_hint(reterr, r,
                                "known: before dangling label label! reference since until");
        }
        return 0;
}

int image_filter_parse(const struct dirs *d, char *const *filters, struct image_filter **ret,
                       struct err **reterr)
{
        AUTO(image_filter_freep) struct image_filter *f = xnew(struct image_filter);

        for (char *const *p = filters; p && *p; p++) {
                int r = parse_one(d, *p, f, reterr);

                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

void image_filter_add_reference(struct image_filter *f, const char *pattern)
{
        strv_add(&f->references, pattern);
}

/* The pattern is matched against the name with and without its tag, in the form that listings show and in full. */
static bool reference_matches(const char *pattern, const char *formatted)
{
        AUTO(reference_release) struct reference r = {0};
        AUTO_FREE char *familiar = NULL, *repository = NULL, *full = NULL;

        if (reference_parse(formatted, &r, NULL) < 0)
                return false;
        familiar = reference_familiar(&r);
        free(r.tag);
        r.tag = NULL;
        repository = reference_familiar(&r);
        full = reference_format(&r);
        return fnmatch(pattern, familiar, FNM_PATHNAME) == 0 ||
               fnmatch(pattern, repository, FNM_PATHNAME) == 0 ||
               fnmatch(pattern, formatted, FNM_PATHNAME) == 0 ||
               fnmatch(pattern, full, FNM_PATHNAME) == 0;
}

bool image_filter_match_name(const struct image_filter *f, const char *formatted)
{
        for (size_t i = 0; i < f->references.n; i++)
                if (reference_matches(f->references.v[i], formatted))
                        return true;
        return f->references.n == 0;
}

bool image_filter_match(const struct image_filter *f, const struct image *i)
{
        bool named = f->references.n == 0;

        if ((f->dangling == 1 && i->names.n > 0) || (f->dangling == -1 && i->names.n == 0))
                return false;
        if ((f->before_ns && i->created_ns >= f->before_ns) ||
            (f->since_ns && i->created_ns <= f->since_ns) ||
            (f->until_ns && i->created_ns >= f->until_ns))
                return false;
        for (size_t k = 0; k < f->labels.n; k++)
                if (!image_has_label(i, f->labels.v[k]))
                        return false;
        for (size_t k = 0; k < f->not_labels.n; k++)
                if (image_has_label(i, f->not_labels.v[k]))
                        return false;
        for (size_t k = 0; k < i->names.n && !named; k++)
                named = image_filter_match_name(f, i->names.v[k]);
        return named;
}
