/* SPDX-License-Identifier: Apache-2.0 */
/* log.c — failures, for people and for the programs that call us. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/json_write.h"
#include "oci/oci.h"

#include <fcntl.h>
#include <string.h>

static bool wants_json(const struct oci_globals *g)
{
        return g->log_format && strcmp(g->log_format, "json") == 0;
}

int oci_log_check(const struct oci_globals *g, struct err **reterr)
{
        static const char *const levels[] = {"debug", "info",  "warn",  "warning",
                                             "error", "fatal", "panic", "trace"};
        int r;

        if (g->log_format && !wants_json(g) && strcmp(g->log_format, "text") != 0) {
                r = err_new(reterr, ERR_USAGE, "option '--log-format': unknown format '%s'",
                            g->log_format);
                return err_hint(reterr, r, "text or json");
        }
        if (!g->log_level)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
                if (strcmp(levels[i], g->log_level) == 0)
                        return 0;
        }
        r = err_new(reterr, ERR_USAGE, "option '--log-level': unknown level '%s'", g->log_level);
        return err_hint(reterr, r, "one of debug, info, warn, error");
}

static void add_record(struct strbuf *b, const struct oci_globals *g, const struct err *e)
{
        char now[CLOCK_RFC3339_MAX];
        AUTO_JSON *o = NULL;
        AUTO_STRBUF words = {0};

        strbuf_add_utf8(&words, err_message(e), strlen(err_message(e)));
        clock_format(clock_now_ns(), now);
        if (!wants_json(g)) {
                strbuf_addf(b, "%s error: ", now);
                strbuf_add_printable(b, words.data, words.len);
                strbuf_add(b, "\n");
                return;
        }
        o = json_object_new_object();
        json_add_string(o, "msg", words.data);
        json_add_string(o, "level", "error");
        json_add_string(o, "time", now);
        json_write(b, o, 0);
        strbuf_add(b, "\n");
}

void oci_log_error(const struct oci_globals *g, const struct err *e)
{
        AUTO_STRBUF record = {0};
        AUTO_CLOSE int fd = -EBADF;

        err_print(e, stderr, "kelp-oci", g->debug);
        if (!g->log)
                return;
        add_record(&record, g, e);
        fd = open(g->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
        if (fd < 0 || io_write_full(fd, record.data, record.len) < 0)
                fprintf(stderr, "kelp-oci: warning: --log '%s': %s\n", g->log, strerror(errno));
}

void oci_warn(const struct strv *warnings)
{
        for (size_t i = 0; i < warnings->n; i++) {
                AUTO_STRBUF words = {0};

                strbuf_add_printable(&words, warnings->v[i], strlen(warnings->v[i]));
                fprintf(stderr, "kelp-oci: warning: %s\n", words.data ? words.data : "");
        }
}
