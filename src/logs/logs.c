/* SPDX-License-Identifier: Apache-2.0 */
#include "logs/logs.h"

#include "base/err.h"
#include "base/parse.h"
#include "base/str.h"
#include "logs/logs_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const driver_names[] = {
    [LOG_JSON_FILE] = "json-file",
    [LOG_K8S_FILE] = "k8s-file",
    [LOG_NONE] = "none",
    [LOG_PASSTHROUGH] = "passthrough",
};
static_assert(ARRAY_SIZE(driver_names) == LOG_DRIVER_COUNT, "every log driver has a name");

#define LOG_DEFAULT_MAX_SIZE (10ULL * 1024 * 1024)
#define LOG_DEFAULT_MAX_FILE 3
/* Less would rotate with nearly every line. A line that is longer gets a file of its own. */
#define LOG_LEAST_MAX_SIZE (4ULL * 1024)

const char *log_driver_name(enum log_driver d)
{
        return d < LOG_DRIVER_COUNT ? driver_names[d] : "unknown";
}

int log_driver_parse(const char *name, enum log_driver *ret, struct err **reterr)
{
        int r;

        if (!name) {
                *ret = LOG_JSON_FILE;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(driver_names); i++) {
                if (strcmp(name, driver_names[i]) == 0) {
                        *ret = (enum log_driver)i;
                        return 0;
                }
        }
        r = err_new(reterr, ERR_USAGE, "unknown log driver '%s'", name);
        return err_hint(reterr, r, "use one of: json-file, k8s-file, none, passthrough");
}

static int option_set(struct log_options *o, const char *key, const char *value,
                      struct err **reterr)
{
        if (strcmp(key, "max-size") == 0) {
                if (strcmp(value, "-1") == 0) {
                        o->max_size = 0;
                        return 0;
                }
                if (parse_size(value, &o->max_size) < 0)
                        return err_new(reterr, ERR_USAGE, "log option max-size: '%s' is no size",
                                       value);
                if (o->max_size > 0 && o->max_size < LOG_LEAST_MAX_SIZE)
                        return err_new(reterr, ERR_USAGE,
                                       "log option max-size: '%s' is less than 4 KiB", value);
                return 0;
        }
        if (strcmp(key, "max-file") == 0) {
                if (parse_u32(value, &o->max_file) < 0 || o->max_file == 0 ||
                    o->max_file > LOG_FILE_HIGHEST)
                        return err_new(reterr, ERR_USAGE,
                                       "log option max-file: '%s' is not between 1 and %d", value,
                                       LOG_FILE_HIGHEST);
                return 0;
        }
        if (strcmp(key, "tag") == 0) {
                free(o->tag);
                o->tag = str_empty(value) ? NULL : xstrdup(value);
                return 0;
        }
        return err_new(reterr, ERR_USAGE, "unknown log option '%s'", key);
}

int log_options_parse(enum log_driver d, char *const *opts, struct log_options *ret,
                      struct err **reterr)
{
        int r;

        *ret = (struct log_options){.max_size = LOG_DEFAULT_MAX_SIZE,
                                    .max_file = LOG_DEFAULT_MAX_FILE};
        for (size_t i = 0; opts && opts[i]; i++) {
                AUTO_FREE char *key = NULL;
                const char *eq = strchr(opts[i], '=');

                if (d == LOG_NONE || d == LOG_PASSTHROUGH) {
                        r = err_new(reterr, ERR_USAGE, "log driver '%s' takes no option '%s'",
                                    log_driver_name(d), opts[i]);
                        goto fail;
                }
                if (!eq || eq == opts[i]) {
                        r = err_new(reterr, ERR_USAGE,
                                    "log option '%s' is not of the form KEY=VALUE", opts[i]);
                        goto fail;
                }
                key = xstrndup(opts[i], (size_t)(eq - opts[i]));
                if (d == LOG_K8S_FILE && strcmp(key, "tag") == 0) {
                        r = err_new(reterr, ERR_USAGE, "log driver '%s' takes no option 'tag'",
                                    log_driver_name(d));
                        (void)err_hint(reterr, r, "its lines have no room for one; json-file's do");
                        goto fail;
                }
                r = option_set(ret, key, eq + 1, reterr);
                if (r < 0) {
                        (void)err_hint(reterr, r, "known options: max-size, max-file, tag");
                        goto fail;
                }
        }
        return 0;
fail:
        log_options_release(ret);
        return r;
}

void log_options_release(struct log_options *o)
{
        free(o->tag);
        *o = (struct log_options){0};
}

void log_entry_release(struct log_entry *e)
{
        strbuf_release(&e->data);
        strbuf_release(&e->attrs);
}
