/* SPDX-License-Identifier: Apache-2.0 */
#include "container/lifetime.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "container/container_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRON_MAX   (2U * 1024 * 1024) /* what execve(2) takes, by default */
#define RECORD_MAX    (64U * 1024)
#define ANCESTORS_MAX 256
#define SESSIONS      "/run/systemd/sessions"

enum lifetime { LIFETIME_USER, LIFETIME_COMMAND, LIFETIME_SESSION, LIFETIME_JOB, LIFETIME_COUNT };
static const char *const names[] = {
    [LIFETIME_USER] = LIFETIME_DEFAULT,
    [LIFETIME_COMMAND] = "command",
    [LIFETIME_SESSION] = "session",
    [LIFETIME_JOB] = "job",
};
static_assert(ARRAY_SIZE(names) == LIFETIME_COUNT, "every lifetime has a name");

/* Set by batch systems and continuous integration in everything that belongs to one job, with the job's number as value. */
static const char *const job_variables[] = {"SLURM_JOB_ID", "PBS_JOBID",     "LSB_JOBID",
                                            "FLUX_JOB_ID",  "OAR_JOB_ID",    "JOB_ID",
                                            "CI_JOB_ID",    "GITHUB_RUN_ID", "BUILD_TAG"};

static int lifetime_parse(const char *name, enum lifetime *ret)
{
        for (int i = 0; i < LIFETIME_COUNT; i++) {
                if (strcmp(names[i], name) != 0)
                        continue;
                *ret = (enum lifetime)i;
                return 0;
        }
        return -EINVAL;
}

int lifetime_check(const char *name, struct err **reterr)
{
        enum lifetime l;

        if (!name || lifetime_parse(name, &l) >= 0)
                return 0;
        return err_hint(
            reterr, err_new(reterr, ERR_USAGE, "option '--lifetime': unknown lifetime '%s'", name),
            "expected command, session, user or job");
}

/* ---- session ---- */

pid_t lifetime_session_leader(const char *record, uid_t uid)
{
        AUTO_STRV lines = {0};
        uint32_t owner = 0, leader = 0;
        bool owned = false;

        strv_split(&lines, record, '\n');
        for (size_t i = 0; i < lines.n; i++) {
                if (str_starts(lines.v[i], "UID="))
                        owned = parse_u32(lines.v[i] + strlen("UID="), &owner) >= 0;
                else if (str_starts(lines.v[i], "LEADER=") &&
                         parse_u32(lines.v[i] + strlen("LEADER="), &leader) < 0)
                        return 0;
        }
        return owned && owner == uid && leader <= INT32_MAX ? (pid_t)leader : 0;
}

static pid_t logind_leader(void)
{
        const char *id = getenv("XDG_SESSION_ID");
        AUTO_FREE char *path = NULL, *text = NULL;

        /* Of another session when the variable came along from one (sudo, su): its record then names another user. */
        if (!id || !path_is_clean_name(id))
                return 0;
        path = xasprintf(SESSIONS "/%s", id);
        if (io_read_file(AT_FDCWD, path, RECORD_MAX, &text, NULL, NULL) < 0)
                return 0;
        return lifetime_session_leader(text, getuid());
}

static int session_anchor(struct process_id *ret, struct err **reterr)
{
        pid_t leader = logind_leader();
        int r;

        if (leader <= 0 || process_identify(leader, ret, NULL) < 0) {
                leader = getsid(0);
                if (leader > 0 && leader != getpid() && process_identify(leader, ret, NULL) >= 0)
                        return 1;
                r = err_new(reterr, ERR_USAGE,
                            "lifetime 'session': there is no session whose end could be seen");
                return err_hint(reterr, r,
                                "start it from a login shell, or with --lifetime=command");
        }
        return 1;
}

/* ---- job ---- */

static pid_t parent_of(pid_t pid)
{
        AUTO_FREE char *text = NULL;
        char path[64];
        const char *p;
        uint32_t parent;
        size_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        if (io_read_file(AT_FDCWD, path, RECORD_MAX, &text, NULL, NULL) < 0)
                return 0;
        /* "pid (name, which may hold anything) state parent …" */
        p = strrchr(text, ')');
        if (!p || strlen(p) < 5)
                return 0;
        p += 4;
        n = strcspn(p, " ");
        text[(p - text) + (ptrdiff_t)n] = '\0';
        return parse_u32(p, &parent) < 0 ? 0 : (pid_t)parent;
}

static bool has_in_environment(pid_t pid, const char *name, const char *value)
{
        AUTO_FREE char *text = NULL, *want = xasprintf("%s=%s", name, value);
        char path[64];
        size_t len = 0;

        (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
        if (io_read_file(AT_FDCWD, path, ENVIRON_MAX, &text, &len, NULL) < 0)
                return false; /* another user's, such as the batch system's own: no part of the job */
        for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
                if (strcmp(text + at, want) == 0)
                        return true;
        }
        return false;
}

static int job_anchor(struct process_id *ret, struct err **reterr)
{
        pid_t top = getppid(), pid = top;

        for (size_t i = 0; i < ARRAY_SIZE(job_variables); i++) {
                const char *value = getenv(job_variables[i]);

                if (str_empty(value))
                        continue;
                for (int n = 0; n < ANCESTORS_MAX && pid > 1; n++, pid = parent_of(pid)) {
                        if (has_in_environment(pid, job_variables[i], value))
                                top = pid;
                }
                return process_identify(top, ret, reterr) < 0 ? -ESRCH : 1;
        }
        return err_hint(
            reterr,
            err_new(reterr, ERR_USAGE, "lifetime 'job': this is no batch job that Kelp knows"),
            "a job has SLURM_JOB_ID, PBS_JOBID, LSB_JOBID, FLUX_JOB_ID, OAR_JOB_ID, "
            "JOB_ID, CI_JOB_ID, GITHUB_RUN_ID or BUILD_TAG in its environment");
}

/* ---- all ---- */

const char *lifetime_name(const struct container *c)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        const char *name = NULL;

        (void)json_opt_string(&root, "Lifetime", &name, NULL);
        return name ? name : LIFETIME_DEFAULT;
}

int lifetime_anchor(const struct container *c, bool stays, struct process_id *ret,
                    struct err **reterr)
{
        const char *name = lifetime_name(c);
        enum lifetime l = LIFETIME_USER;

        if (lifetime_parse(name, &l) < 0)
                return err_new(reterr, ERR_UNSUPPORTED, "lifetime '%s' is a newer version's", name);
        switch (l) {
        case LIFETIME_COMMAND:
                if (stays)
                        return process_identify(getpid(), ret, reterr) < 0 ? -ESRCH : 1;
                return err_hint(
                    reterr,
                    err_new(reterr, ERR_USAGE, "lifetime 'command': nothing would wait for it"),
                    "start it in the foreground: without -d, or 'kelp start -a'");
        case LIFETIME_SESSION:
                return session_anchor(ret, reterr);
        case LIFETIME_JOB:
                return job_anchor(ret, reterr);
        case LIFETIME_USER:
        case LIFETIME_COUNT:
                break;
        }
        return 0;
}
