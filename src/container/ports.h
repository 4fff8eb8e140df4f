/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ports — those a container exposes and publishes, as its configuration says. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct container;

struct port {
        uint32_t port;    /* the container's */
        char protocol[8]; /* "tcp", "udp", "sctp" */
        char *host_ip;    /* "" any; NULL: exposed only */
        uint32_t host_port;
};
struct port_list {
        struct port *v;
        size_t n;
};
void port_list_release(struct port_list *l);
/* Those published (HostConfig.PortBindings), in order of port and protocol, one for every port on the host; with @exposed behind them those of
 * Config.ExposedPorts. What is no port in it is left out. */
void container_ports(struct container *c, bool exposed, struct port_list *ret);

/* "80", "80/udp", "8000-8010/tcp": tcp unless it says. -EINVAL. */
struct port_range {
        uint32_t first, last;
        char protocol[8];
};
int port_range_parse(const char *s, struct port_range *ret);
/* Whether @p is in it: by its port on the host, or by the container's. */
bool port_range_has(const struct port_range *r, const struct port *p, bool by_host);
