# SPDX-License-Identifier: Apache-2.0
"""The clauses of the runtime specification's features.md and features-linux.md, and that the document tells the truth."""
import re

import pytest

from oci_bundle import bind, mount


@pytest.fixture
def features(anyone):
    return anyone.json("features")


def semantic(version):
    return tuple(int(n) for n in re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(?:-\S+)?", version).groups())


def test_features_need_no_container_and_no_root(anyone):
    out = anyone.execute([anyone.program, "features"])
    assert out.rc == 0 and out.err == "", out


@pytest.mark.parametrize("key", ["ociVersionMin", "ociVersionMax"])
def test_features_versions_are_accepted(anyone, features, key):
    b = anyone.bundle("echo", "ran")
    b.config["ociVersion"] = features[key]
    assert b.output() == "ran"


def test_features_max_is_not_less_than_min(features):
    assert semantic(features["ociVersionMax"]) >= semantic(features["ociVersionMin"])


def test_features_hooks_are_supported(anyone, features):
    assert sorted(features["hooks"]) == sorted(["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
    b = anyone.bundle("echo", "ran")
    for point in features["hooks"]:
        b.hook(point, "/bin/probe" if point == "startContainer" else "/bin/true", *(["true"] if point == "startContainer" else []))
    assert b.output() == "ran"


REQUIRED_OPTIONS = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime noexec noiversion
nolazytime norelatime nostrictatime nosuid private rbind relatime remount ro rprivate rshared rslave runbindable rw shared silent slave
strictatime suid sync unbindable""".split()
RECURSIVE_OPTIONS = """ratime rdev rdiratime rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow rrelatime
rro rrw rstrictatime rsuid rsymfollow""".split()


def test_features_mountOptions_have_the_required(features):
    assert not set(REQUIRED_OPTIONS) - set(features["mountOptions"])


def test_features_mountOptions_have_the_recursive(features):
    assert not set(RECURSIVE_OPTIONS) - set(features["mountOptions"])


def test_features_mountOptions_are_recognised(root_oci):
    """Each option of the list on a mount of its own: what is not recognised would be given to the file system, which refuses it."""
    features = root_oci.json("features")
    data = root_oci.directory("data")
    b = root_oci.bundle("echo", "ran")
    for n, option in enumerate(features["mountOptions"]):
        if option in ("mand", "nomand", "acl", "noacl"):
            continue  # kernels since 5.15 refuse or ignore them, as a file system's own
        if option in ("idmap", "ridmap"):
            entry = bind(data, f"/m{n}", option)
            entry["uidMappings"] = entry["gidMappings"] = [{"containerID": 0, "hostID": 1000, "size": 10}]
        elif option == "remount":
            b.add_mount(mount(f"/m{n}", "tmpfs", "tmpfs"))
            entry = mount(f"/m{n}", "tmpfs", "tmpfs", option, "ro")
        elif option in ("bind", "rbind"):
            entry = mount(f"/m{n}", "none", data, option)
        elif option in ("tmpcopyup", "copy-symlink") or option in REQUIRED_OPTIONS:
            entry = mount(f"/m{n}", "tmpfs", "tmpfs", option)
        else:
            entry = bind(data, f"/m{n}", option)
        b.add_mount(entry)
    assert b.output() == "ran"


@pytest.mark.parametrize("option, shown", [("rro", "ro"), ("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"), ("rnoatime", "noatime"),
                                           ("rnodiratime", "nodiratime"), ("rnosymfollow", "nosymfollow")])
def test_features_recursive_options_reach_the_mounts_below(root_oci, option, shown):
    b = root_oci.bundle("seq", "mounts", "/all", "--", "mounts", "/all/pts").add_mount(mount("/all", "none", "/dev", "rbind", option))
    lines = b.output().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert shown in line.split()[2].split(","), line


def test_features_namespaces_are_recognised(anyone, features):
    names = features["linux"]["namespaces"]
    assert sorted(names) == ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]
    b = anyone.bundle("echo", "ran").namespaces(**{n: None for n in names if n != "user" or anyone.rootless})
    assert b.output() == "ran"


def test_features_capabilities_are_recognised(anyone, features):
    names = features["linux"]["capabilities"]
    assert len(names) >= 41 and "CAP_CHECKPOINT_RESTORE" in names
    b = anyone.bundle("echo", "ran")
    b.process["capabilities"] = {s: names for s in ("bounding", "permitted", "effective")}
    result = b.run()
    assert result.rc == 0 and result.out == "ran\n", result
    # as root of this machine not all may be granted; unknown is none
    assert "unknown" not in result.err, result


def seccomp(b, **profile):
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", **profile}
    return b


def test_features_seccomp_actions_are_recognised(anyone, features):
    actions = features["linux"]["seccomp"]["actions"]
    assert features["linux"]["seccomp"]["enabled"] is True and len(actions) >= 8
    for action in actions:
        if action == "SCMP_ACT_NOTIFY":
            continue  # needs an agent: test_seccomp_notify_sends_one_state_to_the_listener
        assert seccomp(anyone.bundle("echo", "ran"), syscalls=[{"names": ["mkdir"], "action": action}],
                       defaultAction="SCMP_ACT_LOG" if action == "SCMP_ACT_ALLOW" else "SCMP_ACT_ALLOW").output() == "ran", action


def test_features_seccomp_operators_are_recognised(anyone, features):
    operators = features["linux"]["seccomp"]["operators"]
    assert len(operators) == 7
    b = seccomp(anyone.bundle("echo", "ran"), syscalls=[{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO",
                                                         "args": [{"index": 1, "value": 1, "op": op}]} for op in operators])
    assert b.output() == "ran"


def test_features_seccomp_archs_are_recognised(anyone, features):
    archs = features["linux"]["seccomp"]["archs"]
    assert {"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64"} <= set(archs)
    assert seccomp(anyone.bundle("echo", "ran"), architectures=archs, syscalls=[{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]).output() == "ran"


def test_features_seccomp_flags_are_recognised(anyone, features):
    described = features["linux"]["seccomp"]
    assert set(described["supportedFlags"]) <= set(described["knownFlags"])
    for flag in described["supportedFlags"]:
        b = seccomp(anyone.bundle("echo", "ran"), flags=[flag], syscalls=[{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}])
        result = b.run()
        # one that has a meaning only with a listener is refused by the kernel without, but it is known
        assert result.rc == 0 or flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", (flag, result)


def test_features_idmap_is_announced(features):
    """That mappings of a mount are recognised: test_mount_idmap_applies_its_mappings."""
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is True


def test_features_cgroup_says_what_there_is(features):
    assert features["linux"]["cgroup"]["v2"] is True
    assert all(isinstance(v, bool) for v in features["linux"]["cgroup"].values())


@pytest.mark.parametrize("key, config", [("memoryPolicy", {"mode": "MPOL_LOCAL"}), ("netDevices", {"no-such-device0": {}})])
def test_features_announce_no_more_than_there_is(anyone, features, key, config):
    """What is not announced is refused by its name, and not ignored."""
    if features["linux"].get(key):
        return
    b = anyone.bundle("echo", "ran")
    b.linux[key] = config
    b.fails(match=key)


def test_features_have_no_property_that_the_version_has_not(features):
    assert set(features) <= {"ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "annotations", "potentiallyUnsafeConfigAnnotations"}
    assert set(features["linux"]) <= {"namespaces", "capabilities", "cgroup", "seccomp", "apparmor", "selinux", "intelRdt", "memoryPolicy",
                                      "mountExtensions", "netDevices"}


def test_features_have_no_null_for_what_is_empty(anyone):
    assert "null" not in re.sub(r'"[^"]*"', "", anyone.ok("features"))


def test_features_annotations_map_strings(features):
    for key, value in features.get("annotations", {}).items():
        assert key and isinstance(value, str)
