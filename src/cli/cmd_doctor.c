/* SPDX-License-Identifier: Apache-2.0 */
/* kelp doctor */
#include "base/err.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/probe.h"
#include "cli/verb.h"

#include <string.h>

struct doctor_args {
        char *format;
};
#define F(f) offsetof(struct doctor_args, f)
static const struct opt opts[] = {
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, or TEMPLATE once per primitive"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static struct json_object *result_json(const struct probe *p, const struct probe_result *r)
{
        struct json_object *o = json_object_new_object();

        json_add_string(o, "Name", p->name);
        json_add_string(o, "State", probe_state_name(r->state));
        json_add_bool(o, "Required", p->required);
        json_add_string(o, "Purpose", p->purpose);
        json_add_string(o, "Detail", r->detail ? r->detail : "");
        json_add_string(o, "Cause", r->cause ? r->cause : "");
        json_add_string(o, "Remedy", r->remedy ? r->remedy : "");
        return o;
}

static bool stops_containers(const struct probe *p, const struct probe_result *r)
{
        return p->required && r->state == PROBE_MISSING;
}

static int print_text(const struct probe *p, const struct probe_result *r, struct err **reterr)
{
        int e = output_printf(reterr, "%-9s %-18s %s\n", probe_state_name(r->state), p->name,
                              r->detail  ? r->detail
                              : r->cause ? ""
                                         : p->purpose);

        if (e >= 0 && r->cause)
                e = output_printf(
                    reterr,
                    "            for:    %s\n            cause:  %s\n            remedy: %s\n",
                    p->purpose, r->cause, r->remedy);
        return e;
}

static int print_verdict(const struct strv *missing, size_t degraded, struct err **reterr)
{
        AUTO_STRBUF names = {0};

        for (size_t i = 0; i < missing->n; i++)
                strbuf_addf(&names, "%s%s", i ? ", " : "", missing->v[i]);
        if (missing->n)
                return output_printf(reterr, "\nContainers cannot run here: %s.\n", names.data);
        if (degraded)
                return output_printf(
                    reterr,
                    "\nContainers can run here; %zu of the above would make more possible.\n",
                    degraded);
        return output_printf(reterr, "\nContainers can run here.\n");
}

static int run_text(struct cli *cli, struct err **reterr)
{
        AUTO_STRV missing = {0};
        size_t degraded = 0;
        int r = 0;

        for (const struct probe *p = probes; p->name && r >= 0; p++) {
                struct probe_result result = {0};

                p->run(cli, &result);
                r = print_text(p, &result, reterr);
                if (stops_containers(p, &result))
                        strv_add(&missing, p->name);
                else if (result.state != PROBE_OK)
                        degraded++;
                probe_result_release(&result);
        }
        if (r >= 0)
                r = print_verdict(&missing, degraded, reterr);
        return r < 0 ? r : missing.n ? 1 : 0;
}

static int print_json(struct json_object *checks, bool can_run, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();
        AUTO_STRBUF out = {0};

        json_add_bool(o, "CanRun", can_run);
        json_object_object_add(o, "Checks", json_object_get(checks));
        json_write(&out, o, 0);
        strbuf_add(&out, "\n");
        return output_text(out.data, out.len, reterr);
}

static int print_template(struct json_object *checks, const char *text, struct err **reterr)
{
        size_t n = json_object_array_length(checks);
        AUTO_FREE struct json_object **v = xcalloc(n, sizeof(struct json_object *));

        for (size_t i = 0; i < n; i++)
                v[i] = json_object_array_get_idx(checks, i);
        return output_inspect(v, n, text, reterr);
}

static int run_formatted(struct cli *cli, const char *format, struct err **reterr)
{
        AUTO_JSON *checks = json_object_new_array();
        bool can_run = true;
        int r;

        for (const struct probe *p = probes; p->name; p++) {
                struct probe_result result = {0};

                p->run(cli, &result);
                json_object_array_add(checks, result_json(p, &result));
                can_run = can_run && !stops_containers(p, &result);
                probe_result_release(&result);
        }
        r = strcmp(format, "json") == 0 ? print_json(checks, can_run, reterr)
                                        : print_template(checks, format, reterr);
        return r < 0 ? r : can_run ? 0 : 1;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct doctor_args *a = args;

        return str_empty(a->format) ? run_text(cli, reterr) : run_formatted(cli, a->format, reterr);
}

const struct verb verb_doctor = {
    .names = {"doctor", "system doctor"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "Try what containers need on this host; say what is missing and what helps",
    .details = "Exit code 0 when containers can run, 1 when they cannot.",
    .sections = sections,
    .args_size = sizeof(struct doctor_args),
    .run = run,
};
