/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * stage — what parent and child of a launch say to each other, and the steps that the child walks. The only description of it.
 *
 * One message is one datagram of a SOCK_SEQPACKET pair, a struct child_report in both directions. EOF is an error unless the last message was
 * NEXT_IS_EXEC: both ends are close-on-exec, so that EOF then means "the program runs".
 *
 *   monitor                                child (pid 1 of the container, or a further process)
 *   clone3(user|mount|pid|…, pidfd)
 *                    ◀── JOINED{pid, pidfd} ──  only when namespaces are joined: from the process in between, which then ends
 *                                               descriptors, sources
 *   writes the maps  ───── GO_IDMAP ──▶         identity, root, mounts
 *                    ◀── HOOKS ───────────────  only when there are hooks before the pivot or before the program
 *   runs its hooks     ───── GO_ON{states, outputs} ──▶  its own hooks, sysctls, paths, pivot, names, network, terminal, user
 *                    ◀── USER{uid, gid} ──────  only when a mount is to be given to that user
 *   changes owners     ───── GO_ON ──▶           directory, limits, ids, parent death
 *                    ◀── HELD{terminal, keeper} ──  only with a hold: the monitor is done. The child listens on the hold's socket;
 *                                               what follows is said on the connection of the process that releases it
 *   (releases)         ───── START ──▶
 *                    ◀── NEXT_IS_EXEC{terminal, keeper} or FAILED{stage, errno, object, detail}
 *                                               seccomp, capabilities, execute
 *                    ◀── EOF, or FAILED
 *
 * NEXT_IS_EXEC goes out before the filter is loaded: the filter may deny sendmsg, so from there on FAILED is best effort, and exit
 * code 126 or 127 carries the verdict. Sending it is also the second look at whether the parent still lives, after PDEATHSIG was set: with
 * the other end gone it fails. (getppid says 0 in a new pid namespace whether the parent lives or not.)
 */
#include "rootfs/child.h"

#include <assert.h>
#include <stdint.h>
#include <sys/types.h>

/* In the order of a run. docs/launch.md says for each what it should do, must not do, and why it has its place. */
enum stage {
        STAGE_FDS,
        STAGE_JOIN,
        STAGE_SOURCES,
        STAGE_IDMAP,
        STAGE_IDENTITY,
        STAGE_ROOT,
        STAGE_MOUNTS,
        STAGE_HOOKS_RUNTIME,
        STAGE_HOOKS_CREATE,
        STAGE_SYSCTLS,
        STAGE_PATHS,
        STAGE_PIVOT,
        STAGE_NAMES,
        STAGE_NETWORK,
        STAGE_TERMINAL,
        STAGE_USER,
        STAGE_OWNERS,
        STAGE_DIRECTORY,
        STAGE_LIMITS,
        STAGE_IDS,
        STAGE_HOLD,
        STAGE_READY,
        STAGE_SECCOMP,
        STAGE_CAPS,
        STAGE_HOOKS_START,
        STAGE_EXEC,
        STAGE_COUNT,
};
const char *stage_name(enum stage s); /* "pivot": for tests and documentation */
const char *stage_what(enum stage s); /* "switch to the new root": for messages */

enum report_what {
        REPORT_JOINED = 1,
        REPORT_GO_IDMAP,
        REPORT_HOOKS,
        REPORT_USER,
        REPORT_GO_ON,
        REPORT_HELD,
        REPORT_START,
        REPORT_NEXT_IS_EXEC,
        REPORT_FAILED
};

struct child_report {
        uint16_t what, stage;
        int32_t
            value; /* FAILED: errno; JOINED: pid; NEXT_IS_EXEC, HELD: see unwritable in child.c */
        uint32_t uid,
            gid; /* USER, NEXT_IS_EXEC, HELD: as whom the program will run, ids of the container */
        struct child_note note;
};
static_assert(sizeof(struct child_report) == 256, "one datagram, same layout on both sides");

/* The only users of the socket. Full length and a known type, or -EPROTO; EOF is -ECONNRESET. Descriptors that did not come along are -EBADF; on
 * failure none is left open. */
#define SYNC_FDS 4
int sync_send(int sock, const struct child_report *report, const int *fds, size_t n_fds);
int sync_recv(int sock, struct child_report *ret, int ret_fds[SYNC_FDS]);
