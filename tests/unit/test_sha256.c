/* SPDX-License-Identifier: Apache-2.0 */
/* The standard's own examples, and every place where the padding may fall. */
#include "unit.h"

#include "base/sha256.h"

#include <stdio.h>
#include <string.h>

static void check(const char *text, const char *wanted)
{
        unsigned char sum[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        struct sha256 s;

        sha256_init(&s);
        sha256_add(&s, text, strlen(text));
        sha256_end(&s, sum);
        for (unsigned i = 0; i < SHA256_SIZE; i++)
                (void)snprintf(hex + (size_t)2 * i, 3, "%02x", sum[i]);
        assert_string_equal(hex, wanted);
}

static void test_examples(void **state)
{
        check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* The digest of the digests of "", "a", "aa", … of 0 to 299 letters, added in pieces of two sizes; from another implementation. */
static void test_lengths(void **state)
{
        unsigned char sum[SHA256_SIZE], wanted[SHA256_SIZE];
        struct sha256 all, one;
        char text[300];

        memset(text, 'a', sizeof(text));
        sha256_init(&all);
        for (size_t n = 0; n < sizeof(text); n++) {
                sha256_init(&one);
                sha256_add(&one, text, n / 3);
                sha256_add(&one, text, n - n / 3);
                sha256_end(&one, sum);
                sha256_add(&all, sum, sizeof(sum));
        }
        sha256_end(&all, sum);
        for (unsigned i = 0; i < SHA256_SIZE; i++) {
                static const char hex[] =
                    "80e953e3b006c4bab43fd5d792f8bd29c122f6cf1497318365fe66bf2d61398d";
                unsigned byte = 0;

                assert_int_equal(sscanf(hex + (size_t)2 * i, "%2x", &byte), 1);
                wanted[i] = (unsigned char)byte;
        }
        assert_memory_equal(sum, wanted, sizeof(sum));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_examples),
            cmocka_unit_test(test_lengths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
