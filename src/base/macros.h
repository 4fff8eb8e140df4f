/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * macros — scope-bound cleanup and ownership transfer, after the vocabulary of docs/style.
 *
 * DEFINE_CLEANUP(struct x *, x_free) makes x_freep(), to be used as AUTO(x_freep) struct x *p = NULL;
 * The destructor takes NULL, and returns NULL of the same type.
 */
#include <stddef.h>

/* unused: clang warns of variables that are there for their cleanup only. */
#define AUTO(fn) __attribute__((cleanup(fn), unused))
#define DEFINE_CLEANUP(type, fn)                                                                   \
        static inline void fn##p(type *p)                                                          \
        {                                                                                          \
                if (*p)                                                                            \
                        (void)fn(*p);                                                              \
        }                                                                                          \
        struct macros_require_semicolon

#define ARRAY_SIZE(a)          (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_USE               __attribute__((warn_unused_result))
#define UNUSED                 __attribute__((unused))
#define NORETURN               __attribute__((noreturn))

/* Hand over what an AUTO variable owns: the variable is left empty. */
#define TAKE_PTR(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) take_ptr_ = (p);                                                     \
                (p) = NULL;                                                                        \
                take_ptr_;                                                                         \
        })
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int take_fd_ = (fd);                                                               \
                (fd) = -EBADF;                                                                     \
                take_fd_;                                                                          \
        })
#define MIN(a, b)                                                                                  \
        ({                                                                                         \
                __typeof__(a) min_a_ = (a);                                                        \
                __typeof__(b) min_b_ = (b);                                                        \
                min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
        })
#define MAX(a, b)                                                                                  \
        ({                                                                                         \
                __typeof__(a) max_a_ = (a);                                                        \
                __typeof__(b) max_b_ = (b);                                                        \
                max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
        })
