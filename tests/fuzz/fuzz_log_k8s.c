/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: as a line of a log file they are decoded or left out; as a line of output they come back exactly. */
#include "fuzz.h"

#include "base/str.h"
#include "logs/logs_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct log_entry e = {0};
        AUTO_STRBUF line = {0};

        (void)log_k8s_decode((const char *)data, n, &e);
        if (!memchr(data, '\n', n)) {
                log_k8s_encode(&line, LOG_STDOUT, (const char *)data, n, true,
                               "2026-01-01T00:00:00Z");
                if (!log_k8s_decode(line.data, line.len - 1, &e) || !e.partial || e.data.len != n ||
                    (n > 0 && memcmp(e.data.data, data, n) != 0))
                        abort();
        }
        log_entry_release(&e);
        return 0;
}
