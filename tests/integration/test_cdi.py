# SPDX-License-Identifier: Apache-2.0
"""Devices by name (CDI): --device VENDOR/CLASS=NAME and --gpus, from specifications in /etc/cdi and /var/run/cdi."""
import contextlib
import json
import os
import pathlib

import pytest

PROBE = "/bin/probe"
KIND = f"kelp-test-{os.getpid()}.example/thing"

# What lies there is everybody's: one after the other.
pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="only root writes to /etc/cdi"), pytest.mark.xdist_group("cdi")]


@pytest.fixture
def specification(kelp):
    """specification(devices, edits, directory=, kind=, text=): writes one, which is gone at the end."""
    made = []

    def write(devices, edits=None, directory="/etc/cdi", kind=KIND, text=None):
        path = pathlib.Path(directory)
        if not path.exists():
            path.mkdir(parents=True)
            made.append(path)
        file = path / f"kelp-test-{os.getpid()}-{len(made)}.json"
        made.append(file)
        file.write_text(text if text is not None else json.dumps(
            {"cdiVersion": "0.6.0", "kind": kind, "containerEdits": edits or {},
             "devices": [{"name": name, "containerEdits": e} for name, e in devices.items()]}))
        file.chmod(0o644)
    yield write
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def test_everything_that_a_device_needs(kelp, busybox, specification):
    (kelp.work / "lib").write_text("the library")
    os.chmod(kelp.work / "lib", 0o644)
    specification({"one": {"deviceNodes": [{"path": "/dev/thing0", "hostPath": "/dev/null", "permissions": "rw"}], "env": ["ONE=1"],
                           "additionalGids": [77]},
                   "two": {"env": ["TWO=2"]}},
                  edits={"env": ["ALL=yes", "TYPED=no"], "mounts": [{"hostPath": str(kelp.work / "lib"), "containerPath": "/opt/lib",
                                                                    "options": ["ro", "nosuid", "bind"]}]})
    script = "test -c /dev/thing0 && echo x >/dev/thing0 && cat /opt/lib; echo; echo $ALL $ONE $TWO $TYPED; id -G; echo y >/opt/lib"
    result = kelp("run", "--rm", "--device", f"{KIND}=one", "-e", "TYPED=mine", busybox, "sh", "-c", script)
    lines = result.out.splitlines()
    assert lines[:2] == ["the library", "yes 1 mine"] and "77" in lines[2].split() and "Read-only" in result.err, result
    c = kelp.ok("create", "--device", f"{KIND}=one", "--device", f"{KIND}=two", "--device", "/dev/zero:/dev/z", busybox, "true")
    host = kelp.json("inspect", c)[0]["HostConfig"]
    assert host["DeviceRequests"] == [{"Driver": "cdi", "Count": 0, "DeviceIDs": [f"{KIND}=one", f"{KIND}=two"], "Capabilities": None,
                                       "Options": None}]
    assert [d["PathInContainer"] for d in host["Devices"]] == ["/dev/z"]
    assert kelp.ok("run", "--rm", "--device", f"{KIND}=two", busybox, "sh", "-c", "echo $TWO $ONE; ls /dev/thing0 2>&1 | wc -l") == "2\n1"


def test_var_run_wins(kelp, busybox, specification):
    specification({"d": {"env": ["FROM=etc"]}})
    specification({"d": {"env": ["FROM=run"]}}, directory="/var/run/cdi")
    assert kelp.ok("run", "--rm", "--device", f"{KIND}=d", busybox, "sh", "-c", "echo $FROM") == "run"


@pytest.mark.parametrize("edits, message", [
    ({"hooks": [{"hookName": "createContainer", "path": "/usr/bin/true"}]}, "hooks: it wants programs"),
    ({"intelRdt": {"closID": "x"}}, "intelRdt"), ({"netDevices": [{"hostInterfaceName": "eth0"}]}, "netDevices"),
    ({"mounts": [{"hostPath": "x", "containerPath": "/y"}]}, "not absolute"),
    ({"mounts": [{"hostPath": "/dev", "containerPath": "/y", "type": "nfs"}]}, "type 'nfs'"),
    ({"mounts": [{"containerPath": "/y"}]}, "hostPath"), ({"deviceNodes": [{}]}, "path"), ({"deviceNodes": {}}, "deviceNodes"),
    ({"env": [1]}, "env"), ({"additionalGids": [-1]}, "group id"), ({"deviceNodes": [{"path": "/dev/null", "permissions": "r"}]}, "restrict"),
    ([], "containerEdits"),
])
def test_what_cannot_be_had(kelp, busybox, specification, edits, message):
    specification({"d": edits})
    kelp.fails("create", "--device", f"{KIND}=d", busybox, "true", code=125, match=f"{KIND}=d.*{message}|{message}")
    assert kelp.ok("ps", "-aq") == ""


def test_what_is_not_there(kelp, busybox, specification):
    kelp.fails("create", "--device", f"{KIND}=d", busybox, "true", code=125, match=f"device '{KIND}=d': no specification(.|\n)*hint:")
    specification({"other": {}, "another": {}})
    kelp.fails("create", "--device", f"{KIND}=d", busybox, "true", code=125, match="there are: other, another")
    specification({}, text="{ damaged")
    assert kelp.ok("run", "--rm", "--device", f"{KIND}=other", busybox, "echo", "x") == "x", "another file's damage is none of its business"


def test_a_damaged_specification(kelp, busybox, specification):
    specification({}, text='{"kind": 1}')
    kelp.fails("create", "--device", f"{KIND}=d", busybox, "true", code=125, match="kind: expected a string")


def test_gpus(kelp, busybox, specification):
    specification({name: {"env": [f"GPU_{name}=yes"]} for name in ("all", "0", "1", "uuid")}, kind="nvidia.com/gpu")
    def gpus(value):
        out = kelp.ok("run", "--rm", "--gpus", value, busybox, "sh", "-c", "env | grep ^GPU_ | sort | cut -d= -f1")
        return [line[4:] for line in out.split()]
    assert gpus("all") == ["all"] and gpus("2") == ["0", "1"] and gpus("device=uuid") == ["uuid"]
    assert gpus('"device=0,uuid",capabilities=gpu') == ["0", "uuid"] and gpus("count=1,driver=nvidia") == ["0"]
    kelp.fails("run", "--rm", "--gpus", "some", busybox, "true", code=125, match="'some' is not all, a number")
    kelp.fails("run", "--rm", "--gpus", "all,capabilities=utility", busybox, "true", code=125, match="'capabilities=utility' cannot be chosen")
    kelp.fails("run", "--rm", "--gpus", "3", busybox, "true", code=125, match="nvidia.com/gpu=2")
    c = kelp.ok("create", "--gpus", "all", busybox, "true")
    assert kelp.json("inspect", c)[0]["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["nvidia.com/gpu=all"]


def test_without_a_driver_the_error_says_what_to_do(kelp, busybox):
    kelp.fails("run", "--rm", "--gpus", "all", busybox, "true", code=125, match="nvidia.com/gpu=all.*no specification(.|\n)*nvidia-ctk")


def test_a_directory_of_devices(kelp, busybox):
    """Docker takes a directory as all devices in it."""
    out = kelp.ok("run", "--rm", "--device", "/dev/net", busybox, "ls", "/dev/net") if os.path.exists("/dev/net/tun") else "tun"
    assert "tun" in out


def test_devices_by_pattern(kelp, busybox):
    out = kelp.ok("run", "--rm", "--device", "/dev/tty[01]:rw", busybox, "ls", "/dev") if os.path.exists("/dev/tty1") else "tty0 tty1"
    assert {"tty0", "tty1"} <= set(out.split()) and "tty2" not in out.split()
    c = kelp.ok("create", "--device", "/dev/nul?", busybox, "true")
    assert [d["PathInContainer"] for d in kelp.json("inspect", c)[0]["HostConfig"]["Devices"]] == ["/dev/null"]
    kelp.fails("create", "--device", "/dev/nosuch*", busybox, "true", code=125, match="nothing matches '/dev/nosuch")
    kelp.fails("create", "--device", "/dev/nul?:/dev/x", busybox, "true", code=125, match="cannot have one name")
