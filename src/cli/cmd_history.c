/* SPDX-License-Identifier: Apache-2.0 */
/* kelp history */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "image/image_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CREATED_BY_WIDTH 45 /* as Docker cuts it */

struct history_args {
        bool human, no_trunc, quiet;
        char *format;
};
#define F(f) offsetof(struct history_args, f)
static const struct opt opts[] = {
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, table, table TEMPLATE or TEMPLATE",
     .values = "json table"},
    {"human", 'H', OPT_BOOL, F(human), NULL, "Show sizes and dates for people (true)"},
    {"no-trunc", 0, OPT_BOOL, F(no_trunc), NULL, "Show ids and commands in full"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show ids only"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

#define TABLE       "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
#define TABLE_EXACT "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
static const struct column columns[] = {
    {"Comment", "COMMENT"},
    {"CreatedAt", "CREATED AT"},
    {"CreatedBy", "CREATED BY"},
    {"CreatedSince", "CREATED"},
    {"ID", "IMAGE"},
    {"Size", "SIZE"},
    {NULL, NULL},
};

static void init(void *args)
{
        ((struct history_args *)args)->human = true;
}

static void add_take(struct json_object *row, const char *key, char *value)
{
        json_add_string(row, key, value);
        free(value);
}

static void add_times(struct json_object *row, int64_t created)
{
        time_t t = (time_t)created;
        char text[64] = "N/A", human[64];
        struct tm tm;

        if (created && gmtime_r(&t, &tm))
                (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        json_add_string(row, "CreatedAt", text);
        if (created)
                add_take(row, "CreatedSince",
                         xasprintf("%s ago", clock_human(clock_now_ns() - created * 1000000000,
                                                         human, sizeof(human))));
        else
                json_add_string(row, "CreatedSince", "N/A");
}

/* Commands span lines and hold tabs, which would break the table. */
static char *created_by(const char *text, bool full)
{
        AUTO_FREE char *flat = xstrdup(text);

        for (char *c = flat; *c; c++)
                if (*c == '\t' || *c == '\n' || *c == '\r')
                        *c = ' ';
        return full ? TAKE_PTR(flat) : output_ellipsis(flat, CREATED_BY_WIDTH);
}

static int make_row(const struct json_at *at, const struct history_args *a,
                    struct json_object **ret, struct err **reterr)
{
        AUTO_JSON *row = json_object_new_object();
        const char *id = NULL, *by = "", *comment = "";
        char size[OUTPUT_SIZE_MAX];
        int64_t created = 0;
        uint64_t bytes = 0;
        int r;

        if ((r = json_get_string(at, "Id", &id, reterr)) < 0 ||
            (r = json_opt_string(at, "CreatedBy", &by, reterr)) < 0 ||
            (r = json_opt_string(at, "Comment", &comment, reterr)) < 0 ||
            (r = json_opt_i64(at, "Created", &created, reterr)) < 0 ||
            (r = json_opt_u64(at, "Size", &bytes, reterr)) < 0)
                return r;
        json_add_string(row, "Comment", comment);
        add_times(row, created);
        add_take(row, "CreatedBy", created_by(by, a->no_trunc));
        if (a->no_trunc || id[0] == '<')
                json_add_string(row, "ID", id);
        else
                add_take(row, "ID", output_id(id, false));
        if (a->human)
                json_add_string(row, "Size", output_size(bytes, size));
        else
                add_take(row, "Size", xasprintf("%" PRIu64, bytes));
        *ret = TAKE_PTR(row);
        return 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct history_args *a = args;
        struct output_opts o = {.format = a->format,
                                .quiet = a->quiet,
                                .quiet_field = "ID",
                                .table = a->human ? TABLE : TABLE_EXACT,
                                .columns = columns};
        AUTO(output_freep) struct output *out = NULL;
        AUTO_JSON *history = NULL;
        struct dirs *d;
        int r;

        if ((r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = image_history(d, operands->v[0], &history, reterr)) < 0)
                return r;
        r = output_new(&o, &out, reterr);
        for (size_t i = 0; r >= 0 && i < json_object_array_length(history); i++) {
                struct json_at at = json_root(json_object_array_get_idx(history, i), "history");
                AUTO_JSON *row = NULL;

                r = make_row(&at, a, &row, reterr);
                if (r >= 0)
                        r = output_row(out, row, reterr);
        }
        return r < 0 ? r : output_finish(out, reterr);
}

const struct verb verb_history = {
    .names = {"history", "image history"},
    .group = VERB_GROUP_IMAGE,
    .operands = "IMAGE",
    .summary = "Show the steps that made an image",
    .sections = sections,
    .args_size = sizeof(struct history_args),
    .init = init,
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_IMAGE},
    .run = run,
};
