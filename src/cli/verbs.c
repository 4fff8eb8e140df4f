/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs in the order in which --help shows them. */
#include "cli/verbs.h"

const struct verb *const verbs_container[] = {
    &verb_run_container,
    &verb_create,
    &verb_start,
    &verb_stop,
    &verb_restart,
    &verb_kill,
    &verb_rm,
    &verb_ps,
    &verb_exec,
    &verb_attach,
    &verb_logs,
    &verb_wait,
    &verb_rename,
    &verb_update,
    &verb_diff,
    &verb_commit,
    &verb_export,
    &verb_cp,
    &verb_inspect,
    &verb_port,
    &verb_container_inspect,
    &verb_container_prune,
    &verb_pod_create,
    &verb_pod_ps,
    &verb_pod_inspect,
    &verb_pod_exists,
    &verb_pod_start,
    &verb_pod_stop,
    &verb_pod_restart,
    &verb_pod_kill,
    &verb_pod_rm,
    &verb_pod_prune,
    NULL,
};

const struct verb *const verbs_system[] = {
    &verb_volume_create, &verb_volume_exists,  &verb_volume_export,
    &verb_volume_import, &verb_volume_inspect, &verb_volume_ls,
    &verb_volume_prune,  &verb_volume_rm,      &verb_secret_create,
    &verb_secret_exists, &verb_secret_inspect, &verb_secret_ls,
    &verb_secret_rm,     &verb_system_df,      &verb_system_prune,
    &verb_events,        &verb_info,           &verb_doctor,
    &verb_version,       &verb_completion,     NULL,
};
