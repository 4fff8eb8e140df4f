/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* archive_internal — shared by archive.c (access) and archive_scan.c (the one pass over a tar). */
#include "image/archive.h"
#include "image/tool.h"

#include <sys/types.h>

#define ARCHIVE_MAX_ENTRIES  65536
#define ARCHIVE_MAX_NAME     512 /* longer names are no image's */
#define ARCHIVE_MAX_DOCUMENT (4U * 1024 * 1024)
#define ARCHIVE_MAX_SPOOL    (512ULL * 1024 * 1024)
#define ARCHIVE_SNIFF        512

enum archive_mode { ARCHIVE_DIR, ARCHIVE_FILE, ARCHIVE_STREAM };
enum entry_kind { ENTRY_DATA, ENTRY_LINK, ENTRY_LAYER };
struct entry {
        char *name;
        size_t order; /* in the archive */
        enum entry_kind kind;
        char *link;   /* LINK: cleaned name of what it leads to */
        off_t offset; /* DATA: in the archive (file) or the spool (stream); < 0: not kept */
        uint64_t size;
        struct archive_layer layer; /* LAYER */
};
struct archive {
        enum archive_mode mode;
        struct tool *tool;
        struct store_txn *txn;
        int fd, spool_fd;
        uint64_t spooled;
        char *what;
        struct entry *v;
        size_t n, cap;
        unsigned counter;
};
/* Fills a->v from the tar, sorted by name, one entry each. */
int archive_scan(struct archive *a, struct err **reterr);
