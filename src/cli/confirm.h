/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* confirm — the question before something is removed that was not named. */
#include <stdbool.h>

/* Prints "WARNING! " and @warning, asks, and reads a line from standard input, a terminal or not: true for "y" or "yes". The end of the
 * input is no. */
bool confirm(const char *warning);
