/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* transfer_internal — what the files of a transfer share. */
#include "image/transfer.h"

#include <sys/stat.h>

/* One entry on its way. */
struct transfer_item {
        int from, to; /* directories */
        const char *name, *to_name;
        struct stat st;   /* as it was found */
        const char *path; /* for messages */
};
int transfer_fail(const struct transfer_item *i, int errnum, const char *doing,
                  struct err **reterr);
void transfer_leave(struct transfer *x, enum transfer_left what, const char *path);
/* transfer_file.c: anything but a directory. */
int transfer_item(struct transfer *x, const struct transfer_item *i, struct err **reterr);
/* transfer_setid.c: is there no harm in a setuid bit in this directory? */
bool transfer_keeps_setid(const struct transfer *x, int dir);
/* Owner, mode, extended attributes (when @from is one to read them from), times of the new @fd. */
int transfer_attributes(struct transfer *x, const struct transfer_item *i, int from, int fd,
                        struct err **reterr);
/* What is in the way of @i, of the other kind (directory or not), goes if that was asked for. 1: a directory is there and stays. */
int transfer_make_room(struct transfer *x, const struct transfer_item *i, struct err **reterr);
