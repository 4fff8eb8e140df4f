/* SPDX-License-Identifier: Apache-2.0 */
/* output — see output.h. */
#include "cli/output.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/str.h"
#include "template/template.h"

#include <errno.h>
#include <json-c/linkhash.h>
#include <string.h>
#include <unistd.h>

#define COLUMN_MIN 10 /* Docker's tab writer: at least this wide, */
#define COLUMN_GAP 3  /* with this much behind the longest cell */

enum output_mode { MODE_TABLE, MODE_TEXT, MODE_JSON };

struct output {
        enum output_mode mode;
        struct template *template;
        const char *(*label)(const char *name, const void *arg);
        const void *arg;
        struct strv
            lines; /* table: rows with tabs between the cells, held back until the widths are known */
};

/* ---- words -------------------------------------------------------------------------------------- */

int output_text(const char *s, size_t n, struct err **reterr)
{
        if (fwrite(s, 1, n, stdout) == n || errno == EPIPE)
                return 0;
        return err_sys(reterr, errno ? errno : EIO, "write to standard output");
}

int output_printf(struct err **reterr, const char *fmt, ...)
{
        AUTO_FREE char *s = NULL;
        va_list ap;

        va_start(ap, fmt);
        s = xvasprintf(fmt, ap);
        va_end(ap);
        return output_text(s, strlen(s), reterr);
}

char *output_size(uint64_t bytes, char buf[OUTPUT_SIZE_MAX])
{
        static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
        double v = (double)bytes;
        size_t i = 0;

        while (v >= 1000.0 && i + 1 < ARRAY_SIZE(units)) {
                v /= 1000.0;
                i++;
        }
        /* Three significant digits may round up to "1e+03": then the next unit says it. */
        if (v >= 999.5 && i + 1 < ARRAY_SIZE(units)) {
                v /= 1000.0;
                i++;
        }
        snprintf(buf, OUTPUT_SIZE_MAX, "%.3g%s", v, units[i]);
        return buf;
}

char *output_id(const char *id, bool full)
{
        const char *colon = strchr(id, ':');

        if (full)
                return xstrdup(id);
        return xstrndup(colon ? colon + 1 : id, 12);
}

/* Characters, not bytes: continuation bytes of UTF-8 do not count. */
static size_t count_chars(const char *s, size_t n)
{
        size_t chars = 0;

        for (size_t i = 0; i < n; i++)
                chars += ((unsigned char)s[i] & 0xc0) != 0x80;
        return chars;
}

char *output_ellipsis(const char *s, size_t max)
{
        size_t n = strlen(s), i = 0, chars = 0;

        if (count_chars(s, n) <= max || max == 0)
                return xstrdup(s);
        for (; i < n; i++) {
                if (((unsigned char)s[i] & 0xc0) != 0x80 && ++chars == max)
                        break;
        }
        return xasprintf("%.*s…", (int)i, s);
}

/* Names, labels and commands come from images and users: nothing of them may drive the terminal, or move the cursor but with @kept. */
static void add_printable(struct strbuf *b, const char *s, size_t n, const char *kept)
{
        for (size_t i = 0, from = 0; i <= n; i++) {
                if (i < n && (!s[i] || !strchr(kept, s[i])))
                        continue;
                strbuf_add_printable(b, s + from, i - from);
                if (i < n)
                        strbuf_add_len(b, s + i, 1);
                from = i + 1;
        }
}

int output_rendered(const struct strbuf *text, struct err **reterr)
{
        AUTO_STRBUF b = {0};

        if (!fd_is_terminal(STDOUT_FILENO))
                return output_text(text->data ? text->data : "", text->len, reterr);
        add_printable(&b, text->data, text->len, "\t\n");
        return output_text(b.data ? b.data : "", b.len, reterr);
}

/* ---- inspect ---- */

static int inspect_template(struct json_object *const *values, size_t n, const char *text,
                            struct err **reterr)
{
        static const struct template_opts opts = {.maps = template_docker_maps};
        AUTO(template_freep) struct template *t = NULL;
        AUTO_STRBUF out = {0};
        int r = template_parse(text, TEMPLATE_ESCAPES, &t, reterr);

        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = template_execute(t, values[i], &opts, &out, reterr);
                strbuf_add(&out, "\n");
        }
        if (r < 0)
                return err_wrap(reterr, r, "--format");
        return output_rendered(&out, reterr);
}

int output_inspect(struct json_object *const *values, size_t n, const char *format,
                   struct err **reterr)
{
        AUTO_STRBUF out = {0};

        if (format)
                return inspect_template(
                    values, n, strcmp(format, "json") == 0 ? "{{json .}}" : format, reterr);
        strbuf_add(&out, "[");
        for (size_t i = 0; i < n; i++) {
                strbuf_add(&out, i ? ",\n    " : "\n    ");
                json_write_at(&out, values[i], 4, 1);
        }
        strbuf_add(&out, n ? "\n]\n" : "]\n");
        return output_text(out.data, out.len, reterr);
}

/* ---- listings ----------------------------------------------------------------------------------- */

struct output *output_free(struct output *out)
{
        if (!out)
                return NULL;
        out->template = template_free(out->template);
        strv_release(&out->lines);
        free(out);
        return NULL;
}

/* .Label "name" */
static int label_value(struct json_object *row, const char *const *args, void *arg,
                       struct json_object **ret, struct err **reterr)
{
        const struct output *out = arg;
        const char *value = out->label(args[0], out->arg);

        *ret = json_object_new_string(value ? value : "");
        return 0;
}

/* Docker's heading of a label is its last word. */
static int label_heading(struct json_object *row, const char *const *args, void *arg,
                         struct json_object **ret, struct err **reterr)
{
        const char *dot = strrchr(args[0], '.');
        AUTO_FREE char *text = xstrdup(dot ? dot + 1 : args[0]);

        for (char *c = text; *c; c++) {
                if (*c == '-' || *c == '_')
                        *c = ' ';
        }
        *ret = json_object_new_string(text);
        return 0;
}

static int render(struct output *out, struct json_object *row, bool headings, struct strbuf *line,
                  struct err **reterr)
{
        const struct template_method methods[] = {
            {"Label", 1, headings ? label_heading : label_value}, {0}};
        struct template_opts opts = {
            .methods = out->label ? methods : NULL, .arg = out, .headings = headings};

        return template_execute(out->template, row, &opts, line, reterr);
}

/* The headings are the template rendered over an object that maps every field to its heading. */
static int add_headings(struct output *out, const struct output_opts *o, struct err **reterr)
{
        AUTO_JSON *row = json_object_new_object();
        AUTO_STRBUF line = {0};
        int r;

        for (const struct column *c = o->columns; c->field; c++)
                json_add_string(row, c->field, c->heading);
        r = render(out, row, true, &line, reterr);
        if (r < 0)
                return r;
        strv_add_take(&out->lines, strbuf_take(&line));
        return 0;
}

int output_new(const struct output_opts *o, struct output **ret, struct err **reterr)
{
        AUTO(output_freep) struct output *out = xnew(struct output);
        const char *text = o->format;
        AUTO_FREE char *quiet = NULL;
        int r;

        if (o->quiet && str_empty(text)) {
                quiet = xasprintf("{{.%s}}", o->quiet_field);
                text = quiet;
        }
        out->mode = str_empty(text) || str_starts(text, "table") ? MODE_TABLE
                    : strcmp(text, "json") == 0                  ? MODE_JSON
                                                                 : MODE_TEXT;
        if (out->mode == MODE_TABLE && text) {
                text += str_starts(text, "table") ? strlen("table") : 0;
                text += strspn(text, " ");
        }
        if (out->mode == MODE_TABLE && str_empty(text))
                text = o->table;
        out->label = o->label;
        out->arg = o->arg;
        r = template_parse(out->mode == MODE_JSON ? "" : text, TEMPLATE_ESCAPES, &out->template,
                           reterr);
        if (r >= 0 && out->mode == MODE_TABLE && !o->no_heading)
                r = add_headings(out, o, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "--format");
        *ret = TAKE_PTR(out);
        return 0;
}

bool output_uses(const struct output *out, const char *field)
{
        return template_uses(out->template, field);
}

int output_row(struct output *out, struct json_object *row, struct err **reterr)
{
        AUTO_STRBUF line = {0}, cells = {0};
        int r;

        if (out->mode == MODE_JSON) {
                json_write(&line, row, 0);
        } else {
                r = render(out, row, false, &line, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "--format");
        }
        if (out->mode == MODE_TABLE) {
                add_printable(&cells, line.data, line.len, "\t");
                strv_add_take(&out->lines, strbuf_take(&cells));
                return 0;
        }
        strbuf_add(&line, "\n");
        return output_rendered(&line, reterr);
}

#define COLUMNS_MAX 64

static void measure(const struct strv *lines, size_t widths[COLUMNS_MAX])
{
        for (size_t i = 0; i < lines->n; i++) {
                const char *s = lines->v[i];

                for (size_t c = 0; c < COLUMNS_MAX; c++) {
                        size_t n = strcspn(s, "\t");

                        widths[c] = MAX(widths[c], count_chars(s, n));
                        if (!s[n])
                                break;
                        s += n + 1;
                }
        }
}

/* Cells padded to their column; the last one of a line is not. */
static void align_line(struct strbuf *out, const char *s, const size_t widths[COLUMNS_MAX])
{
        for (size_t c = 0;; c++) {
                size_t n = strcspn(s, "\t");
                size_t width =
                    c < COLUMNS_MAX ? MAX(widths[c] + COLUMN_GAP, (size_t)COLUMN_MIN) : 0;
                size_t chars = count_chars(s, n);

                strbuf_add_len(out, s, n);
                if (!s[n])
                        break;
                strbuf_addf(out, "%*s", (int)(width > chars ? width - chars : 1), "");
                s += n + 1;
        }
        strbuf_add(out, "\n");
}

int output_finish(struct output *out, struct err **reterr)
{
        size_t widths[COLUMNS_MAX] = {0};
        AUTO_STRBUF text = {0};

        if (out->mode != MODE_TABLE)
                return 0;
        measure(&out->lines, widths);
        for (size_t i = 0; i < out->lines.n; i++)
                align_line(&text, out->lines.v[i], widths);
        strv_release(&out->lines);
        out->lines = (struct strv){0};
        return text.len ? output_text(text.data, text.len, reterr) : 0;
}
