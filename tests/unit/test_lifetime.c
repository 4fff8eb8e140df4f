/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/str.h"
#include "cli/reaper.h"
#include "container/lifetime.h"

#include <sys/stat.h>

static void test_session_leader(void **state)
{
        static const char record[] =
            "# This is private data.\nUID=1000\nUSER=u\nLEADER=4711\nAUDIT=3\n";

        assert_int_equal(lifetime_session_leader(record, 1000), 4711);
        assert_int_equal(lifetime_session_leader(record, 1001), 0);
        assert_int_equal(lifetime_session_leader("LEADER=4711\n", 0), 0);
        assert_int_equal(lifetime_session_leader("UID=0\nLEADER=4294967295\n", 0), 0);
        assert_int_equal(lifetime_session_leader("UID=0\nLEADER=12x\n", 0), 0);
        assert_int_equal(lifetime_session_leader("UID=0\n", 0), 0);
}

static void test_names(void **state)
{
        struct err *e = NULL;

        assert_int_equal(lifetime_check(NULL, &e), 0);
        assert_int_equal(lifetime_check("session", &e), 0);
        assert_true(lifetime_check("life", &e) < 0);
        assert_non_null(strstr(err_message(e), "'life'"));
        err_free(e);
}

static void add(void **state, const char *path, const char *text)
{
        AUTO_STRV parts = {0};
        AUTO_STRBUF dir = {0};

        strv_split(&parts, path, '/');
        for (size_t i = 0; i + 1 < parts.n; i++) {
                strbuf_addf(&dir, "%s%s", i ? "/" : "", parts.v[i]);
                (void)mkdirat(unit_dir(state), dir.data, 0755);
        }
        unit_write(unit_dir(state), path, text);
}

#define SESSION "0::/user.slice/user-1000.slice/session-3.scope\n"
#define MANAGER "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n"

/* One host, changed step by step. */
static void test_reaper(void **state)
{
        AUTO_FREE char *root = xasprintf("/proc/self/fd/%d", unit_dir(state));
        struct reaper_host h = {.root = root, .cgroup = SESSION, .uid = 1000};
        char *text;

        add(state, "etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=yes\n");
        assert_null(reaper_warning_of(&h)); /* logind knows no such user */
        add(state, "run/systemd/users/1000", "NAME=ann\nSTATE=active\n");
        text = reaper_warning_of(&h);
        assert_non_null(strstr(text, "KillUserProcesses=yes"));
        assert_non_null(strstr(text, "loginctl enable-linger"));
        free(text);
        h.cgroup = "0::/system.slice/cron.service\n";
        assert_null(reaper_warning_of(&h));
        h.cgroup = MANAGER;
        text = reaper_warning_of(&h);
        assert_non_null(strstr(text, "loginctl enable-linger"));
        free(text);
        /* Lingering keeps the user's manager, not the session. */
        add(state, "var/lib/systemd/linger/ann", "");
        assert_null(reaper_warning_of(&h));
        h.cgroup = SESSION;
        text = reaper_warning_of(&h);
        assert_non_null(strstr(text, "systemd-run --user --scope"));
        assert_null(strstr(text, "linger"));
        free(text);
        /* Drop-ins win, by name; those who are left out are left alone. */
        add(state, "etc/systemd/logind.conf.d/10.conf", "[Login]\nKillUserProcesses=no\n");
        assert_null(reaper_warning_of(&h));
        add(state, "etc/systemd/logind.conf.d/20.conf", "[Login]\nKillUserProcesses=true\n");
        text = reaper_warning_of(&h);
        assert_non_null(text);
        free(text);
        add(state, "etc/systemd/logind.conf.d/30.conf", "KillExcludeUsers=root ann\n");
        assert_null(reaper_warning_of(&h));
        add(state, "etc/systemd/logind.conf.d/30.conf",
            "KillExcludeUsers=root anna\nKillOnlyUsers=bob\n");
        assert_null(reaper_warning_of(&h));
        add(state, "etc/systemd/logind.conf.d/30.conf", "KillOnlyUsers=bob ann\n");
        text = reaper_warning_of(&h);
        assert_non_null(text);
        free(text);
}

/* Debian's logind is built with "no", and says so in a comment. */
static void test_nobody_reaps(void **state)
{
        AUTO_FREE char *root = xasprintf("/proc/self/fd/%d", unit_dir(state));
        struct reaper_host h = {.root = root, .cgroup = SESSION, .uid = 1000};

        add(state, "run/systemd/users/1000", "NAME=ann\n");
        assert_null(reaper_warning_of(&h)); /* no configuration: not known */
        add(state, "etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\n");
        assert_null(reaper_warning_of(&h));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_session_leader),
            cmocka_unit_test(test_names),
            unit_test_dir(test_reaper),
            unit_test_dir(test_nobody_reaps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
