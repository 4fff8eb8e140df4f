/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* verbs — the container and system verbs, one per cmd_*.c, for the lists in verbs.c. */
#include "cli/verb.h"

extern const struct verb verb_run_container, verb_create, verb_start, verb_stop, verb_restart,
    verb_kill, verb_rm, verb_ps, verb_exec, verb_attach, verb_logs, verb_wait, verb_inspect,
    verb_container_inspect, verb_rename, verb_update, verb_healthcheck_run;
extern const struct verb verb_commit, verb_cp, verb_diff, verb_export, verb_port, verb_top;
extern const struct verb verb_container_prune, verb_system_df, verb_system_prune;
extern const struct verb verb_volume_create, verb_volume_exists, verb_volume_export,
    verb_volume_inspect, verb_volume_import, verb_volume_ls, verb_volume_prune, verb_volume_rm;
extern const struct verb verb_secret_create, verb_secret_exists, verb_secret_inspect,
    verb_secret_ls, verb_secret_rm;
extern const struct verb verb_pod_create, verb_pod_exists, verb_pod_inspect, verb_pod_kill,
    verb_pod_logs, verb_pod_prune, verb_pod_ps, verb_pod_restart, verb_pod_rm, verb_pod_start,
    verb_pod_stop, verb_pod_top;
extern const struct verb verb_events, verb_info, verb_doctor, verb_unshare, verb_version,
    verb_completion;
extern const struct verb verb_history, verb_images, verb_image_inspect, verb_image_prune,
    verb_import, verb_load, verb_rmi, verb_save, verb_tag;
