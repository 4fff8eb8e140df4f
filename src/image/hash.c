/* SPDX-License-Identifier: Apache-2.0 */
#include "image/hash.h"

#include "base/alloc.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

struct hash {
        EVP_MD_CTX *ctx;
};

/* Fails only for want of memory, or when the library was built without sha256. */
static void must(int ok)
{
        if (ok != 1)
                abort();
}

struct hash *hash_new(void)
{
        struct hash *h = xnew(struct hash);

        h->ctx = EVP_MD_CTX_new();
        must(h->ctx != NULL);
        must(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL));
        return h;
}

void hash_add(struct hash *h, const void *data, size_t n)
{
        must(EVP_DigestUpdate(h->ctx, data, n));
}

void hash_end(struct hash *h, char ret[HASH_DIGEST_SIZE])
{
        unsigned char md[EVP_MAX_MD_SIZE];
        unsigned len = 0;

        must(EVP_DigestFinal_ex(h->ctx, md, &len));
        memcpy(ret, "sha256:", 7);
        for (unsigned i = 0; i < 32; i++)
                (void)snprintf(ret + 7 + 2 * i, 3, "%02x", md[i]);
}

struct hash *hash_free(struct hash *h)
{
        if (!h)
                return NULL;
        EVP_MD_CTX_free(h->ctx);
        free(h);
        return NULL;
}

void hash_bytes(const void *data, size_t n, char ret[HASH_DIGEST_SIZE])
{
        AUTO(hash_freep) struct hash *h = hash_new();

        hash_add(h, data, n);
        hash_end(h, ret);
}
