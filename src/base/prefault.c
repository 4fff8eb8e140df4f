/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prefault.h"

#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

#define PAGE          4096UL /* larger pages: the calls fail, and there are fewer faults anyway */
#define PREFAULT_HEAP (256UL * 1024)

/* The linker's: where the program begins, its text, its variables, and where they end. */
extern const char __executable_start[], etext[], end[];
extern char data_start[];

static void populate(uintptr_t from, uintptr_t to, int advice)
{
        from &= ~(PAGE - 1);
        to = (to + PAGE - 1) & ~(PAGE - 1);
        if (from < to)
                (void)syscall(SYS_madvise, from, to - from, advice);
}

void prefault_child(void)
{
        populate((uintptr_t)__executable_start, (uintptr_t)etext, MADV_POPULATE_READ);
}

/* What malloc took from the kernel for the first allocation. Another allocator has its memory elsewhere: nothing is done then. */
static void populate_heap(void)
{
        void *first = xmalloc(1);
        uintptr_t from = (uintptr_t)first, to = (uintptr_t)sbrk(0);

        if (from < to && to - from <= PREFAULT_HEAP)
                populate(from, to, MADV_POPULATE_WRITE);
        free(first);
}

void prefault_program(void)
{
        prefault_child();
        populate((uintptr_t)data_start, (uintptr_t)end, MADV_POPULATE_WRITE);
        populate_heap();
}
