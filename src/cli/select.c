/* SPDX-License-Identifier: Apache-2.0 */
/* select — see select.h. */
#include "cli/select.h"

#include "base/err.h"
#include "base/io.h"
#include "cli/verb.h"
#include "container/container.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CIDFILE_MAX 4096

#define F(f)         offsetof(struct select_args, f)
#define ALL_HELP     "All containers that it makes sense for"
#define LATEST_HELP  "The container that was created last"
#define FILTER_HELP  "Those that match, as in kelp ps"
#define CIDFILE_HELP "The container whose id stands in FILE"
const struct opt select_opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL, ALL_HELP},
    {"latest", 'l', OPT_BOOL, F(latest), NULL, LATEST_HELP},
    {"filter", 0, OPT_STRV, F(filters), "KEY=VALUE", FILTER_HELP},
    {"cidfile", 0, OPT_STRV, F(cidfiles), "FILE", CIDFILE_HELP},
    {0},
};
const struct opt select_opts_long[] = {
    {"all", 0, OPT_BOOL, F(all), NULL, ALL_HELP},
    {"latest", 'l', OPT_BOOL, F(latest), NULL, LATEST_HELP},
    {"filter", 'f', OPT_STRV, F(filters), "KEY=VALUE", FILTER_HELP},
    {"cidfile", 0, OPT_STRV, F(cidfiles), "FILE", CIDFILE_HELP},
    {0},
};
const struct opt select_opts_one[] = {
    {"latest", 'l', OPT_BOOL, F(latest), NULL, LATEST_HELP},
    {"cidfile", 0, OPT_STRV, F(cidfiles), "FILE", CIDFILE_HELP},
    {0},
};
const struct opt select_ignore_opts[] = {
    {"ignore", 'i', OPT_BOOL, F(ignore), NULL, "One that is not there is no error"},
    {0},
};
#undef F

void selection_release(struct selection *s)
{
        strv_release(&s->names);
        *s = (struct selection){0};
}

static int add_cidfile(const char *path, bool missing_ok, struct strv *names, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        AUTO_ERR struct err *e = NULL;
        int r = io_read_file(AT_FDCWD, path, CIDFILE_MAX, &text, NULL, &e);

        if (r == -ENOENT && missing_ok)
                return 0;
        if (r < 0) {
                (void)err_wrap(&e, r, "option '--cidfile'");
                return err_move(reterr, r, &e);
        }
        text[strcspn(text, " \t\r\n")] = '\0';
        if (!*text)
                return err_new(reterr, ERR_INVALID, "option '--cidfile': file '%s' holds no id",
                               path);
        strv_add(names, text);
        return 0;
}

static bool is_in_scope(const struct container *c, enum select_scope scope)
{
        bool runs = c->status == CONTAINER_RUNNING || c->status == CONTAINER_PAUSED ||
                    c->status == CONTAINER_RESTARTING;

        return scope == SELECT_ANY || (scope == SELECT_RUNNING) == runs;
}

static int add_matching(struct dirs *d, const struct select_args *a, enum select_scope scope,
                        struct strv *names, struct err **reterr)
{
        AUTO(container_filter_freep) struct container_filter *filter = NULL;
        struct container **v = NULL;
        size_t n = 0;
        int r = container_filter_parse(d, a->filters.v, &filter, reterr);

        if (r >= 0)
                r = container_list(d, &v, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                /* Infra containers are meant by their pods' verbs. */
                if (!v[i]->is_infra && is_in_scope(v[i], scope) &&
                    container_filter_match(filter, v[i]))
                        strv_add(names, v[i]->id);
        }
        container_list_free(v, n);
        return r < 0 ? r : 0;
}

static int add_latest(struct dirs *d, struct strv *names, struct err **reterr)
{
        struct container **v = NULL;
        size_t n = 0, i = 0;
        int r = container_list(d, &v, &n, reterr);

        while (i < n && v[i]->is_infra)
                i++;
        if (r >= 0 && i < n)
                strv_add(names, v[i]->id); /* newest first */
        else if (r >= 0)
                r = err_new(reterr, ERR_NOT_FOUND, "option '--latest': there is no container");
        container_list_free(v, n);
        return r < 0 ? r : 0;
}

static int check(const struct select_args *a, const struct strv *names, struct err **reterr)
{
        bool by_property = a->all || a->latest || a->filters.n > 0;

        if (by_property && (names->n > 0 || a->cidfiles.n > 0))
                return err_new(reterr, ERR_USAGE,
                               "options '--all', '--latest' and '--filter' choose the containers: "
                               "name none");
        if (a->latest && (a->all || a->filters.n > 0))
                return err_new(reterr, ERR_USAGE,
                               "option '--latest' means one, and '--all' and '--filter' mean "
                               "several: give one of them");
        if (by_property || names->n > 0 || a->cidfiles.n > 0)
                return 0;
        return err_hint(reterr, err_new(reterr, ERR_USAGE, "no container was named"),
                        "name it, or say --latest; 'kelp ps -a' lists what there is");
}

int select_containers(struct cli *cli, const struct select_args *a, const struct strv *names,
                      enum select_scope scope, struct selection *ret, struct err **reterr)
{
        bool by_property = a->all || a->filters.n > 0;
        struct dirs *d;
        int r = check(a, names, reterr);

        if (r >= 0)
                r = cli_dirs(cli, &d, reterr);
        if (r < 0)
                return r;
        /* What was chosen by its state may go away before its turn. */
        ret->missing_ok = a->ignore || by_property;
        strv_copy(&ret->names, names);
        for (size_t i = 0; i < a->cidfiles.n && r >= 0; i++)
                r = add_cidfile(a->cidfiles.v[i], a->ignore, &ret->names, reterr);
        if (r >= 0 && by_property)
                r = add_matching(d, a, scope, &ret->names, reterr);
        if (r >= 0 && a->latest)
                r = add_latest(d, &ret->names, reterr);
        return r < 0 ? r : 0;
}

int select_one(struct cli *cli, const struct select_args *a, const struct strv *operands,
               char **ret, size_t *ret_operands, struct err **reterr)
{
        const struct strv none = {0};
        struct selection s = {0};
        int r;

        *ret_operands = a->latest || a->cidfiles.n > 0 ? 0 : 1;
        if (*ret_operands == 1 && operands->n > 0) {
                *ret = xstrdup(operands->v[0]);
                return 0;
        }
        r = select_containers(cli, a, &none, SELECT_ANY, &s, reterr);
        if (r >= 0 && s.names.n != 1)
                r = err_new(reterr, ERR_USAGE, "one container at a time: %zu were given",
                            s.names.n);
        if (r >= 0)
                *ret = xstrdup(s.names.v[0]);
        selection_release(&s);
        return r;
}
