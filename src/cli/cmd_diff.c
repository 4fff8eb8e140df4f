/* SPDX-License-Identifier: Apache-2.0 */
/* kelp diff */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "container/container.h"

#include <string.h>

#define OUTPUT_BLOCK ((size_t)64 * 1024)

struct diff_args {
        char *format;
};
#define F(f) offsetof(struct diff_args, f)
static const struct opt opts[] = {
    {"format", 0, OPT_STRING, F(format), "FORMAT",
     "json (an object with the lists added, changed and deleted)", .values = "json"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

struct printing {
        struct strbuf text;
        struct json_object *lists[3]; /* NULL: as text */
};
static const struct {
        char kind;
        const char *key;
} kinds[] = {{'C', "changed"}, {'A', "added"}, {'D', "deleted"}};

static int flush(struct printing *p, struct err **reterr)
{
        int r = p->text.len ? output_text(p->text.data, p->text.len, reterr) : 0;

        p->text.len = 0;
        return r;
}

/* JSON holds UTF-8 only, and a terminal is not to be driven by a name: what is neither is escaped in both. */
static int print_change(void *arg, char kind, const char *path, struct err **reterr)
{
        struct printing *p = arg;
        AUTO_STRBUF name = {0};

        if (!p->lists[0]) {
                strbuf_addf(&p->text, "%c ", kind);
                strbuf_add_printable(&p->text, path, strlen(path));
                strbuf_add(&p->text, "\n");
                return p->text.len < OUTPUT_BLOCK ? 0 : flush(p, reterr);
        }
        strbuf_add_printable(&name, path, strlen(path));
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (kinds[i].kind == kind)
                        json_object_array_add(p->lists[i], json_object_new_string(name.data));
        return 0;
}

/* Podman's object; a list that is empty is left out. */
static int print_json(struct printing *p, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();
        const char *text;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (json_object_array_length(p->lists[i]) > 0)
                        json_object_object_add(o, kinds[i].key, json_object_get(p->lists[i]));
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                     JSON_C_TO_STRING_NOSLASHESCAPE);
        return output_printf(reterr, "%s\n", text);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct diff_args *a = args;
        AUTO(container_freep) struct container *c = NULL;
        struct printing p = {0};
        struct dirs *d;
        int r;

        if (a->format && strcmp(a->format, "json") != 0) {
                r = err_new(reterr, ERR_USAGE, "unknown format '%s'", a->format);
                return err_hint(reterr, r, "known: json");
        }
        if ((r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = container_find(d, operands->v[0], &c, reterr)) < 0)
                return r;
        for (size_t i = 0; a->format && i < ARRAY_SIZE(p.lists); i++)
                p.lists[i] = json_object_new_array();
        r = container_changes(d, c, print_change, &p, reterr);
        if (r >= 0)
                r = a->format ? print_json(&p, reterr) : flush(&p, reterr);
        for (size_t i = 0; i < ARRAY_SIZE(p.lists); i++)
                (void)json_unref(p.lists[i]);
        strbuf_release(&p.text);
        return r < 0 ? r : 0;
}

const struct verb verb_diff = {
    .names = {"diff", "container diff"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER",
    .summary = "List what a container has changed in its files",
    .details = "A: added, C: changed, D: deleted.",
    .sections = sections,
    .args_size = sizeof(struct diff_args),
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_CONTAINER, COMPLETE_NONE},
    .run = run,
};
