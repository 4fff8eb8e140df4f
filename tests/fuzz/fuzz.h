/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* fuzz — the entry point of a target, as libFuzzer and replay_main.c call it. Returns 0. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
