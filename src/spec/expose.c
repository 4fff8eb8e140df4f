/* SPDX-License-Identifier: Apache-2.0 */
/* expose.c — the value of --expose: a port or a range of them, with a protocol or without. */
#include "base/err.h"
#include "base/parse.h"
#include "spec/options.h"

#include <string.h>

static bool parse_port(const char *text, uint32_t *ret)
{
        return parse_u32(text, ret) == 0 && *ret >= 1 && *ret <= UINT16_MAX;
}

int run_expose_parse(const char *value, struct strv *ret, struct err **reterr)
{
        static const char *const protocols[] = {"tcp", "udp", "sctp"};
        AUTO_STRV parts = {0}, range = {0};
        const char *protocol;
        uint32_t first, last;
        bool good;

        strv_split(&parts, value, '/');
        strv_split(&range, parts.v[0], '-');
        protocol = parts.n > 1 ? parts.v[1] : protocols[0];
        good = parts.n <= 2 && range.n <= 2 && parse_port(range.v[0], &first) &&
               parse_port(range.v[range.n - 1], &last) && first <= last;
        for (size_t i = 0; good && i < ARRAY_SIZE(protocols); i++) {
                if (strcmp(protocols[i], protocol) != 0)
                        continue;
                for (uint32_t port = first; port <= last; port++)
                        strv_addf(ret, "%u/%s", port, protocol);
                return 0;
        }
        return err_new(reterr, ERR_USAGE,
                       "option '--expose': '%s' is not PORT[-PORT][/tcp|udp|sctp]", value);
}
