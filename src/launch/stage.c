/* SPDX-License-Identifier: Apache-2.0 */
#include "launch/stage.h"

#include "base/fd.h"

#include <errno.h>
#include <stddef.h>

static const struct {
        const char *name, *what;
} stages[] = {
    [STAGE_FDS] = {"fds", "arrange descriptors"},
    [STAGE_JOIN] = {"join", "join namespaces"},
    [STAGE_SOURCES] = {"sources", "open"},
    [STAGE_IDMAP] = {"idmap", "wait for id maps"},
    [STAGE_IDENTITY] = {"identity", "become root of the namespace"},
    [STAGE_ROOT] = {"root", "mount the root file system"},
    [STAGE_MOUNTS] = {"mounts", "mount"},
    [STAGE_HOOKS_RUNTIME] = {"hooks-runtime", "wait for the runtime's hooks"},
    [STAGE_HOOKS_CREATE] = {"hooks-create", "run createContainer hook"},
    [STAGE_SYSCTLS] = {"sysctls", "set sysctl"},
    [STAGE_PATHS] = {"paths", "protect"},
    [STAGE_PIVOT] = {"pivot", "switch to the new root"},
    [STAGE_NAMES] = {"names", "set host name"},
    [STAGE_NETWORK] = {"network", "bring up the loopback interface"},
    [STAGE_TERMINAL] = {"terminal", "open a terminal"},
    [STAGE_USER] = {"user", "look up"},
    [STAGE_OWNERS] = {"owners", "give mounts to the user"},
    [STAGE_DIRECTORY] = {"directory", "change to directory"},
    [STAGE_LIMITS] = {"limits", "set"},
    [STAGE_IDS] = {"ids", "change ids to"},
    [STAGE_HOLD] = {"hold", "wait to be started"},
    [STAGE_READY] = {"ready", "report to the monitor"},
    [STAGE_SECCOMP] = {"seccomp", "load the seccomp filter"},
    [STAGE_CAPS] = {"caps", "set capabilities"},
    [STAGE_HOOKS_START] = {"hooks-start", "run startContainer hook"},
    [STAGE_EXEC] = {"exec", "exec"},
};
static_assert(sizeof(stages) / sizeof(stages[0]) == STAGE_COUNT, "name every stage");

const char *stage_name(enum stage s)
{
        return stages[s].name;
}

const char *stage_what(enum stage s)
{
        return stages[s].what;
}

int sync_send(int sock, const struct child_report *report, const int *fds, size_t n_fds)
{
        ssize_t n = fd_send(sock, report, sizeof(*report), fds, n_fds);

        if (n < 0)
                return (int)n;
        return n == sizeof(*report) ? 0 : -EPROTO;
}

int sync_recv(int sock, struct child_report *ret, int ret_fds[SYNC_FDS])
{
        size_t n_fds = SYNC_FDS;
        ssize_t n;

        for (size_t i = 0; i < SYNC_FDS; i++)
                ret_fds[i] = -EBADF;
        n = fd_recv(sock, ret, sizeof(*ret), ret_fds, &n_fds);
        /* Once, when the other side ended before it read what we sent: what it has sent is there all the same. */
        if (n == -ECONNRESET) {
                n_fds = SYNC_FDS;
                n = fd_recv(sock, ret, sizeof(*ret), ret_fds, &n_fds);
        }
        if (n < 0)
                return (int)n;
        if (n == 0)
                return -ECONNRESET;
        if (n != sizeof(*ret) || ret->what < REPORT_JOINED || ret->what > REPORT_FAILED ||
            ret->stage >= STAGE_COUNT) {
                for (size_t i = 0; i < SYNC_FDS; i++)
                        ret_fds[i] = fd_close(ret_fds[i]);
                return -EPROTO;
        }
        ret->note.object[sizeof(ret->note.object) - 1] = '\0';
        ret->note.detail[sizeof(ret->note.detail) - 1] = '\0';
        return 0;
}
