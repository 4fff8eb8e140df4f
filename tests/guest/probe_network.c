/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets. */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int cmd_socket(int argc, char **argv)
{
        static const struct {
                const char *name;
                int family, type;
        } kinds[] = {
            {"inet", AF_INET, SOCK_STREAM},   {"inet6", AF_INET6, SOCK_STREAM},
            {"unix", AF_UNIX, SOCK_STREAM},   {"netlink", AF_NETLINK, SOCK_RAW},
            {"packet", AF_PACKET, SOCK_RAW},  {"raw", AF_INET, SOCK_RAW},
            {"vsock", AF_VSOCK, SOCK_STREAM}, {"alg", AF_ALG, SOCK_SEQPACKET},
        };

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strcmp(argv[1], kinds[i].name) == 0)
                        return probe_verdict(socket(
                            kinds[i].family, kinds[i].type | SOCK_CLOEXEC,
                            kinds[i].family == AF_INET && kinds[i].type == SOCK_RAW ? 1 : 0));
        return 125;
}

static int cmd_interfaces(int argc, char **argv)
{
        struct if_nameindex *names = if_nameindex();

        if (!names)
                return probe_fail("if_nameindex");
        for (struct if_nameindex *n = names; n->if_index != 0; n++)
                puts(n->if_name);
        if_freenameindex(names);
        return 0;
}

static struct sockaddr_in address(const char *host, int port)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

        inet_pton(AF_INET, host, &a.sin_addr);
        return a;
}

static int cmd_connect(int argc, char **argv)
{
        struct sockaddr_in a = address(argv[1], probe_number(argv[2]));
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return probe_verdict(fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, sizeof(a)));
}

/* loopback: listens on 127.0.0.1 and connects to itself: is lo up? */
static int cmd_loopback(int argc, char **argv)
{
        struct sockaddr_in a = address("127.0.0.1", 0);
        socklen_t len = sizeof(a);
        int in = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
            out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (in < 0 || out < 0 || bind(in, (struct sockaddr *)&a, sizeof(a)) < 0 ||
            listen(in, 1) < 0 || getsockname(in, (struct sockaddr *)&a, &len) < 0)
                return probe_verdict(-1);
        return probe_verdict(connect(out, (struct sockaddr *)&a, sizeof(a)));
}

/* abstract NAME: connects to an abstract Unix socket, which only the network namespace keeps apart. */
static int cmd_abstract(int argc, char **argv)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        size_t n = strlen(argv[1]);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (n > sizeof(a.sun_path) - 1)
                return 125;
        memcpy(a.sun_path + 1, argv[1], n);
        return probe_verdict(
            fd < 0 ? -1
                   : connect(fd, (struct sockaddr *)&a,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)));
}

/* notify TEXT: a message to $NOTIFY_SOCKET, as sd_notify(3) sends it; a new line for every "\\n" of the text. */
static int cmd_notify(int argc, char **argv)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        const char *path = getenv("NOTIFY_SOCKET");
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char *text = argv[1], *to = text;

        if (!path || strlen(path) >= sizeof(a.sun_path))
                return 125;
        memcpy(a.sun_path, path, strlen(path));
        for (const char *from = text; *from; from++) {
                bool newline = from[0] == '\\' && from[1] == 'n';

                *to++ = newline ? '\n' : *from;
                from += newline;
        }
        return probe_verdict(
            sendto(fd, text, (size_t)(to - text), 0, (struct sockaddr *)&a, sizeof(a)) < 0 ? -1
                                                                                           : 0);
}

const struct command network_commands[] = {
    {"socket", cmd_socket, 1, "FAMILY"},
    {"interfaces", cmd_interfaces, 0, ""},
    {"connect", cmd_connect, 2, "ADDRESS PORT"},
    {"loopback", cmd_loopback, 0, ""},
    {"abstract", cmd_abstract, 1, "NAME"},
    {"notify", cmd_notify, 1, "TEXT"},
    {NULL, NULL, 0, NULL},
};
