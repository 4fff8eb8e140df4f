/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/status.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "monitor/protocol.h"

#include <string.h>

static void status_send(struct json_object *o)
{
        const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);

        (void)fd_send(MONITOR_FD_STATUS, text, strlen(text), NULL, 0);
}

void status_started(pid_t pid, const char *warning)
{
        AUTO_JSON *o = json_object_new_object();

        json_add_string(o, "event", "started");
        json_add_int(o, "pid", pid);
        if (warning)
                json_add_string(o, "warning", warning);
        status_send(o);
}

void status_error(const struct err *e)
{
        AUTO_JSON *o = json_object_new_object();

        json_add_string(o, "event", "error");
        (void)json_object_object_add(o, "error", err_encode(e));
        status_send(o);
}

void status_exited(int code, bool oom)
{
        AUTO_JSON *o = json_object_new_object();

        json_add_string(o, "event", "exited");
        json_add_int(o, "code", code);
        json_add_bool(o, "oom", oom);
        status_send(o);
}
