# SPDX-License-Identifier: Apache-2.0
"""inspect: Docker's JSON of containers and images, field by field, and what it says of where files are."""
import json
import os

import rootfs
from harness import wait_for

STRING, INT, BOOL, LIST, DICT, NULL = str, int, bool, list, dict, type(None)
TOP = {"Id": STRING, "Created": STRING, "Path": STRING, "Args": LIST, "State": DICT, "Image": STRING, "ResolvConfPath": STRING,
       "HostnamePath": STRING, "HostsPath": STRING, "LogPath": STRING, "Name": STRING, "RestartCount": INT, "Driver": STRING,
       "Platform": STRING, "MountLabel": STRING, "ProcessLabel": STRING, "AppArmorProfile": STRING, "ExecIDs": (LIST, NULL),
       "HostConfig": DICT, "GraphDriver": DICT, "Mounts": LIST, "Config": DICT, "NetworkSettings": DICT,
       "ImageManifestDescriptor": DICT, "ExecDriver": STRING, "Volumes": DICT, "VolumesRW": DICT}
STATE = {"Status": STRING, "Running": BOOL, "Paused": BOOL, "Restarting": BOOL, "OOMKilled": BOOL, "Dead": BOOL, "Pid": INT,
         "ExitCode": INT, "Error": STRING, "StartedAt": STRING, "FinishedAt": STRING}
CONFIG = {"Hostname": STRING, "Domainname": STRING, "User": STRING, "AttachStdin": BOOL, "AttachStdout": BOOL, "AttachStderr": BOOL,
          "Tty": BOOL, "OpenStdin": BOOL, "StdinOnce": BOOL, "Env": LIST, "Cmd": (LIST, NULL), "Image": STRING,
          "Volumes": (DICT, NULL), "WorkingDir": STRING, "Entrypoint": (LIST, NULL), "OnBuild": (LIST, NULL), "Labels": DICT,
          "Memory": INT, "MemorySwap": INT, "CpuShares": INT, "Cpuset": STRING}
HOST = {"Binds": (LIST, NULL), "ContainerIDFile": STRING, "LogConfig": DICT, "NetworkMode": STRING, "PortBindings": DICT,
        "RestartPolicy": DICT, "AutoRemove": BOOL, "VolumeDriver": STRING, "VolumesFrom": (LIST, NULL), "ConsoleSize": LIST,
        "CapAdd": (LIST, NULL), "CapDrop": (LIST, NULL), "CgroupnsMode": STRING, "Dns": LIST, "DnsOptions": LIST, "DnsSearch": LIST,
        "ExtraHosts": (LIST, NULL), "GroupAdd": (LIST, NULL), "IpcMode": STRING, "Cgroup": STRING, "Links": (LIST, NULL),
        "OomScoreAdj": INT, "PidMode": STRING, "Privileged": BOOL, "PublishAllPorts": BOOL, "ReadonlyRootfs": BOOL,
        "SecurityOpt": (LIST, NULL), "UTSMode": STRING, "UsernsMode": STRING, "ShmSize": INT, "Runtime": STRING, "Isolation": STRING,
        "CpuShares": INT, "Memory": INT, "NanoCpus": INT, "CgroupParent": STRING, "BlkioWeight": INT, "BlkioWeightDevice": LIST,
        "BlkioDeviceReadBps": LIST, "BlkioDeviceWriteBps": LIST, "BlkioDeviceReadIOps": LIST, "BlkioDeviceWriteIOps": LIST,
        "CpuPeriod": INT, "CpuQuota": INT, "CpuRealtimePeriod": INT, "CpuRealtimeRuntime": INT, "CpusetCpus": STRING,
        "CpusetMems": STRING, "Devices": LIST, "DeviceCgroupRules": (LIST, NULL), "DeviceRequests": (LIST, NULL),
        "MemoryReservation": INT, "MemorySwap": INT, "MemorySwappiness": (INT, NULL), "OomKillDisable": (BOOL, NULL),
        "PidsLimit": (INT, NULL), "Ulimits": LIST, "CpuCount": INT, "CpuPercent": INT, "IOMaximumIOps": INT,
        "IOMaximumBandwidth": INT, "MaskedPaths": LIST, "ReadonlyPaths": LIST}
NETWORK_SETTINGS = {"Bridge": STRING, "SandboxID": STRING, "SandboxKey": STRING, "Ports": DICT, "HairpinMode": BOOL,
                    "LinkLocalIPv6Address": STRING, "LinkLocalIPv6PrefixLen": INT, "SecondaryIPAddresses": (LIST, NULL),
                    "SecondaryIPv6Addresses": (LIST, NULL), "EndpointID": STRING, "Gateway": STRING, "GlobalIPv6Address": STRING,
                    "GlobalIPv6PrefixLen": INT, "IPAddress": STRING, "IPPrefixLen": INT, "IPv6Gateway": STRING, "MacAddress": STRING,
                    "Networks": DICT}
NETWORK = {"IPAMConfig": (DICT, NULL), "Links": (LIST, NULL), "Aliases": (LIST, NULL), "MacAddress": STRING,
           "DriverOpts": (DICT, NULL), "GwPriority": INT, "NetworkID": STRING, "EndpointID": STRING, "Gateway": STRING,
           "IPAddress": STRING, "IPPrefixLen": INT, "IPv6Gateway": STRING, "GlobalIPv6Address": STRING,
           "GlobalIPv6PrefixLen": INT, "DNSNames": (LIST, NULL)}
IMAGE = {"Id": STRING, "RepoTags": LIST, "RepoDigests": LIST, "Parent": STRING, "Comment": STRING, "Created": STRING,
         "DockerVersion": STRING, "Author": STRING, "Config": DICT, "Architecture": STRING, "Os": STRING, "Size": INT,
         "VirtualSize": INT, "GraphDriver": DICT, "RootFS": DICT, "Metadata": DICT, "Descriptor": DICT}


def check(got, want, what):
    """Every field is there, and of one of its types; bool is no int."""
    for key, kinds in want.items():
        assert key in got, f"{what}.{key} is missing"
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        assert type(got[key]) in kinds, f"{what}.{key}: {got[key]!r}"


def test_every_field_of_a_container(kelp, probe):
    kelp.ok("run", "-d", "--name", "c", probe, "pause")
    c = kelp.json("inspect", "c")[0]
    check(c, TOP, "")
    for key, want in (("State", STATE), ("Config", CONFIG), ("HostConfig", HOST), ("NetworkSettings", NETWORK_SETTINGS)):
        check(c[key], want, key)
    for name, network in c["NetworkSettings"]["Networks"].items():
        check(network, NETWORK, name)
    assert c["Config"]["Volumes"] is None and c["Config"]["OnBuild"] is None and c["Mounts"] == []
    assert c["HostConfig"]["Runtime"] == "kelp"
    assert "SizeRw" not in c and "SizeRootFs" not in c
    sized = kelp.json("inspect", "--size", "c")[0]
    assert sized["SizeRw"] >= 0 and sized["SizeRootFs"] > 1000


def test_what_was_asked_stands_in_its_place(kelp, probe):
    kelp.ok("create", "--name", "c", "-v", "/data", "--mount", f"type=bind,source={kelp.work},target=/w,readonly",
            "-v", "named:/n", "--tmpfs", "/t:size=1m", "--mount", f"type=image,source={probe},target=/i", probe, "true")
    c = kelp.json("inspect", "c")[0]
    assert c["Config"]["Volumes"] == {"/data": {}}
    mounts = {m["Destination"]: m for m in c["Mounts"]}
    assert {d: m["Type"] for d, m in mounts.items()} == {"/data": "volume", "/w": "bind", "/n": "volume", "/t": "tmpfs", "/i": "image"}
    for m in mounts.values():
        check(m, {"Type": STRING, "Source": STRING, "Destination": STRING, "Mode": STRING, "RW": BOOL, "Propagation": STRING}, "Mounts")
    assert (mounts["/w"]["Source"], mounts["/w"]["RW"], mounts["/w"]["Propagation"]) == (str(kelp.work), False, "rprivate")
    assert (mounts["/n"]["Name"], mounts["/n"]["Driver"], mounts["/n"]["RW"]) == ("named", "local", True)
    assert os.path.isdir(mounts["/n"]["Source"]) and mounts["/i"]["RW"] is False
    # as they were before Mounts
    assert set(c["Volumes"]) == set(c["VolumesRW"]) == set(mounts)
    assert c["Volumes"]["/n"] == mounts["/n"]["Source"]
    assert (c["VolumesRW"]["/w"], c["VolumesRW"]["/n"]) == (False, True)


def test_graph_driver_leads_to_the_files(kelp, probe):
    kelp.ok("run", "-d", "--name", "c", probe, "/bin/probe", "seq", "write", "/mark", "here", "--", "pause")
    c = kelp.json("inspect", "c")[0]
    data = c["GraphDriver"]["Data"]
    assert c["GraphDriver"]["Name"] == c["Driver"] == "overlay" and list(data) == ["LowerDir", "MergedDir", "UpperDir", "WorkDir"]
    assert any(os.path.exists(f"{d}/bin/probe") for d in data["LowerDir"].split(":"))
    assert os.path.isdir(data["WorkDir"])
    wait_for(lambda: os.path.exists(data["UpperDir"] + "/mark"), what="the file in upper")
    assert os.path.exists(data["MergedDir"] + "/mark") and os.path.exists(data["MergedDir"] + "/bin/probe")
    kelp.ok("kill", "c")
    kelp.ok("wait", "c")
    assert kelp.json("inspect", "c")[0]["GraphDriver"]["Data"]["MergedDir"] == ""


def test_lower_directories_are_in_overlays_order(kelp, probe_binary):
    layers = [rootfs.write_tar(rootfs.probe_entries(probe_binary)), rootfs.write_tar([rootfs.entry("top", data=b"2")])]
    archive, _, _ = rootfs.oci_archive(layers, name="two:latest")
    kelp.ok("load", input=archive)
    kelp.ok("create", "--name", "c", "two", "true")
    lower = kelp.json("inspect", "c")[0]["GraphDriver"]["Data"]["LowerDir"].split(":")
    assert len(lower) == 2 and os.path.exists(lower[0] + "/top") and os.path.exists(lower[1] + "/bin/probe")
    image = kelp.json("image", "inspect", "two")[0]["GraphDriver"]["Data"]
    assert image["UpperDir"] == lower[0] and image["LowerDir"] == lower[1]


def test_paths_that_are_kept_from_the_container(kelp, probe):
    def host(*options):
        kelp.ok("create", "--replace", "--name", "c", *options, probe, "true")
        return kelp.json("inspect", "c")[0]["HostConfig"]
    assert "/proc/kcore" in host()["MaskedPaths"] and "/proc/sys" in host()["ReadonlyPaths"]
    assert host("--security-opt", "systempaths=unconfined")["MaskedPaths"] == []
    assert host("--privileged")["MaskedPaths"] is None and host("--privileged")["ReadonlyPaths"] is None


def test_every_field_of_an_image(kelp, probe_binary):
    config = {"ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["CMD", "true"]}, "OnBuild": ["RUN x"], "Shell": ["/bin/sh"],
              "StopSignal": "SIGINT", "User": "alice", "Volumes": {"/v": {}}, "Labels": {"a": "b"}, "Entrypoint": ["/bin/probe"]}
    archive, _, ident = rootfs.oci_archive([rootfs.write_tar(rootfs.probe_entries(probe_binary))], config=config, name="full:1")
    kelp.ok("load", input=archive)
    i = kelp.json("image", "inspect", "full:1")[0]
    check(i, IMAGE, "image")
    assert i["Id"] == ident and i["Config"] == {**i["Config"], **config}
    check(i["Descriptor"], {"mediaType": STRING, "digest": STRING, "size": INT}, "Descriptor")
    assert i["RootFS"]["Type"] == "layers" and len(i["RootFS"]["Layers"]) == 1 and i["Metadata"]["LastTagTime"].startswith("20")
    kelp.ok("create", "--name", "c", "full:1")
    assert kelp.json("inspect", "c")[0]["ImageManifestDescriptor"] == i["Descriptor"]


def test_types(kelp, probe):
    kelp.ok("volume", "create", "vol")
    kelp.ok("create", "--name", "cc", probe, "true")
    assert kelp.json("inspect", "--type", "volume", "vol")[0]["Mountpoint"].endswith("/volumes/vol/_data")
    assert [list(v)[0] for v in kelp.json("inspect", "cc", probe, "vol")] == ["Id", "Id", "CreatedAt"]
    kelp.fails("inspect", "--type", "volume", "cc", code=1, match="no such volume")
    kelp.fails("inspect", "--type", "container", "vol", code=1, match="no such container")
    result = kelp.fails("inspect", "no/such:1", code=1, match="no such container, image or volume: no/such:1")
    assert json.loads(result.out) == []


def test_mounts_as_they_were_asked(kelp, probe):
    def host(*options):
        kelp.ok("create", "--replace", "--name", "c", *options, probe, "true")
        return kelp.json("inspect", "c")[0]["HostConfig"]
    w = str(kelp.work)
    got = host("-v", f"{w}:/v:ro", "--tmpfs", "/t:size=1m", "--mount", "type=tmpfs,dst=/m,tmpfs-size=2m,tmpfs-mode=1770", "--mount",
               f"type=bind,src={w},dst=/b,bind-propagation=rslave,bind-recursive=disabled", "--mount",
               f"type=bind,src={w}/new,dst=/n,bind-create-src", "--mount", "type=volume,src=vol,dst=/vol,volume-nocopy")
    assert got["Binds"] == [f"{w}:/v:ro"] and list(got["Tmpfs"]) == ["/t"]
    assert {m["Target"]: m for m in got["Mounts"]} == {
        "/m": {"Type": "tmpfs", "Source": "", "Target": "/m", "TmpfsOptions": {"SizeBytes": 2 << 20, "Mode": 0o1770}},
        "/b": {"Type": "bind", "Source": w, "Target": "/b", "BindOptions": {"Propagation": "rslave", "NonRecursive": True}},
        "/n": {"Type": "bind", "Source": w + "/new", "Target": "/n", "BindOptions": {"CreateMountpoint": True}},
        "/vol": {"Type": "volume", "Source": "vol", "Target": "/vol", "VolumeOptions": {"NoCopy": True}}}


def test_latest(kelp, probe):
    kelp.fails("inspect", "--latest", code=125, match="there is no container")
    kelp.ok("create", "--name", "first", probe, "true")
    kelp.ok("create", "--name", "second", probe, "true")
    assert kelp.ok("inspect", "-l", "-f", "{{.Name}}") == kelp.ok("container", "inspect", "--latest", "-f", "{{.Name}}") == "/second"
    kelp.fails("inspect", "--latest", "first", code=125, match="name none")
    kelp.fails("inspect", "--latest", "--type", "image", code=125, match="'--type' image")
    kelp.fails("inspect", code=125, match="nothing was named")


def test_templates_do_not_drive_the_terminal(kelp, probe):
    evil = "a\x1b]0;title\x07b"
    kelp.ok("create", "--name", "c", "--label", f"evil={evil}", probe, "true")
    for args in (("ps", "-a", "--format", "{{.Labels}}\\tx"), ("inspect", "-f", "{{.Config.Labels}}\\tx", "c"),
                 ("events", "--since", "1h", "--until", "0s", "--format", "{{.Actor.Attributes}}\\tx"),
                 ("system", "df", "-v", "--format", "{{range .Containers}}{{.Labels}}{{end}}\\tx")):
        assert evil in kelp.ok(*args), args  # a pipe gets the bytes
        t = kelp.pty(*args)
        assert t.wait() == 0, (args, t.seen)
        assert "\x1b" not in t.seen and "\x07" not in t.seen, (args, t.seen)
        assert "a\\x1b]0;title\\x07b" in t.seen and t.seen.endswith("x\r\n") and "x0a" not in t.seen, (args, t.seen)
