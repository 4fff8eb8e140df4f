/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "base/json.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

struct err_frame {
        const char *file;
        int line;
        char *words; /* this frame's own part of the message */
};

struct err {
        enum err_kind kind;
        int errnum; /* 0: the kind says it all */
        char *message;
        char *hint;
        struct err_frame *frames; /* innermost first */
        size_t n_frames;
};

/* The one table of what a kind means to the world outside. docs/errors.md shows it to users; a lint compares the two. */
static const struct err_kind_info {
        const char *name;
        int errnum; /* what err_new() returns, negated */
        int exit_code;
        int http_status;
} err_kinds[ERR_KIND_COUNT] = {
    [ERR_SYS] = {"system", EIO, 125, 500},
    [ERR_USAGE] = {"usage", EINVAL, 125, 400},
    [ERR_NOT_FOUND] = {"not-found", ENOENT, 125, 404},
    [ERR_EXISTS] = {"exists", EEXIST, 125, 409},
    [ERR_BUSY] = {"busy", EBUSY, 125, 409},
    [ERR_DENIED] = {"denied", EPERM, 125, 403},
    [ERR_UNSUPPORTED] = {"unsupported", EOPNOTSUPP, 125, 501},
    [ERR_INVALID] = {"invalid", EINVAL, 125, 400},
    [ERR_EXEC_DENIED] = {"exec-denied", EACCES, 126, 400},
    [ERR_EXEC_MISSING] = {"exec-missing", ENOENT, 127, 400},
    [ERR_REMOTE] = {"remote", EPROTO, 125, 502},
};
static_assert(ERR_KIND_COUNT == 11, "a new kind needs a row above and in docs/errors.md");

/* strerror() would go through the locale; unknown numbers come from newer kernels. */
static char *err_errno_words(int errnum)
{
        const char *words = strerrordesc_np(errnum);

        return words ? xstrdup(words) : xasprintf("error %d", errnum);
}

static void err_add_frame(struct err *e, const char *file, int line, char *words)
{
        e->frames = xrealloc(e->frames, e->n_frames + 1, sizeof(*e->frames));
        e->frames[e->n_frames++] = (struct err_frame){.file = file, .line = line, .words = words};
}

static struct err *err_make(const char *file, int line, enum err_kind kind, int errnum, char *words)
{
        struct err *e = xnew(struct err);

        e->kind = kind;
        e->errnum = errnum;
        e->message = xstrdup(words);
        err_add_frame(e, file, line, words);
        return e;
}

int err_sys_at(const char *file, int line, struct err **reterr, int errnum, const char *fmt, ...)
{
        AUTO_FREE char *what = NULL, *why = NULL;
        va_list ap;

        assert(errnum > 0);
        if (!reterr)
                return -errnum;
        assert(!*reterr);
        va_start(ap, fmt);
        what = xvasprintf(fmt, ap);
        va_end(ap);
        why = err_errno_words(errnum);
        *reterr = err_make(file, line, ERR_SYS, errnum, xasprintf("%s: %s", what, why));
        return -errnum;
}

int err_new_at(const char *file, int line, struct err **reterr, enum err_kind kind, const char *fmt,
               ...)
{
        va_list ap;

        assert(kind > ERR_SYS && kind < ERR_KIND_COUNT);
        if (!reterr)
                return -err_kinds[kind].errnum;
        assert(!*reterr);
        va_start(ap, fmt);
        *reterr = err_make(file, line, kind, 0, xvasprintf(fmt, ap));
        va_end(ap);
        return -err_kinds[kind].errnum;
}

int err_wrap_at(const char *file, int line, struct err **reterr, int r, const char *fmt, ...)
{
        AUTO_FREE char *inner = NULL;
        char *words;
        va_list ap;

        assert(r < 0);
        if (!reterr)
                return r;
        if (!*reterr)
                *reterr = err_make(file, line, ERR_SYS, -r, err_errno_words(-r));
        va_start(ap, fmt);
        words = xvasprintf(fmt, ap);
        va_end(ap);
        inner = (*reterr)->message;
        (*reterr)->message = xasprintf("%s: %s", words, inner);
        err_add_frame(*reterr, file, line, words);
        return r;
}

int err_hint(struct err **reterr, int r, const char *fmt, ...)
{
        va_list ap;

        assert(r < 0);
        /* The innermost advice knows most. */
        if (!reterr || !*reterr || (*reterr)->hint)
                return r;
        va_start(ap, fmt);
        (*reterr)->hint = xvasprintf(fmt, ap);
        va_end(ap);
        return r;
}

int err_set_kind(struct err **reterr, int r, enum err_kind kind)
{
        assert(r < 0);
        assert(kind < ERR_KIND_COUNT);
        if (reterr && *reterr)
                (*reterr)->kind = kind;
        return r;
}

int err_move(struct err **reterr, int r, struct err **from)
{
        assert(r < 0);
        if (reterr) {
                assert(!*reterr);
                *reterr = TAKE_PTR(*from);
        }
        *from = err_free(*from);
        return r;
}

enum err_kind err_kind(const struct err *e)
{
        return e ? e->kind : ERR_SYS;
}

int err_errno(const struct err *e)
{
        return e ? e->errnum : 0;
}

const char *err_message(const struct err *e)
{
        return e ? e->message : "unknown error";
}

const char *err_hint_text(const struct err *e)
{
        return e ? e->hint : NULL;
}

const char *err_kind_name(enum err_kind kind)
{
        assert(kind < ERR_KIND_COUNT);
        return err_kinds[kind].name;
}

int err_exit_code(const struct err *e)
{
        return err_kinds[err_kind(e)].exit_code;
}

int err_http_status(const struct err *e)
{
        return err_kinds[err_kind(e)].http_status;
}

/* A hint may have lines (a template, and a caret under it): each but the first is set in, so that none looks like one of ours. */
static void err_print_escaped(FILE *f, const char *text, bool lines)
{
        AUTO_STRBUF b = {0};

        while (*text) {
                size_t n = strcspn(text, "\n\t");

                strbuf_add_printable(&b, text, n);
                text += n;
                if (*text)
                        strbuf_add(&b, *text++ == '\t' ? "\\t" : lines ? "\n      " : "\\n");
        }
        if (b.len > 0)
                (void)fwrite(b.data, 1, b.len, f);
}

void err_print(const struct err *e, FILE *f, const char *program, int debug)
{
        (void)fprintf(f, "%s: error: ", program);
        err_print_escaped(f, err_message(e), false);
        (void)fputc('\n', f);
        if (e && e->hint) {
                (void)fputs("hint: ", f);
                err_print_escaped(f, e->hint, true);
                (void)fputc('\n', f);
        }
        if (!debug || !e)
                return;
        for (size_t i = e->n_frames; i-- > 0;) {
                (void)fprintf(f, "  at %s:%d: ", e->frames[i].file, e->frames[i].line);
                err_print_escaped(f, e->frames[i].words, false);
                (void)fputc('\n', f);
        }
}

struct json_object *err_encode(const struct err *e)
{
        struct json_object *o = json_object_new_object();

        json_add_string(o, "kind", err_kind_name(err_kind(e)));
        json_add_int(o, "errno", err_errno(e));
        json_add_string(o, "message", err_message(e));
        if (err_hint_text(e))
                json_add_string(o, "hint", err_hint_text(e));
        return o;
}

static int err_kind_from_name(const char *name, enum err_kind *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(err_kinds); i++)
                if (strcmp(name, err_kinds[i].name) == 0) {
                        *ret = (enum err_kind)i;
                        return 0;
                }
        return -EINVAL;
}

int err_decode(struct err **reterr, struct json_object *obj)
{
        struct json_at root = json_root(obj, "error");
        const char *kind_name = NULL, *message = NULL, *hint = NULL;
        enum err_kind kind = ERR_SYS;
        int64_t errnum = 0;
        int r;

        r = json_get_string(&root, "kind", &kind_name, NULL);
        if (r >= 0)
                r = json_get_string(&root, "message", &message, NULL);
        if (r >= 0)
                r = json_opt_string(&root, "hint", &hint, NULL);
        if (r >= 0)
                r = json_opt_i64(&root, "errno", &errnum, NULL);
        if (r >= 0)
                r = err_kind_from_name(kind_name, &kind);
        /* 4095 is the kernel's own bound of an errno. */
        if (r < 0 || errnum < 0 || errnum > 4095)
                return err_new(reterr, ERR_INVALID, "damaged error report");
        r = errnum > 0 ? -(int)errnum : -err_kinds[kind].errnum;
        if (!reterr)
                return r;
        assert(!*reterr);
        *reterr = err_make(__FILE__, __LINE__, kind, (int)errnum, xstrdup(message));
        (*reterr)->hint = xstrdup(hint);
        return r;
}

struct err *err_free(struct err *e)
{
        if (!e)
                return NULL;
        for (size_t i = 0; i < e->n_frames; i++)
                free(e->frames[i].words);
        free(e->frames);
        free(e->message);
        free(e->hint);
        free(e);
        return NULL;
}
