/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: as a line of a log file they are decoded or left out; as output they come back as they went in, but for what is no UTF-8. */
#include "fuzz.h"

#include "base/str.h"
#include "logs/logs_internal.h"

#include <stdlib.h>
#include <string.h>

static void as_output(const char *data, size_t n, bool partial)
{
        struct log_entry e = {0}, again = {0};
        AUTO_STRBUF line = {0}, second = {0};
        size_t body;

        log_json_encode(&line, LOG_STDERR, data, n, partial, "2026-01-01T00:00:00Z", NULL);
        /* One line, and one that our own decoder takes. */
        if (memchr(line.data, '\n', line.len) != line.data + line.len - 1 ||
            !log_json_decode(line.data, line.len - 1, &e) || e.stream != LOG_STDERR)
                abort();
        body = e.data.len - (partial ? 0 : 1);
        /* What was replaced is UTF-8 now: a second way through changes nothing. */
        log_json_encode(&second, LOG_STDERR, e.data.len ? e.data.data : "", body, partial,
                        "2026-01-01T00:00:00Z", NULL);
        if (second.len != line.len && body == n)
                abort();
        if (!log_json_decode(second.data, second.len - 1, &again) || again.data.len != e.data.len ||
            (e.data.len > 0 && memcmp(again.data.data, e.data.data, e.data.len) != 0))
                abort();
        log_entry_release(&e);
        log_entry_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct log_entry e = {0};

        (void)log_json_decode((const char *)data, n, &e);
        log_entry_release(&e);
        as_output((const char *)data, n, true);
        if (!memchr(data, '\n', n))
                as_output((const char *)data, n, false);
        if (str_utf8_whole((const char *)data, n) > n)
                abort();
        return 0;
}
