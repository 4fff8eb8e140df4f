/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * profile_names — the words of a seccomp profile: what profile.c knows is what "features" of kelp-oci lists, which has no libseccomp. X(name,
 * libseccomp's value, …); who wants the names alone takes the first.
 */
#define PROFILE_ACTIONS(X)                                                                         \
        X("SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, DATUM_NONE)                                            \
        X("SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), DATUM_ERRNO)                                        \
        X("SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, DATUM_NONE)                                       \
        X("SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, DATUM_NONE)                                \
        X("SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, DATUM_NONE)                              \
        X("SCMP_ACT_TRAP", SCMP_ACT_TRAP, DATUM_NONE)                                              \
        X("SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), DATUM_TRACE)                                        \
        X("SCMP_ACT_LOG", SCMP_ACT_LOG, DATUM_NONE)                                                \
        X("SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, DATUM_NONE)

#define PROFILE_COMPARISONS(X)                                                                     \
        X("SCMP_CMP_NE", SCMP_CMP_NE)                                                              \
        X("SCMP_CMP_LT", SCMP_CMP_LT)                                                              \
        X("SCMP_CMP_LE", SCMP_CMP_LE)                                                              \
        X("SCMP_CMP_EQ", SCMP_CMP_EQ)                                                              \
        X("SCMP_CMP_GE", SCMP_CMP_GE)                                                              \
        X("SCMP_CMP_GT", SCMP_CMP_GT)                                                              \
        X("SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ)

/* TSYNC needs nothing: one thread loads the filter. */
#define PROFILE_FLAGS(X)                                                                           \
        X("SECCOMP_FILTER_FLAG_TSYNC", 0)                                                          \
        X("SECCOMP_FILTER_FLAG_LOG", FILTER_FLAG_LOG)                                              \
        X("SECCOMP_FILTER_FLAG_SPEC_ALLOW", FILTER_FLAG_SPEC_ALLOW)                                \
        X("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", FILTER_FLAG_WAIT_KILLABLE_RECV)

/* Those of the specification: libseccomp finds their numbers by the name. */
#define PROFILE_ARCHES(X)                                                                          \
        X("SCMP_ARCH_X86")                                                                         \
        X("SCMP_ARCH_X86_64")                                                                      \
        X("SCMP_ARCH_X32")                                                                         \
        X("SCMP_ARCH_ARM")                                                                         \
        X("SCMP_ARCH_AARCH64")                                                                     \
        X("SCMP_ARCH_MIPS")                                                                        \
        X("SCMP_ARCH_MIPS64")                                                                      \
        X("SCMP_ARCH_MIPS64N32")                                                                   \
        X("SCMP_ARCH_MIPSEL")                                                                      \
        X("SCMP_ARCH_MIPSEL64")                                                                    \
        X("SCMP_ARCH_MIPSEL64N32")                                                                 \
        X("SCMP_ARCH_PPC")                                                                         \
        X("SCMP_ARCH_PPC64")                                                                       \
        X("SCMP_ARCH_PPC64LE")                                                                     \
        X("SCMP_ARCH_S390")                                                                        \
        X("SCMP_ARCH_S390X")                                                                       \
        X("SCMP_ARCH_PARISC")                                                                      \
        X("SCMP_ARCH_PARISC64")                                                                    \
        X("SCMP_ARCH_RISCV64")
