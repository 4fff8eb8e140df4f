/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * protocol — what kelp and kelp-monitor say to each other. Besides it, others may include monitor/record.h and monitor/frame.h.
 *
 * Start: kelp runs "kelp-monitor run ROOT ID [options]" or "kelp-monitor exec ROOT ID" with the descriptors below and waits on STATUS. The
 * options say what spec.json does not: --rm, --name=N, --log-driver=D, --log-opt=K=V, --pidfile=PATH, --size=ROWSxCOLS, --stdin-once, --health, --preserve=LIST,
 * --join=NS:ID (enum spec_ns, container), --lives-with=PID:START (the process whose end is its end; START as in /proc/PID/stat).
 * "kelp-monitor remove ROOT NAME…" deletes trees in tmp/ inside U. "kelp-monitor size ROOT ID" prints the bytes of upper/, counted there.
 * "kelp-monitor pause ROOT ID" stops the container's processes, says "started", and "exited" when they go on: as soon as ATTACH is closed.
 * "kelp-monitor lend ROOT ID read|write" sends the container's root directory (O_PATH, one byte with it) over ATTACH, says "started", and gives up
 * the mounts when ATTACH is closed; then it says "exited".
 *   0–2   /dev/null (passthrough log driver: the caller's own)
 *   3     STATUS, SOCK_SEQPACKET: one JSON object per datagram, monitor → kelp
 *   4     ATTACH, SOCK_STREAM, or /dev/null when detached: the first attached client
 *   5     REQUEST (exec only): a memfd with the JSON of the exec request
 *   6…    descriptors of the caller's that the program gets under the numbers of --preserve=N,N…, in order (run and exec)
 *
 * STATUS messages, in order:
 *   {"event":"started","pid":N,"warning"?:S}          the program runs; a line for the user
 *   {"event":"error","error":{…err_encode…}}          it does not; the monitor has cleaned up and exits
 *   {"event":"exited","code":N,"oom":false}           after the exit record is on disk (--rm: the container is removed) and every byte
 *                                                     of output was delivered to the first client
 * EOF without "exited" or "error": the monitor was killed.
 *
 * ATTACH framing, both directions: struct attach_frame, then len bytes.
 *   client → monitor: STDIN data; STDIN_EOF; RESIZE (payload: struct attach_size)
 *   monitor → client: STDOUT, STDERR data (with a terminal everything is STDOUT); DETACHED;
 *                     EXITED (payload: exit code, 4 bytes big-endian; only to clients of the socket, who have no STATUS);
 *                     DROPPED (payload: one byte, enum attach_drop): the connection ends here, the program goes on
 * Further clients connect to containers/<id>/attach.sock (SOCK_STREAM, same framing; SO_PEERCRED must be our uid). It is bound and connected
 * to through a descriptor of the directory, since the path may be longer than a socket address, and the data root may be moved.
 *
 * Output that clients do not take: see session.h.
 */
#include <stdint.h>

#define MONITOR_FD_STATUS    3
#define MONITOR_FD_ATTACH    4
#define MONITOR_FD_REQUEST   5
#define MONITOR_FD_PRESERVED 6

#define MONITOR_SOCKET "attach.sock"

enum attach_type {
        ATTACH_STDIN = 0,
        ATTACH_STDOUT = 1,
        ATTACH_STDERR = 2,
        ATTACH_STDIN_EOF = 3,
        ATTACH_RESIZE = 4,
        ATTACH_DETACHED = 5,
        ATTACH_EXITED = 6,
        ATTACH_DROPPED = 7
};
enum attach_drop {
        ATTACH_DROP_SLOW = 0, /* it did not take the output, and others waited for it */
        ATTACH_DROP_FULL = 1  /* as many clients as there may be are attached */
};
#define ATTACH_FRAME_MAX 65536
struct attach_frame {
        uint8_t type, zero[3];
        uint32_t len; /* big-endian, ≤ ATTACH_FRAME_MAX; a larger one ends the connection */
};
struct attach_size {
        uint16_t rows, cols; /* big-endian */
};
