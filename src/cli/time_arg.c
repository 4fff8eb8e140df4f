/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/time_arg.h"

#include "base/err.h"
#include "base/moment.h"

int time_arg_parse(const char *option, const char *s, int64_t *ret, struct err **reterr)
{
        int r;

        if (!s || moment_parse(s, ret) >= 0)
                return 0;
        r = err_new(reterr, ERR_USAGE, "option '--%s': '%s' is no time", option, s);
        return err_hint(reterr, r, MOMENT_HINT);
}
