/* SPDX-License-Identifier: Apache-2.0 */
/* kelp port */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/container.h"
#include "container/ports.h"

#include <string.h>

/* "80/tcp -> 0.0.0.0:8080", or of one port only what is behind the arrow. */
static int print_port(const struct port *p, bool only, struct err **reterr)
{
        AUTO_STRBUF b = {0};
        const char *ip = *p->host_ip ? p->host_ip : "0.0.0.0";
        bool six = strchr(ip, ':') != NULL;

        if (!only)
                strbuf_addf(&b, "%u/%s -> ", p->port, p->protocol);
        strbuf_addf(&b, six ? "[%s]:%u\n" : "%s:%u\n", ip, p->host_port);
        return output_text(b.data, b.len, reterr);
}

static int port_usage(const char *text, struct err **reterr)
{
        int r = err_new(reterr, ERR_USAGE, "'%s' is no port", text);

        return err_hint(reterr, r,
                        "a port of the container, with or without its protocol: 80 or 80/tcp");
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO(port_list_release) struct port_list ports = {0};
        const char *wanted = operands->n > 1 ? operands->v[1] : NULL;
        struct port_range range = {0};
        struct dirs *d;
        size_t shown = 0;
        int r;

        (void)args;
        if (wanted && (port_range_parse(wanted, &range) < 0 || range.first != range.last))
                return port_usage(wanted, reterr);
        if ((r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = container_find(d, operands->v[0], &c, reterr)) < 0)
                return r;
        container_ports(c, false, &ports);
        for (size_t i = 0; i < ports.n && r >= 0; i++) {
                if (wanted && !port_range_has(&range, &ports.v[i], false))
                        continue;
                shown++;
                r = print_port(&ports.v[i], wanted != NULL, reterr);
        }
        if (r < 0 || shown > 0 || !wanted)
                return r;
        (void)err_new(reterr, ERR_NOT_FOUND, "no public port '%u/%s' published for %s", range.first,
                      range.protocol, operands->v[0]);
        return cli_report(cli, reterr) ? 1 : 0;
}

const struct verb verb_port = {
    .names = {"port", "container port"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER [PORT[/PROTOCOL]]",
    .summary = "List the ports of a container that are published on the host",
    .min_operands = 1,
    .max_operands = 2,
    .completes = {COMPLETE_CONTAINER, COMPLETE_NONE},
    .run = run,
};
