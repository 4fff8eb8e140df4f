/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/str.h"
#include "monitor/frame.h"

#include <arpa/inet.h>
#include <errno.h>

static int note(enum attach_type type, const uint8_t *data, size_t n, void *arg)
{
        struct strbuf *b = arg;

        strbuf_addf(b, "%d:", (int)type);
        strbuf_add_len(b, data, n);
        strbuf_add(b, ";");
        return 0;
}

static void add_frame(struct strbuf *b, enum attach_type type, const void *data, size_t n)
{
        struct attach_frame f;

        frame_head(&f, type, (uint32_t)n);
        strbuf_add_len(b, &f, sizeof(f));
        strbuf_add_len(b, data, n);
}

/* Control frames are whole however the bytes are cut; data comes in order. */
static void test_fragments(void **state)
{
        AUTO_STRBUF in = {0};

        add_frame(&in, ATTACH_STDIN, "hello", 5);
        add_frame(&in, ATTACH_RESIZE, "abcd", 4);
        add_frame(&in, ATTACH_STDIN, "", 0);
        add_frame(&in, ATTACH_STDIN_EOF, "", 0);
        for (size_t step = 1; step <= in.len; step++) {
                struct frame_reader r = {0};
                AUTO_STRBUF out = {0}, data = {0};

                for (size_t i = 0; i < in.len; i += step)
                        assert_int_equal(
                            frame_feed(&r, in.data + i, MIN(step, in.len - i), note, &out), 0);
                assert_non_null(strstr(out.data, "4:abcd;3:;"));
                for (const char *p = out.data; *p != '4'; p++) {
                        if (*p >= 'a' && *p <= 'z')
                                strbuf_add_len(&data, p, 1);
                }
                assert_string_equal(data.data, "hello");
        }
}

static void test_hostile(void **state)
{
        static const uint8_t bad[][8] = {
            {99, 0, 0, 0, 0, 0, 0, 1},                       /* unknown type */
            {ATTACH_STDIN, 1, 0, 0, 0, 0, 0, 1},             /* not zero */
            {ATTACH_STDIN, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, /* too long */
            {ATTACH_RESIZE, 0, 0, 0, 0, 0, 1, 0},            /* too long for its type */
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct frame_reader r = {0};
                AUTO_STRBUF out = {0};

                assert_int_equal(frame_feed(&r, bad[i], 8, note, &out), -EPROTO);
                assert_int_equal(out.len, 0);
        }
}

static int refuse(enum attach_type type, const uint8_t *data, size_t n, void *arg)
{
        return -EPIPE;
}

static void test_callback_ends(void **state)
{
        AUTO_STRBUF in = {0};
        struct frame_reader r = {0};

        add_frame(&in, ATTACH_STDOUT, "x", 1);
        assert_int_equal(frame_feed(&r, in.data, in.len, refuse, NULL), -EPIPE);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_fragments),
            cmocka_unit_test(test_hostile),
            cmocka_unit_test(test_callback_ends),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
