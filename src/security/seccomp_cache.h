/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * seccomp_cache — the file format of compiled filters, shared by the monitor that reads them and kelp-seccomp that writes.
 *
 * A file is: struct seccomp_cache_header, the key (a string without NUL, readable), the instructions.
 */
#include "security/filter.h"

#include <stdint.h>

#define SECCOMP_CACHE_MAGIC    "kelpbpf2"
#define SECCOMP_CACHE_KEY_MAX  8192
#define SECCOMP_CACHE_NAME_MAX 32
#define SECCOMP_INSNS_MAX      4096 /* BPF_MAXINSNS: more the kernel does not take */

struct seccomp_cache_header {
        char magic[8];
        uint32_t key_len, n_insns, flags, zero;
        uint64_t
            checksum; /* FNV-1a over key and instructions: finds damage, not malice; malice is the owner check's job */
};

uint64_t seccomp_cache_hash(uint64_t hash, const void *data, size_t n);
#define SECCOMP_CACHE_HASH_INIT UINT64_C(0xcbf29ce484222325)
/* "seccomp-<hash of the key>" */
void seccomp_cache_name(const char *key, char name[SECCOMP_CACHE_NAME_MAX]);
/* The whole identity of a compiled filter: profile (path, device, inode, size, times), capabilities, machine, kernel release, our
 * version, libseccomp. Caller owns. */
int seccomp_cache_key(const char *profile, uint64_t caps, char **ret, struct err **reterr);
/* The same of a profile that is no file: its content. */
int seccomp_cache_key_text(const char *text, size_t len, char **ret, struct err **reterr);
/* 0, or -errno: -ENOENT for a miss of any kind. */
int seccomp_cache_read(int cache_fd, const char *key, struct seccomp_filter *ret);
int seccomp_cache_write(int cache_fd, const char *key, const struct seccomp_filter *f,
                        struct err **reterr);
