# SPDX-License-Identifier: Apache-2.0
"""Debian with PostgreSQL, nginx, Redis and Python, as an ordinary user would run them. The images: real_images.py."""
import io
import json
import re
import tarfile

import pytest

import rootfs
from harness import wait_for

pytestmark = pytest.mark.xdist_group("debian")
IMAGE = "debian:test"


@pytest.fixture
def shell(debian_kelp):
    """Runs a script in a fresh container; its output."""
    def run(script, *options):
        return debian_kelp.ok("run", "--rm", *options, IMAGE, "bash", "-euc", script, timeout=120)
    return run


def serve(kelp, name, *command):
    kelp.ok("run", "-d", "--name", name, IMAGE, *command)


def in_container(kelp, name, *command, **kw):
    return kelp("exec", name, *command, **kw)


def test_config_of_the_image_is_used(shell):
    assert shell("echo $LC_ALL $PWD") == "C.UTF-8 /srv"


def test_second_layer_changes_and_removes(shell):
    assert shell("stat -c '%u:%g %a' /srv/data; test ! -e /etc/nginx/sites-enabled/default; cat /etc/nginx/conf.d/hello.conf"
                 ).startswith("33:33 750\nserver")


def test_postgresql_answers_sql_through_exec(debian_kelp):
    script = ("install -d -o postgres -g postgres /srv/pg; "
              "cd /; PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; "
              "su postgres -s /bin/bash -c \"PATH=$PATH initdb -D /srv/pg --auth=trust >/dev/null && "
              "PATH=$PATH exec postgres -D /srv/pg -k /tmp -c listen_addresses=127.0.0.1\"")
    serve(debian_kelp, "pg", "bash", "-c", script)
    wait_for(lambda: in_container(debian_kelp, "pg", "psql", "-h", "/tmp", "-U", "postgres", "-c", "select 1").rc == 0, 60,
             "PostgreSQL answers")
    sql = "create table t (n int); insert into t select generate_series(1, 1000); select sum(n) from t"
    out = debian_kelp.ok("exec", "pg", "psql", "-h", "127.0.0.1", "-U", "postgres", "-Atqc", sql)
    assert out == "500500"
    out = debian_kelp.ok("exec", "-u", "postgres", "pg", "bash", "-c", "id -un; psql -h /tmp -Atc 'select count(*) from t'")
    assert out.split() == ["postgres", "1000"]
    debian_kelp.ok("stop", "-t", "20", "pg")
    assert "shut down" in debian_kelp("logs", "pg").err + debian_kelp("logs", "pg").out


POSTGRES = ("PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; D=/var/lib/postgresql/data; "
            "test -e $D/PG_VERSION || initdb -D $D --auth=trust >/dev/null; "
            "exec postgres -D $D -k /tmp -c listen_addresses=127.0.0.1")


def test_databases_keep_their_data_in_volumes(debian_kelp, debian_tar):
    """PostgreSQL and Redis as their own users, in volumes that are filled from the image; the containers go, the image is replaced."""
    kelp = debian_kelp

    def start(image):
        kelp.ok("run", "-d", "--name", "pg", "-u", "postgres", "-v", "pgdata:/var/lib/postgresql", image, "bash", "-c", POSTGRES)
        kelp.ok("run", "-d", "--name", "cache", "-u", "redis", "-v", "cache:/var/lib/redis", image, "redis-server",
                "--dir", "/var/lib/redis", "--appendonly", "yes", "--bind", "127.0.0.1")
        wait_for(lambda: kelp("exec", "pg", "psql", "-h", "/tmp", "-c", "select 1").rc == 0, 60, "PostgreSQL answers")
        wait_for(lambda: kelp("exec", "cache", "redis-cli", "ping").out.strip() == "PONG", 30, "Redis answers")

    def remove():
        kelp.ok("stop", "-t", "30", "pg", "cache")
        kelp.ok("rm", "-v", "pg", "cache")

    start(IMAGE)
    kelp.ok("exec", "pg", "psql", "-h", "/tmp", "-c", "create table kept as select generate_series(1, 100) n")
    assert kelp.ok("exec", "cache", "redis-cli", "set", "kept", "yes") == "OK"
    kelp.fails("volume", "rm", "-f", "pgdata", code=1, match="volume is in use")
    remove()
    kelp.ok("import", "-q", debian_tar, "debian:next", timeout=300)
    assert kelp.ok("image", "inspect", "--format", "{{.Id}}", "debian:next") != \
        kelp.ok("image", "inspect", "--format", "{{.Id}}", IMAGE)
    start("debian:next")
    assert kelp.ok("exec", "pg", "psql", "-h", "/tmp", "-Atc", "select sum(n) from kept") == "5050"
    assert kelp.ok("exec", "cache", "redis-cli", "get", "kept") == "yes"
    remove()
    kelp.ok("volume", "rm", "pgdata", "cache")
    kelp.ok("rmi", "debian:next")


def test_nginx_answers_on_loopback(debian_kelp):
    serve(debian_kelp, "web", "nginx", "-g", "daemon off;")
    fetch = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/').read().decode(), end='')"
    wait_for(lambda: in_container(debian_kelp, "web", "python3", "-c", fetch).rc == 0, 30, "nginx answers")
    assert debian_kelp.ok("exec", "web", "python3", "-c", fetch) == "kelp says hello"
    users = debian_kelp.ok("exec", "web", "ps", "-eo", "user:20,comm", "--no-headers")
    assert re.search(r"root\s+nginx", users) and re.search(r"www-data\s+nginx", users), users


def test_redis(debian_kelp):
    serve(debian_kelp, "redis", "redis-server", "--save", "", "--protected-mode", "yes")
    wait_for(lambda: in_container(debian_kelp, "redis", "redis-cli", "ping").out.strip() == "PONG", 30, "Redis answers")
    assert debian_kelp.ok("exec", "redis", "redis-cli", "set", "key", "value with spaces") == "OK"
    assert debian_kelp.ok("exec", "redis", "redis-cli", "get", "key") == "value with spaces"
    assert debian_kelp.ok("exec", "-u", "redis", "redis", "id", "-un") == "redis"


def test_python(shell):
    assert shell("python3 -c 'import ssl, sqlite3, ctypes, multiprocessing as m; "
                 "print(sum(m.Pool(2).map(int, [\"1\", \"2\"])), ssl.OPENSSL_VERSION[:7])'") == "3 OpenSSL"


def test_dpkg_installs_a_package(debian_kelp):
    script = """
        mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/made /tmp/p/usr/bin
        printf 'Package: made\\nVersion: 1\\nArchitecture: all\\nMaintainer: t <t@example.com>\\nDescription: made here\\n' > /tmp/p/DEBIAN/control
        printf '#!/bin/sh\\nset -e\\nadduser --system --group made >/dev/null 2>&1 || useradd -r made\\nchown made /usr/share/made/file\\n' > /tmp/p/DEBIAN/postinst
        chmod 755 /tmp/p/DEBIAN/postinst
        echo text > /tmp/p/usr/share/made/file; printf '#!/bin/sh\\necho ran\\n' > /tmp/p/usr/bin/made; chmod 755 /tmp/p/usr/bin/made
        dpkg-deb --build --root-owner-group /tmp/p /tmp/made.deb >/dev/null
        dpkg -i /tmp/made.deb >/dev/null
        made; dpkg -s made | grep ^Status; stat -c %U /usr/share/made/file
        dpkg --purge made >/dev/null; test ! -e /usr/bin/made; dpkg --audit"""
    assert debian_kelp.ok("run", "--rm", IMAGE, "bash", "-euc", script, timeout=120).split("\n") == [
        "ran", "Status: install ok installed", "made"]


def test_su_useradd_chown(shell):
    assert shell("""
        useradd -m -s /bin/bash -G staff carol
        su - carol -c 'id -un; id -Gn; touch file; mkdir d'
        stat -c %U:%G /home/carol/file
        chown -R www-data:staff /home/carol/d; chgrp staff /home/carol/file; chmod 2750 /home/carol/d
        stat -c '%U:%G %a' /home/carol/d""").split("\n") == ["carol", "carol staff", "carol:carol", "www-data:staff 2750"]


def test_file_owners_and_setuid_bits_are_debians(shell, debian_tar):
    out = shell("stat -c '%n %u %g %a' /usr/bin/passwd /etc/shadow /var/mail /usr/bin/chage /tmp")
    want = []
    with tarfile.open(debian_tar) as tar:
        for name in ("usr/bin/passwd", "etc/shadow", "var/mail", "usr/bin/chage", "tmp"):
            m = tar.getmember("./" + name)
            want.append(f"/{name} {m.uid} {m.gid} {m.mode & 0o7777:o}")
    assert out.split("\n") == want


@pytest.mark.parametrize("form", ["debian_docker", "debian_layout"])
def test_loads_every_form_and_runs_from_it(kelp, form, request):
    path = request.getfixturevalue(form)
    out = kelp.ok("load", "-i", path, timeout=300)
    assert "Loaded image" in out
    image = kelp.ok("images", "-q").split()[0]
    assert kelp.ok("run", "--rm", image, "bash", "-c", "echo $LC_ALL; stat -c %u /srv/data") == "C.UTF-8\n33"


def layer_digests(archive):
    """Digests of the layers in an OCI archive, in order, and of its config."""
    with tarfile.open(fileobj=io.BytesIO(archive) if isinstance(archive, bytes) else None,
                      name=None if isinstance(archive, bytes) else archive) as tar:
        members = {m.name.removeprefix("./"): m for m in tar.getmembers()}

        def blob(name):
            return json.load(tar.extractfile(members[name]))
        manifest = blob("index.json")["manifests"][0]["digest"]
        content = blob("blobs/sha256/" + manifest.split(":")[1])
        return [l["digest"] for l in content["layers"]], content["config"]["digest"], manifest


def test_saved_again_it_keeps_its_digests(debian_kelp, debian_oci):
    out = debian_kelp.work / "saved.tar"
    debian_kelp.ok("save", "--format", "oci-archive", "-o", out, IMAGE, timeout=300)
    assert layer_digests(str(out)) == layer_digests(str(debian_oci))


def test_user_without_subordinate_ids(make_kelp, noids_user, debian_oci):
    kelp = make_kelp(user=noids_user)
    kelp.ok("load", "-q", "-i", debian_oci, timeout=300)
    assert kelp.ok("run", "--rm", IMAGE, "bash", "-c", "id -u; python3 -c 'print(6 * 7)'; cat /etc/shadow | wc -l").split()[:2] == ["0", "42"]
    out = kelp.work / "saved.tar"
    kelp.ok("save", "--format", "oci-archive", "-o", out, IMAGE, timeout=300)
    assert layer_digests(str(out)) == layer_digests(str(debian_oci))


def test_import_of_a_root_file_system(kelp, debian_tar):
    kelp.ok("import", "--change", "CMD [\"python3\", \"-V\"]", "--change", "ENV A=b", debian_tar, "imported:1", timeout=300)
    assert kelp.ok("run", "--rm", "imported:1").startswith("Python 3")
    assert kelp.ok("run", "--rm", "imported:1", "sh", "-c", "echo $A; stat -c %G /etc/shadow") == "b\nshadow"


def deep_image(probe_binary, layers):
    tars = [rootfs.probe_tar(probe_binary)]
    tars += [rootfs.write_tar([rootfs.entry(f"layer/{i}", data=str(i)), rootfs.entry("last", data=str(i))]) for i in range(1, layers)]
    return rootfs.oci_archive(tars, name="deep:latest")[0]


def test_five_hundred_layers(kelp, probe_binary):
    kelp.ok("load", input=deep_image(probe_binary, 500), timeout=300)
    out = kelp.ok("run", "--rm", "deep", "probe", "seq", "read", "/last", "--", "echo", "--", "ls", "/layer").split("\n")
    assert out[0] == "499" and len(out) == 500


@pytest.mark.parametrize("driver", ["overlay", "fuse-overlayfs", "copy"])
def test_storage_drivers_show_the_same(kelp, probe_binary, driver):
    layers = [rootfs.probe_tar(probe_binary, [rootfs.entry("a", data="1"), rootfs.entry("d", "dir"), rootfs.entry("d/old", data="x")]),
              rootfs.write_tar([rootfs.entry(".wh.a"), rootfs.entry("d", "dir"), rootfs.entry("d/.wh..wh..opq"),
                                rootfs.entry("d/new", data="y", uid=1000, gid=50)])]
    kelp.ok("load", input=rootfs.oci_archive(layers, name="two:1")[0])
    probe = ("/bin/probe", "seq", "ls", "/", "--", "ls", "/d", "--", "stat", "/d/new", "--", "write", "/d/made", "text", "--",
             "rm", "/d/new", "--", "ls", "/d", "--", "read", "/d/made")
    out = kelp.ok("run", "--rm", "--storage-driver", driver, "two:1", *probe)
    names, rest = out.split("new\n", 1)
    assert "a" not in names.split()
    assert rest.splitlines()[0].startswith("type=f mode=0644 uid=1000 gid=50 size=1")
    assert rest.splitlines()[1:] == ["made", "text"]
    assert kelp.ok("run", "--rm", "two:1", "/bin/probe", "ls", "/d") == "new"


@pytest.mark.parametrize("driver", ["fuse-overlayfs", "copy"])
def test_debian_on_the_other_drivers(debian_kelp, driver):
    script = "stat -c '%u:%g %a' /srv/data; useradd -m dave; su - dave -c 'id -un'; rm /usr/bin/python3; test ! -e /usr/bin/python3"
    out = debian_kelp.ok("run", "--rm", "--storage-driver", driver, IMAGE, "bash", "-euc", script, timeout=120)
    assert out == "33:33 750\ndave"
