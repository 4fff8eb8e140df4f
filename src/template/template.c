/* SPDX-License-Identifier: Apache-2.0 */
/* template — the outside: parsing, freeing, and errors that point at the source. */
#include "template/template.h"

#include "base/err.h"
#include "template/template_internal.h"

#include <string.h>

#define LINE_SHOWN 72 /* columns of a long line that an error shows */

const char *const template_docker_maps[] = {
    "Annotations",  "Attributes", "ContainerIDs", "Data",     "DriverOpts", "ExposedPorts",
    "GwPriority",   "Labels",     "LogOpts",      "Networks", "Options",    "Ports",
    "PortBindings", "StorageOpt", "Sysctls",      "Tmpfs",    "Volumes",    NULL};

struct node *template_node_free(struct node *node)
{
        if (!node)
                return NULL;
        for (size_t i = 0; i < node->n; i++)
                (void)template_node_free(node->children[i]);
        free(node->children);
        strv_release(&node->names);
        free(node->text);
        (void)json_object_put(node->literal);
        free(node);
        return NULL;
}

struct template *template_free(struct template *t)
{
        if (!t)
                return NULL;
        t->root = template_node_free(t->root);
        for (size_t i = 0; i < t->n_definitions; i++) {
                free(t->definitions[i].name);
                (void)template_node_free(t->definitions[i].list);
        }
        free(t->definitions);
        strv_release(&t->fields);
        free(t->source);
        free(t);
        return NULL;
}

int template_parse(const char *text, unsigned flags, struct template **ret, struct err **reterr)
{
        AUTO(template_freep) struct template *t = xnew(struct template);
        struct tokens tokens = {0};
        int r;

        t->n = strlen(text);
        if (t->n > TEMPLATE_SOURCE_MAX)
                return err_new(reterr, ERR_USAGE, "the template is longer than %d bytes",
                               TEMPLATE_SOURCE_MAX);
        t->source = xstrdup(text);
        r = template_lex(t->source, t->n, &tokens, reterr);
        if (r >= 0)
                r = template_parse_tokens(t, &tokens, flags, reterr);
        free(tokens.v);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

bool template_uses(const struct template *t, const char *name)
{
        return strv_contains(&t->fields, name);
}

const struct definition *template_definition(const struct template *t, const char *name, size_t n)
{
        for (size_t i = 0; i < t->n_definitions; i++) {
                const char *have = t->definitions[i].name;

                if (strlen(have) == n && memcmp(have, name, n) == 0)
                        return &t->definitions[i];
        }
        return NULL;
}

/* The line around @pos and, below it, the caret. Of a long line, the part around the caret; a tab counts as one column. */
static char *point_at(const char *source, size_t start, size_t pos, const char *advice)
{
        size_t end = pos + strcspn(source + pos, "\n"), caret = 0;
        AUTO_STRBUF b = {0};

        if (pos - start > LINE_SHOWN / 2)
                start = pos - LINE_SHOWN / 2;
        while (start > 0 && start < pos && ((unsigned char)source[start] & 0xc0) == 0x80)
                start++;
        end = MIN(end, start + LINE_SHOWN);
        while (end > pos && ((unsigned char)source[end] & 0xc0) == 0x80)
                end--;
        for (size_t i = start; i < end; i++) {
                char c = source[i] == '\t' ? ' ' : source[i];

                strbuf_add_len(&b, &c, 1);
                caret += i < pos && ((unsigned char)c & 0xc0) != 0x80;
        }
        strbuf_addf(&b, "\n%*s^", (int)caret, "");
        if (advice)
                strbuf_addf(&b, " %s", advice);
        return strbuf_take(&b);
}

int template_fail(const char *source, size_t pos, const char *advice, struct err **reterr,
                  const char *fmt, ...)
{
        AUTO_FREE char *words = NULL, *hint = NULL;
        size_t line = 1, start = 0, column = 1;
        va_list ap;
        int r;

        va_start(ap, fmt);
        words = xvasprintf(fmt, ap);
        va_end(ap);
        for (size_t i = 0; i < pos; i++) {
                if (source[i] == '\n') {
                        line++;
                        start = i + 1;
                }
        }
        for (size_t i = start; i < pos; i++)
                column += ((unsigned char)source[i] & 0xc0) != 0x80;
        r = err_new(reterr, ERR_USAGE, "template: %zu:%zu: %s", line, column, words);
        hint = point_at(source, start, pos, advice);
        return err_hint(reterr, r, "%s", hint);
}
