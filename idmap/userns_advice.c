/* SPDX-License-Identifier: Apache-2.0 */
/* From an errno to the switch that has to be thrown: what the kernel answers with one number has half a dozen causes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/str.h"
#include "idmap/userns_program.h"

/* The number in a file of /proc/sys; @fallback when there is none. */
static int64_t read_number(const char *path, int64_t fallback)
{
        AUTO_FREE char *text = NULL;
        int64_t v;

        if (io_read_file(AT_FDCWD, path, 64, &text, NULL, NULL) < 0)
                return fallback;
        text[strcspn(text, " \n")] = '\0';
        return parse_i64(text, &v) == 0 ? v : fallback;
}

static bool is_filtered(void)
{
        AUTO_FREE char *text = NULL;

        return io_read_file(AT_FDCWD, "/proc/self/status", 16384, &text, NULL, NULL) == 0 &&
               strstr(text, "\nSeccomp:\t2") != NULL;
}

static int advise_denied(struct err **reterr, int r)
{
        if (read_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
                return err_hint(reterr, r, "as root: sysctl -w kernel.unprivileged_userns_clone=1");
        if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) != 0)
                return err_hint(reterr, r,
                                "as root: install Kelp's AppArmor profile, or sysctl -w "
                                "kernel.apparmor_restrict_unprivileged_userns=0");
        if (is_filtered())
                return err_hint(
                    reterr, r,
                    "a seccomp filter of the surrounding container may forbid it: start "
                    "that container with --security-opt seccomp=unconfined");
        return err_hint(reterr, r,
                        "a chroot, a security module or an outer container forbids user namespaces "
                        "to this process");
}

int userns_advice_unshare(struct err **reterr, int errnum)
{
        int64_t max = read_number("/proc/sys/user/max_user_namespaces", -1);
        int r;

        if (errnum == ENOSYS || errnum == EINVAL) {
                r = err_new(reterr, ERR_UNSUPPORTED, "this kernel has no user namespaces");
                return err_hint(reterr, r, "boot a kernel with CONFIG_USER_NS=y");
        }
        r = err_sys(reterr, errnum, "make a user namespace");
        r = err_set_kind(reterr, r, ERR_DENIED);
        if (errnum == ENOSPC || errnum == EUSERS) {
                if (max == 0)
                        return err_hint(reterr, r,
                                        "user namespaces are switched off; as root: sysctl -w "
                                        "user.max_user_namespaces=15000");
                return err_hint(
                    reterr, r,
                    "the limit of user namespaces is reached (user.max_user_namespaces is "
                    "%lld here; at most 32 may be nested): end containers, or as root raise "
                    "it with sysctl -w user.max_user_namespaces=N",
                    (long long)max);
        }
        return advise_denied(reterr, r);
}

int userns_advice_capability(struct err **reterr, int errnum)
{
        int r = err_sys(reterr, errnum, "use a capability in the new user namespace");

        return advise_denied(reterr, err_set_kind(reterr, r, ERR_DENIED));
}

char *userns_remedy_ranges(const struct userns_request *q)
{
        AUTO_FREE char *uids = NULL, *gids = NULL;
        uint32_t uid, gid;

        if (q->nested)
                return xstrdup(
                    "the surrounding container decides which ids there are: give it more, or give "
                    "this user ranges among those it has");
        if (io_read_file(AT_FDCWD, "/etc/subuid", HOLDER_FILE_MAX * 64, &uids, NULL, NULL) < 0)
                uids = xstrdup("");
        if (io_read_file(AT_FDCWD, "/etc/subgid", HOLDER_FILE_MAX * 64, &gids, NULL, NULL) < 0)
                gids = xstrdup("");
        uid = subid_first_free(uids);
        gid = subid_first_free(gids);
        if (uid == 0 || gid == 0 || !q->user)
                return xstrdup(
                    "ask for 65536 subordinate uids and gids in /etc/subuid and /etc/subgid");
        return xasprintf("as root: usermod --add-subuids %u-%u --add-subgids %u-%u %s", uid,
                         uid + (IDMAP_FULL_IDS - 1), gid, gid + (IDMAP_FULL_IDS - 1), q->user);
}
