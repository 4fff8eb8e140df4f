/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/fd.h"
#include "base/str.h"
#include "logs/logs.h"
#include "logs/logs_internal.h"

#include <signal.h>
#include <sys/mman.h>

/* Everything that was read, both streams in order. */
struct sink {
        struct strbuf text;
        struct strbuf err;
};

static int take(enum log_stream s, const void *data, size_t n, void *arg)
{
        struct sink *k = arg;

        strbuf_add_len(&k->text, data, n);
        if (s == LOG_STDERR)
                strbuf_add_len(&k->err, data, n);
        return 0;
}

static void sink_release(struct sink *k)
{
        strbuf_release(&k->text);
        strbuf_release(&k->err);
}

static struct log_writer *writer(int dir, enum log_driver d, uint64_t max_size, uint32_t max_file)
{
        struct log_options o = {.max_size = max_size, .max_file = max_file};
        AUTO_ERR struct err *e = NULL;
        struct log_writer *w = NULL;

        assert_ok(log_writer_new(dir, d, &o, &w, &e), e);
        return w;
}

static void read_all(int dir, enum log_driver d, int64_t tail, struct sink *k)
{
        struct log_read_opts o = {.tail = tail};
        AUTO_ERR struct err *e = NULL;

        *k = (struct sink){0};
        assert_ok(log_read(dir, d, &o, take, k, &e), e);
}

static void expect(int dir, enum log_driver d, int64_t tail, const char *want)
{
        struct sink k;

        read_all(dir, d, tail, &k);
        assert_string_equal(k.text.data ? k.text.data : "", want);
        sink_release(&k);
}

static const enum log_driver both[] = {LOG_JSON_FILE, LOG_K8S_FILE};

/* Bytes in, the same bytes out, however they arrive. */
static void test_round_trip(void **state)
{
        static const char text[] =
            "one\n\ntwo \"quoted\" \\ <&> \t\r\n\x01\x7f \xc3\xa9 \xe2\x80\xa8"
            " \xf0\x9f\x98\x80\nno newline at the end";

        for (size_t d = 0; d < 2; d++) {
                for (size_t step = 1; step < sizeof(text); step += 5) {
                        int dir = unit_dir(state);
                        AUTO(log_writer_freep) struct log_writer *w = NULL;

                        (void)unlinkat(dir, "container.log", 0);
                        w = writer(dir, both[d], 0, 3);
                        for (size_t i = 0; i < sizeof(text) - 1; i += step)
                                log_writer_write(w, LOG_STDOUT, text + i,
                                                 MIN(step, sizeof(text) - 1 - i));
                        log_writer_flush(w);
                        expect(dir, both[d], -1, text);
                }
        }
}

static void test_docker_format(void **state)
{
        int dir = unit_dir(state);
        AUTO(log_writer_freep) struct log_writer *w = writer(dir, LOG_JSON_FILE, 0, 3);
        AUTO_FREE char *text = NULL;
        static const char head[] =
            "{\"log\":\"a\\\"\\\\\\u003cb\\u003e\\u0026\\u0009\\r\\u2028\\ufffd\\n\",\"stream\":"
            "\"stderr\",\"time\":\"";

        log_writer_write(w, LOG_STDERR, "a\"\\<b>&\t\r\xe2\x80\xa8\xff\n", 14);
        text = unit_read(dir, "container.log");
        assert_memory_equal(text, head, sizeof(head) - 1);
        assert_true(str_ends(text, "Z\"}\n"));
}

static void test_k8s_format(void **state)
{
        int dir = unit_dir(state);
        AUTO(log_writer_freep) struct log_writer *w = writer(dir, LOG_K8S_FILE, 0, 3);
        AUTO_FREE char *text = NULL;

        log_writer_write(w, LOG_STDOUT, "full\npart", 9);
        log_writer_flush(w);
        text = unit_read(dir, "container.log");
        assert_non_null(strstr(text, "Z stdout F full\n"));
        assert_non_null(strstr(text, "Z stdout P part\n"));
}

/* Any byte is kept by k8s-file; json-file replaces what is no UTF-8, byte by byte. */
static void test_bytes(void **state)
{
        char all[256];
        struct sink k;

        for (int i = 0; i < 256; i++)
                all[i] = (char)(i == '\n' ? 'n' : i);
        for (size_t d = 0; d < 2; d++) {
                int dir = unit_dir(state);
                AUTO(log_writer_freep) struct log_writer *w = writer(dir, both[d], 0, 3);

                log_writer_write(w, LOG_STDOUT, all, sizeof(all));
                log_writer_write(w, LOG_STDOUT, "\n", 1);
                read_all(dir, both[d], -1, &k);
                if (both[d] == LOG_K8S_FILE) {
                        assert_int_equal(k.text.len, 257);
                        assert_memory_equal(k.text.data, all, 256);
                } else {
                        assert_int_equal(k.text.len, 128 + 128 * 3 + 1);
                        assert_memory_equal(k.text.data, all, 128);
                        assert_memory_equal(k.text.data + 128, "\xef\xbf\xbd\xef\xbf\xbd", 6);
                }
                sink_release(&k);
                (void)unlinkat(dir, "container.log", 0);
        }
}

/* A piece of 16 KiB never cuts a character in two. */
static void test_long_lines(void **state)
{
        for (size_t d = 0; d < 2; d++) {
                int dir = unit_dir(state);
                AUTO(log_writer_freep) struct log_writer *w = writer(dir, both[d], 0, 3);
                AUTO_STRBUF line = {0};
                struct sink k;

                strbuf_add(&line, "x");
                while (line.len < 100000)
                        strbuf_add(&line, "\xf0\x9f\x98\x80");
                strbuf_add(&line, "\nnext\n");
                log_writer_write(w, LOG_STDOUT, line.data, line.len);
                read_all(dir, both[d], -1, &k);
                assert_int_equal(k.text.len, line.len);
                assert_memory_equal(k.text.data, line.data, line.len);
                sink_release(&k);
                /* The long line is one line. */
                expect(dir, both[d], 1, "next\n");
                read_all(dir, both[d], 2, &k);
                assert_int_equal(k.text.len, line.len);
                sink_release(&k);
                (void)unlinkat(dir, "container.log", 0);
        }
}

static void write_lines(struct log_writer *w, int from, int to)
{
        char text[32];

        for (int i = from; i < to; i++) {
                int n = snprintf(text, sizeof(text), "line %d\n", i);

                log_writer_write(w, i % 3 ? LOG_STDOUT : LOG_STDERR, text, (size_t)n);
        }
}

static void test_rotation(void **state)
{
        for (size_t d = 0; d < 2; d++) {
                int dir = unit_dir(state);
                AUTO(log_writer_freep) struct log_writer *w = writer(dir, both[d], 4096, 3);
                struct stat st;
                struct sink k;
                char last[32];

                write_lines(w, 0, 1000);
                assert_int_equal(fstatat(dir, "container.log", &st, 0), 0);
                assert_true(st.st_size <= 4096);
                assert_int_equal(fstatat(dir, "container.log.2", &st, 0), 0);
                assert_true(st.st_size <= 4096 && st.st_size > 2048);
                assert_int_equal(fstatat(dir, "container.log.3", &st, 0), -1);
                /* What is left is a gapless end. */
                read_all(dir, both[d], -1, &k);
                (void)snprintf(last, sizeof(last), "line %d\n", 999);
                assert_true(str_ends(k.text.data, last));
                for (int i = 999, seen = 0;; i--, seen++) {
                        (void)snprintf(last, sizeof(last), "line %d\n", i);
                        if (!strstr(k.text.data, last)) {
                                assert_true(seen > 80);
                                assert_true(str_starts(k.text.data, "line "));
                                assert_int_equal(atoi(k.text.data + 5), i + 1);
                                break;
                        }
                }
                sink_release(&k);
                for (int i = 0; i < 3; i++) {
                        char name[LINE_FILE_NAME_MAX];

                        (void)unlinkat(dir, line_file_name(LOG_FILE_NAME, (unsigned)i, name), 0);
                }
        }
}

static void test_one_file(void **state)
{
        int dir = unit_dir(state);
        AUTO(log_writer_freep) struct log_writer *w = writer(dir, LOG_JSON_FILE, 4096, 1);
        struct sink k;
        struct stat st;

        write_lines(w, 0, 500);
        assert_int_equal(fstatat(dir, "container.log.1", &st, 0), -1);
        read_all(dir, LOG_JSON_FILE, -1, &k);
        assert_true(str_ends(k.text.data, "line 499\n"));
        sink_release(&k);
}

/* Across files, and without reading what is not wanted. */
static void test_tail(void **state)
{
        for (size_t d = 0; d < 2; d++) {
                int dir = unit_dir(state);
                AUTO(log_writer_freep) struct log_writer *w = writer(dir, both[d], 4096, 5);
                AUTO_STRBUF want = {0};

                expect(dir, both[d], 5, ""); /* no file yet */
                write_lines(w, 0, 200);
                expect(dir, both[d], 0, "");
                expect(dir, both[d], 1, "line 199\n");
                for (int i = 100; i < 200; i++)
                        strbuf_addf(&want, "line %d\n", i);
                expect(dir, both[d], 100, want.data);
                log_writer_write(w, LOG_STDOUT, "unfinished", 10);
                log_writer_flush(w);
                expect(dir, both[d], 1, "unfinished");
                expect(dir, both[d], 2, "line 199\nunfinished");
                for (int i = 0; i < 5; i++) {
                        char name[LINE_FILE_NAME_MAX];

                        (void)unlinkat(dir, line_file_name(LOG_FILE_NAME, (unsigned)i, name), 0);
                }
        }
}

static void test_times(void **state)
{
        static const char text[] =
            "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:01Z\"}\n"
            "{\"log\":\"b\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:02.5Z\"}\n"
            "{\"log\":\"c\\n\",\"stream\":\"stdout\",\"attrs\":{\"tag\":\"t\"},\"time\":\"2026-01-"
            "01T00:00:03Z\"}\n"
            "{\"log\":\"d\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-01T00:00:04Z\"}\n";
        int dir = unit_dir(state);
        int64_t second = 1767225600; /* 2026-01-01 */
        struct log_read_opts o = {.tail = -1, .timestamps = true};
        AUTO_ERR struct err *e = NULL;
        struct sink k = {0};

        unit_write(dir, "container.log", text);
        o.since_ns = (second + 2) * 1000000000;
        o.until_ns = (second + 3) * 1000000000;
        assert_ok(log_read(dir, LOG_JSON_FILE, &o, take, &k, &e), e);
        /* One time per line, not per piece. */
        assert_string_equal(k.text.data, "2026-01-01T00:00:02.500000000Z bc\n");
        sink_release(&k);
}

/* What is damaged is left out, what follows is not. */
static void test_damage(void **state)
{
        static const char text[] =
            "not json\n"
            "{\"log\":\"torn\n"
            "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"extra\":[{\"x\":\"}\"}],\"time\":\"2026-01-"
            "01T00:00:01Z\"}\n"
            "\n"
            "{\"log\":\"bad time\",\"stream\":\"stdout\",\"time\":\"yesterday\"}\n"
            "{\"stream\":\"stdout\",\"log\":\"b\\ud83d\\ude00\\ud800\\n\",\"time\":\"2026-01-01T00:"
            "00:01Z\"}\n"
            "{\"log\":\"unfinished";
        int dir = unit_dir(state);
        AUTO(log_writer_freep) struct log_writer *w = NULL;

        unit_write(dir, "container.log", text);
        expect(dir, LOG_JSON_FILE, -1, "a\nb\xf0\x9f\x98\x80\xef\xbf\xbd\n");
        expect(dir, LOG_JSON_FILE, 1, "b\xf0\x9f\x98\x80\xef\xbf\xbd\n");
        /* A new writer does not append to the torn line. */
        w = writer(dir, LOG_JSON_FILE, 0, 3);
        log_writer_write(w, LOG_STDOUT, "new\n", 4);
        expect(dir, LOG_JSON_FILE, 1, "new\n");
}

static bool still_alive(void *arg)
{
        return *(volatile int *)arg;
}

/* A follower sees every line once, while a writer rotates under it. */
static void test_follow(void **state)
{
        for (size_t d = 0; d < 2; d++) {
                int dir = unit_dir(state);
                int *alive = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                struct log_read_opts o = {
                    .tail = -1, .follow = true, .alive = still_alive, .arg = alive};
                AUTO_ERR struct err *e = NULL;
                AUTO_STRBUF want = {0};
                struct sink k = {0};
                pid_t pid;

                *alive = 1;
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        struct log_writer *w = writer(dir, both[d], 16384, 50);

                        for (int i = 0; i < 3000; i += 100) {
                                write_lines(w, i, i + 100);
                                (void)usleep(500);
                        }
                        *alive = 0;
                        _exit(0);
                }
                assert_ok(log_read(dir, both[d], &o, take, &k, &e), e);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                for (int i = 0; i < 3000; i++)
                        strbuf_addf(&want, "line %d\n", i);
                assert_int_equal(k.text.len, want.len);
                assert_string_equal(k.text.data, want.data);
                sink_release(&k);
                (void)munmap(alive, sizeof(int));
                for (int i = 0; i < 50; i++) {
                        char name[LINE_FILE_NAME_MAX];

                        (void)unlinkat(dir, line_file_name(LOG_FILE_NAME, (unsigned)i, name), 0);
                }
        }
}

static void test_options(void **state)
{
        AUTO_ERR struct err *e = NULL;
        struct log_options o;
        enum log_driver d;
        char *good[] = {(char[]){"max-size=1m"}, (char[]){"max-file=5"}, NULL};
        char *bad_size[] = {(char[]){"max-size=lots"}, NULL};
        char *bad_key[] = {(char[]){"colour=red"}, NULL};
        char *tag[] = {(char[]){"tag=t"}, NULL};

        assert_ok(log_driver_parse(NULL, &d, &e), e);
        assert_int_equal(d, LOG_JSON_FILE);
        assert_failed(log_driver_parse("syslog", &d, &e), e, ERR_USAGE, "'syslog'");
        assert_ok(log_options_parse(LOG_JSON_FILE, good, &o, &e), e);
        assert_int_equal(o.max_size, 1024 * 1024);
        assert_int_equal(o.max_file, 5);
        log_options_release(&o);
        assert_failed(log_options_parse(LOG_JSON_FILE, bad_size, &o, &e), e, ERR_USAGE, "'lots'");
        assert_failed(log_options_parse(LOG_JSON_FILE, bad_key, &o, &e), e, ERR_USAGE, "'colour'");
        assert_ok(log_options_parse(LOG_JSON_FILE, tag, &o, &e), e);
        assert_string_equal(o.tag, "t");
        log_options_release(&o);
        /* Its format has no place for one. */
        assert_failed(log_options_parse(LOG_K8S_FILE, tag, &o, &e), e, ERR_USAGE, "'tag'");
        assert_failed(log_options_parse(LOG_NONE, good, &o, &e), e, ERR_USAGE, "none");
        assert_failed(log_read(unit_dir(state), LOG_NONE, &(struct log_read_opts){.tail = -1}, take,
                               NULL, &e),
                      e, ERR_UNSUPPORTED, "'none'");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            unit_test_dir(test_round_trip), unit_test_dir(test_docker_format),
            unit_test_dir(test_k8s_format), unit_test_dir(test_bytes),
            unit_test_dir(test_long_lines), unit_test_dir(test_rotation),
            unit_test_dir(test_one_file),   unit_test_dir(test_tail),
            unit_test_dir(test_times),      unit_test_dir(test_damage),
            unit_test_dir(test_follow),     unit_test_dir(test_options),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
