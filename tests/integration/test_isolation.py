# SPDX-License-Identifier: Apache-2.0
"""inspect's Isolation: what it says of a running container is what /proc says of its process."""
import os
import re
import shutil

import pytest

NAMESPACES = {"UserNamespace": "user", "MountNamespace": "mnt", "PidNamespace": "pid", "NetworkNamespace": "net",
              "IpcNamespace": "ipc", "UtsNamespace": "uts", "CgroupNamespace": "cgroup", "TimeNamespace": "time"}
PROPERTIES = {*NAMESPACES, "Ids", "Capabilities", "NoNewPrivileges", "Seccomp", "Landlock", "SecurityLabels", "MaskedPaths",
              "ReadonlyPaths", "ReadOnlyRoot", "Storage", "Devices", "Terminal", "Limits"}


def start(kelp, image, *options, command=("/bin/probe", "pause")):
    kelp.ok("run", "-d", "--replace", "--name", "c", *options, image, *command)
    c = kelp.json("inspect", "c")[0]
    return c["Isolation"], c["State"]["Pid"]


def status(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return re.search(rf"^{name}:\s+(\S+)", f.read(), re.M).group(1)


def mounts(pid):
    with open(f"/proc/{pid}/mountinfo") as f:
        return {line.split()[4]: line.split()[5].split(",") for line in f}


def check_against_proc(isolation, pid):
    assert set(isolation) == PROPERTIES
    for key, name in NAMESPACES.items():
        apart = os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
        assert isolation[key]["State"] == ("enforced" if apart else "absent"), (key, isolation[key])
        assert isolation[key]["Observed"] is True and isolation[key]["Reason"]
    filters = int(status(pid, "Seccomp_filters")) > int(status("self", "Seccomp_filters"))
    assert isolation["Seccomp"]["State"] == ("enforced" if filters else "absent"), isolation["Seccomp"]
    assert isolation["NoNewPrivileges"]["State"] == ("enforced" if status(pid, "NoNewPrivs") == "1" else "absent")
    caps = bin(int(status(pid, "CapBnd"), 16)).count("1")
    total = int(open("/proc/sys/kernel/cap_last_cap").read()) + 1
    assert isolation["Capabilities"]["State"] == ("absent" if caps == total else "enforced")
    assert caps == total or f"{caps} of {total}" in isolation["Capabilities"]["Reason"]
    assert isolation["ReadOnlyRoot"]["State"] == ("enforced" if "ro" in mounts(pid)["/"] else "absent")
    assert isolation["MaskedPaths"]["State"] == ("enforced" if any(p in mounts(pid) for p in ("/proc/keys", "/proc/timer_list", "/sys/firmware")) else "absent")
    assert isolation["ReadonlyPaths"]["State"] == ("enforced" if "ro" in mounts(pid).get("/proc/sys", ["rw"]) else "absent")
    with open(f"/proc/{pid}/uid_map") as f:
        uids = sum(int(line.split()[2]) for line in f)
    assert isolation["Ids"]["State"] == ("emulated" if uids == 1 else "enforced")
    assert uids == 1 or str(uids) in isolation["Ids"]["Reason"]


@pytest.mark.parametrize("options", [
    [], ["--privileged"], ["--read-only", "--cap-drop", "ALL"], ["--network", "host", "--ipc", "host", "--uts", "host"],
    ["--pid", "host"], ["--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges=false"],
    ["--security-opt", "systempaths=unconfined"], ["--userns", "host"], ["--userns", "keep-id"], ["--cap-add", "ALL"],
], ids=" ".join)
def test_it_is_what_the_process_has(kelp, probe, options):
    isolation, pid = start(kelp, probe, *options)
    check_against_proc(isolation, pid)


def test_defaults(kelp, probe):
    isolation, _ = start(kelp, probe)
    grades = {key: v["State"] for key, v in isolation.items() if key != "Limits"}
    assert grades == {**dict.fromkeys(PROPERTIES - {"Limits"}, "enforced"), "TimeNamespace": "absent", "Landlock": "absent",
                      "SecurityLabels": "absent", "ReadOnlyRoot": "absent"}
    assert isolation["Storage"]["Reason"].startswith("overlay") and "default" in isolation["Seccomp"]["Reason"]


def test_without_a_process_it_is_the_description(kelp, probe):
    kelp.ok("create", "--name", "c", "--network", "host", "--privileged", "--ulimit", "nofile=20", probe, "true")
    isolation = kelp.json("inspect", "c")[0]["Isolation"]
    assert set(isolation) == PROPERTIES
    assert not any(v["Observed"] for key, v in isolation.items() if key != "Limits")
    assert (isolation["NetworkNamespace"]["State"], isolation["PidNamespace"]["State"]) == ("absent", "enforced")
    assert isolation["Capabilities"]["State"] == isolation["Seccomp"]["State"] == "absent"
    assert isolation["Limits"]["nofile"]["State"] == "enforced" and not isolation["Limits"]["nofile"]["Observed"]


def test_limits_are_those_of_the_process(kelp, probe):
    isolation, pid = start(kelp, probe, "--ulimit", "nofile=50:100", "--ulimit", "core=0")
    limits = isolation["Limits"]
    with open(f"/proc/{pid}/limits") as f:
        assert re.search(r"^Max open files +50 +100 ", f.read(), re.M)
    assert limits["nofile"] == {"State": "enforced", "Reason": "soft 50, hard 100", "Observed": True}
    assert limits["core"]["State"] == "enforced"
    assert {limits[k]["State"] for k in ("memory", "cpu", "pids")} == {"absent"} and set(limits) == {"memory", "cpu", "pids", "nofile", "core"}


def test_namespaces_of_another_container(kelp, probe):
    ident = kelp.ok("run", "-d", "--name", "other", probe, "/bin/probe", "pause")
    isolation, pid = start(kelp, probe, "--network", "container:other")
    check_against_proc(isolation, pid)
    assert ident[:12] in isolation["NetworkNamespace"]["Reason"] and ident[:12] not in isolation["PidNamespace"]["Reason"]


def test_storage(kelp, probe, session_dir):
    isolation, _ = start(kelp, probe, "--storage-driver", "copy")
    assert isolation["Storage"]["State"] == "emulated" and "copy" in isolation["Storage"]["Reason"]
    if shutil.which("fuse-overlayfs") and os.path.exists("/dev/fuse"):
        isolation, pid = start(kelp, probe, "--storage-driver", "fuse-overlayfs")
        assert isolation["Storage"]["State"] == "emulated" and "fuse-overlayfs" in isolation["Storage"]["Reason"]


def test_terminal_and_devices(kelp, probe):
    isolation, _ = start(kelp, probe, "-t", "--device", "/dev/full")
    assert "terminal of its own" in isolation["Terminal"]["Reason"] and isolation["Devices"]["State"] == "emulated"
    isolation, _ = start(kelp, probe)
    assert "pipes" in isolation["Terminal"]["Reason"]


def test_one_id_is_an_emulation(make_kelp, noids_user, probe_tar):
    kelp = make_kelp(user=noids_user)
    kelp.ok("import", probe_tar, "probe")
    isolation, pid = start(kelp, "probe")
    check_against_proc(isolation, pid)
    assert isolation["Ids"]["State"] == "emulated"
