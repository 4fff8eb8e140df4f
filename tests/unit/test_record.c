/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "monitor/record.h"

static void test_run(void **state)
{
        AUTO_ERR struct err *e = NULL;
        struct run_record a = {.process = {12, 345, "boot"},
                               .monitor = {6, 789, "boot"},
                               .started_ns = 1767225600123456789,
                               .restarts = 3,
                               .last_code = 255,
                               .mount_ns = 4026531840};
        struct run_record b;
        int dir = unit_dir(state);

        assert_int_equal(run_record_read(dir, &b, &e), 0);
        assert_ok(run_record_write(dir, &a, &e), e);
        assert_int_equal(run_record_read(dir, &b, &e), 1);
        assert_int_equal(b.process.pid, 12);
        assert_int_equal(b.process.start_time, 345);
        assert_string_equal(b.process.boot_id, "boot");
        assert_int_equal(b.monitor.start_time, 789);
        assert_true(b.started_ns == a.started_ns);
        assert_int_equal(b.mount_ns, a.mount_ns);
        assert_int_equal(b.restarts, 3);
        assert_int_equal(b.last_code, 255);
}

static void test_exit(void **state)
{
        AUTO_ERR struct err *e = NULL;
        struct exit_record a = {.code = 3,
                                .oom = true,
                                .error = (char[]){"why \"so\""},
                                .started_ns = 1,
                                .finished_ns = 2000000001,
                                .restarts = 4,
                                .restarting = true};
        struct exit_record b;
        int dir = unit_dir(state);
        AUTO_CLOSE int lock = -EBADF;

        assert_ok(exit_record_write(dir, &a, true, &e), e);
        assert_int_equal(exit_record_read(dir, &b, &e), 1);
        assert_int_equal(b.code, 3);
        assert_true(b.oom);
        assert_string_equal(b.error, a.error);
        assert_true(b.started_ns == 1 && b.finished_ns == 2000000001);
        assert_true(b.restarting && b.restarts == 4);
        exit_record_release(&b);

        /* In the lock file it outlives the file's name. */
        unit_write(dir, "lock", "");
        lock = openat(dir, "lock", O_RDONLY | O_CLOEXEC);
        assert_int_equal(exit_record_read_lock(lock, &b, &e), 0);
        assert_ok(exit_record_write_lock(dir, &a, &e), e);
        assert_int_equal(unlinkat(dir, "lock", 0), 0);
        assert_int_equal(lseek(lock, 0, SEEK_SET), 0);
        assert_int_equal(exit_record_read_lock(lock, &b, &e), 1);
        assert_int_equal(b.code, 3);
        exit_record_release(&b);
}

static void test_damage(void **state)
{
        static const char *const bad[] = {"",
                                          "{",
                                          "[]",
                                          ("{\"code\":256,\"started\":\"0001-01-01T00:00:00Z\","
                                           "\"finished\":\"0001-01-01T00:00:00Z\"}"),
                                          "{\"code\":1,\"started\":\"x\",\"finished\":\"x\"}",
                                          "{\"code\":-1,\"started\":\"\",\"finished\":\"\"}"};
        static const char *const bad_run[] = {
            "{}",
            "{\"process\":{\"pid\":0,\"start\":1},\"monitor\":{\"pid\":1,\"start\":1},\"boot\":"
            "\"\",\"started\":\"0001-01-01T00:00:00Z\"}",
            "{\"process\":{\"pid\":99999999999,\"start\":1},\"monitor\":{\"pid\":1,\"start\":1},"
            "\"boot\":\"\",\"started\":\"0001-01-01T00:00:00Z\"}",
            "{\"process\":{\"pid\":1,\"start\":1},\"monitor\":{\"pid\":1,\"start\":1},\"boot\":"
            "\"0123456789012345678901234567890123456789\",\"started\":\"0001-01-01T00:00:00Z\"}"};
        struct exit_record x;
        struct run_record r;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                AUTO_ERR struct err *e = NULL;

                assert_true(exit_record_parse(bad[i], strlen(bad[i]), &x, &e) < 0);
                assert_int_equal(err_kind(e), ERR_INVALID);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad_run); i++) {
                AUTO_ERR struct err *e = NULL;

                assert_true(run_record_parse(bad_run[i], strlen(bad_run[i]), &r, &e) < 0);
                assert_int_equal(err_kind(e), ERR_INVALID);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            unit_test_dir(test_run),
            unit_test_dir(test_exit),
            unit_test_dir(test_damage),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
