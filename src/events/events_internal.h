/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* events_internal — names of the files, for those who write and who read them. */
#define EVENTS_DIR "events"
#define EVENTS_LOG "log"
