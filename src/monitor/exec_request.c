/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "monitor/exec_internal.h"
#include "monitor/protocol.h"
#include "spec/spec.h"

#define REQUEST_MAX (4U * 1024 * 1024)

int exec_request_read(struct request *q, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        struct json_at at, spec;
        size_t n;
        int r;

        r = io_read_fd(MONITOR_FD_REQUEST, "exec request", REQUEST_MAX, &text, &n, reterr);
        if (r >= 0)
                r = json_parse(text, n, "exec request", &q->doc, reterr);
        if (r < 0)
                return r;
        at = json_root(q->doc, "exec request");
        r = json_want_object(&at, reterr);
        if (r >= 0)
                r = json_get_string(&at, "id", &q->eid, reterr);
        if (r >= 0)
                r = json_opt_string(&at, "container", &q->name, reterr);
        if (r >= 0)
                r = json_opt_bool(&at, "privileged", &q->privileged, reterr);
        if (r >= 0)
                r = json_opt_bool(&at, "interactive", &q->interactive, reterr);
        if (r >= 0)
                r = json_opt_bool(&at, "detach", &q->detach, reterr);
        if (r < 0)
                return r;
        if (!path_is_clean_name(q->eid))
                return json_fail(&at, reterr, "id: not a name");
        spec = json_key(&at, "spec");
        return spec_from_json(spec.obj, "exec request", &q->spec, reterr);
}
