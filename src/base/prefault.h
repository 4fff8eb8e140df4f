/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * prefault — a short-lived program's pages in a few calls instead of one exception each.
 *
 * A page fault costs half a microsecond on bare metal and ten in a virtual machine, and a start of ours took two hundred of them; the same
 * pages brought in together cost a thirtieth. Only a matter of speed: a kernel that cannot (before 5.14) goes on as before.
 *
 * Process: prefault_program() first thing in main; prefault_child() after a clone, raw system calls only.
 */

/* Text, data and the first of the heap. */
void prefault_program(void);
/* Text only: a clone starts without the page table entries of files. */
void prefault_child(void);
