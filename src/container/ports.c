/* SPDX-License-Identifier: Apache-2.0 */
#include "container/ports.h"

#include "base/err.h"
#include "base/parse.h"
#include "container/container_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535

static int parse_port(const char *s, uint32_t *ret)
{
        return parse_u32(s, ret) < 0 || *ret > PORT_MAX ? -EINVAL : 0;
}

int port_range_parse(const char *s, struct port_range *ret)
{
        static const char *const protocols[] = {"tcp", "udp", "sctp"};
        const char *slash = strchr(s, '/'), *protocol = slash ? slash + 1 : protocols[0];
        AUTO_FREE char *first = slash ? xstrndup(s, (size_t)(slash - s)) : xstrdup(s);
        char *last = strchr(first, '-');

        if (last)
                *last++ = '\0';
        if (parse_port(first, &ret->first) < 0 || parse_port(last ? last : first, &ret->last) < 0 ||
            ret->last < ret->first)
                return -EINVAL;
        for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
                if (strcmp(protocol, protocols[i]) != 0)
                        continue;
                (void)snprintf(ret->protocol, sizeof(ret->protocol), "%s", protocol);
                return 0;
        }
        return -EINVAL;
}

bool port_range_has(const struct port_range *r, const struct port *p, bool by_host)
{
        uint32_t port = by_host ? p->host_port : p->port;

        return port >= r->first && port <= r->last && strcmp(r->protocol, p->protocol) == 0;
}

void port_list_release(struct port_list *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->v[i].host_ip);
        free(l->v);
        *l = (struct port_list){0};
}

static void add(struct port_list *l, const struct port_range *of, const char *host_ip,
                uint32_t host_port)
{
        struct port p = {.port = of->first,
                         .host_ip = host_ip ? xstrdup(host_ip) : NULL,
                         .host_port = host_port};

        memcpy(p.protocol, of->protocol, sizeof(p.protocol));
        l->v = xrealloc(l->v, l->n + 1, sizeof(*l->v));
        l->v[l->n++] = p;
}

/* @at: [{"HostIp":"","HostPort":"8080"}, …] of one port. */
static void add_bindings(struct port_list *l, const struct port_range *of, struct json_at *at)
{
        size_t n = 0;

        if (json_want_array(at, PORT_MAX, &n, NULL) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                struct json_at one = json_elem(at, i);
                const char *ip = NULL, *port = NULL;
                uint32_t number;

                if (json_opt_string(&one, "HostIp", &ip, NULL) >= 0 &&
                    json_opt_string(&one, "HostPort", &port, NULL) >= 0 && port &&
                    parse_port(port, &number) >= 0)
                        add(l, of, ip ? ip : "", number);
        }
}

static int by_port(const void *a, const void *b)
{
        const struct port *x = a, *y = b;

        if (x->port != y->port)
                return x->port < y->port ? -1 : 1;
        if (strcmp(x->protocol, y->protocol) != 0)
                return strcmp(x->protocol, y->protocol);
        return x->host_port < y->host_port ? -1 : x->host_port > y->host_port;
}

void container_ports(struct container *c, bool exposed, struct port_list *ret)
{
        struct json_at root = json_root(container_config(c), CONFIG_FILE), host, at = {0}, config,
                       ports = {0};
        struct port_range port;

        if (!root.obj)
                return;
        host = container_host_config(&root);
        if (host.obj)
                at = json_key(&host, "PortBindings");
        if (json_object_is_type(at.obj, json_type_object)) {
                json_object_object_foreach(at.obj, key, value)
                {
                        struct json_at list = json_key(&at, key);

                        (void)value;
                        if (port_range_parse(key, &port) >= 0)
                                add_bindings(ret, &port, &list);
                }
        }
        if (ret->n > 1)
                qsort(ret->v, ret->n, sizeof(*ret->v), by_port);
        config = json_key(&root, "Config");
        if (exposed && config.obj)
                ports = json_key(&config, "ExposedPorts");
        if (json_object_is_type(ports.obj, json_type_object)) {
                json_object_object_foreach(ports.obj, key, value)
                {
                        (void)value;
                        if (port_range_parse(key, &port) >= 0)
                                add(ret, &port, NULL, 0);
                }
        }
}
