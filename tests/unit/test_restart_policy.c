/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/json.h"
#include "base/macros.h"
#include "spec/restart_policy.h"
#include "unit.h"

#include <string.h>

static void test_parse(void **state)
{
        static const struct {
                const char *text;
                bool ok;
                enum restart_mode mode;
                uint32_t max;
        } cases[] = {
            {"", true, RESTART_NO, 0},
            {"no", true, RESTART_NO, 0},
            {"never", true, RESTART_NO, 0},
            {"always", true, RESTART_ALWAYS, 0},
            {"unless-stopped", true, RESTART_UNLESS_STOPPED, 0},
            {"on-failure", true, RESTART_ON_FAILURE, 0},
            {"on-failure:7", true, RESTART_ON_FAILURE, 7},
            {"on-failure:", false, RESTART_NO, 0},
            {"on-failure:-1", false, RESTART_NO, 0},
            {"on-failure:3x", false, RESTART_NO, 0},
            {"on-failure:4294967296", false, RESTART_NO, 0},
            {"always:0", false, RESTART_NO, 0},
            {"alway", false, RESTART_NO, 0},
            {"ALWAYS", false, RESTART_NO, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_ERR struct err *e = NULL;
                struct restart_policy p;
                int r = restart_policy_parse(cases[i].text, &p, &e);

                if ((r >= 0) != cases[i].ok)
                        fail_msg("'%s': %d", cases[i].text, r);
                if (r >= 0 && (p.mode != cases[i].mode || p.max != cases[i].max))
                        fail_msg("'%s': %d %u", cases[i].text, (int)p.mode, p.max);
        }
}

static struct restart_policy from_text(const char *text)
{
        AUTO_JSON *o = NULL;

        assert_true(json_parse(text, strlen(text), "test", &o, NULL) >= 0);
        return restart_policy_from_config(o);
}

static void test_config(void **state)
{
        AUTO_JSON *config = json_object_new_object();
        struct restart_policy p = {RESTART_ON_FAILURE, 4};

        restart_policy_to_host_config(&p, json_object(config, "HostConfig"));
        p = restart_policy_from_config(config);
        assert_int_equal(p.mode, RESTART_ON_FAILURE);
        assert_int_equal(p.max, 4);
        p = from_text("{\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"always\"}}}");
        assert_int_equal(p.mode, RESTART_ALWAYS);
        assert_int_equal(from_text("{}").mode, RESTART_NO);
        assert_int_equal(from_text("{\"HostConfig\":{\"RestartPolicy\":null}}").mode, RESTART_NO);
        assert_int_equal(from_text("{\"HostConfig\":{\"RestartPolicy\":{\"Name\":7}}}").mode,
                         RESTART_NO);
        assert_int_equal(from_text("{\"HostConfig\":[]}").mode, RESTART_NO);
        assert_int_equal(restart_policy_from_config(NULL).mode, RESTART_NO);
}

static void test_wants(void **state)
{
        const struct restart_policy always = {RESTART_ALWAYS, 0}, thrice = {RESTART_ON_FAILURE, 3},
                                    failing = {RESTART_ON_FAILURE, 0}, no = {RESTART_NO, 0};

        assert_true(restart_policy_wants(&always, 0, 1000));
        assert_false(restart_policy_wants(&failing, 0, 0));
        assert_true(restart_policy_wants(&failing, 1, 1000));
        assert_true(restart_policy_wants(&thrice, 1, 2));
        assert_false(restart_policy_wants(&thrice, 1, 3));
        assert_false(restart_policy_wants(&no, 1, 0));
}

static void test_pause(void **state)
{
        const int64_t s = 1000000000;
        uint64_t pause = 0;

        pause = restart_pause_ns(pause, 0);
        assert_int_equal(pause, 100000000);
        pause = restart_pause_ns(pause, 9 * s);
        assert_int_equal(pause, 200000000);
        for (int i = 0; i < 100; i++)
                pause = restart_pause_ns(pause, 0);
        assert_int_equal(pause, 60 * s);
        assert_int_equal(restart_pause_ns(pause, 10 * s), 100000000);
        /* A clock that was set back. */
        assert_int_equal(restart_pause_ns(100000000, -s), 200000000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_parse),
            cmocka_unit_test(test_config),
            cmocka_unit_test(test_wants),
            cmocka_unit_test(test_pause),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
