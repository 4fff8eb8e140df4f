/* SPDX-License-Identifier: Apache-2.0 */
/* progress — see progress.h. */
#include "cli/progress.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/term.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_MAX 50

void progress_init(struct progress *p, const char *verb, bool wanted)
{
        *p = (struct progress){.verb = verb, .on = wanted && fd_is_terminal(STDERR_FILENO)};
}

void progress_end(struct progress *p)
{
        if (p->open)
                (void)fputc('\n', stderr);
        p->open = false;
}

/* What is left of the line for the bar: a line that wraps could not be drawn over. */
static unsigned bar_width(size_t text)
{
        uint16_t rows = 0, cols = 80;

        if (!term_size(STDERR_FILENO, &rows, &cols) || cols == 0)
                cols = 80;
        if (text + 12 >= cols)
                return 0;
        return (unsigned)MIN((size_t)BAR_MAX, cols - text - 4);
}

static void draw(const struct progress *p, uint64_t done, uint64_t total)
{
        char have[OUTPUT_SIZE_MAX], all[OUTPUT_SIZE_MAX], bar[BAR_MAX + 1] = "", text[160],
                                                                        sizes[80];
        unsigned width, filled;

        (void)snprintf(sizes, sizeof(sizes), "%8s%s%s", output_size(done, have), total ? "/" : "",
                       total ? output_size(total, all) : "");
        (void)snprintf(text, sizeof(text), "%.12s: %s", p->item, p->verb);
        width = bar_width(strlen(text) + strlen(sizes));
        if (total == 0 || width == 0) {
                (void)fprintf(stderr, "\r\033[K%s %s", text, sizes);
                return;
        }
        filled = (unsigned)((double)MIN(done, total) / (double)total * width);
        memset(bar, ' ', width);
        memset(bar, '=', filled);
        if (filled > 0)
                bar[filled - 1] = '>';
        bar[width] = '\0';
        (void)fprintf(stderr, "\r\033[K%s [%s] %s", text, bar, sizes);
}

void progress_show(void *progress, const char *item, uint64_t done, uint64_t total)
{
        struct progress *p = progress;

        if (!p->on)
                return;
        if (p->open && strcmp(p->item, item) != 0)
                progress_end(p);
        (void)snprintf(p->item, sizeof(p->item), "%s", item);
        /* The item is a name out of an archive: what could drive the terminal is not drawn. */
        for (char *c = p->item; *c; c++)
                if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
                        *c = '?';
        draw(p, done, total);
        p->open = true;
        if (total > 0 && done >= total)
                progress_end(p);
        (void)fflush(stderr);
}

void progress_warn(void *progress, const char *text)
{
        AUTO_STRBUF clean = {0};

        /* May quote an archive. */
        strbuf_add_printable(&clean, text, strlen(text));
        progress_end(progress);
        log_warn("%s", clean.data ? clean.data : "");
}
