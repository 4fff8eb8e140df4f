# SPDX-License-Identifier: Apache-2.0
"""Who owns what a container writes into a directory of the caller: --userns=keep-id:image, with images as they are."""
import json
import os

import pytest

import rootfs
from harness import wait_for

PROBE = "/bin/probe"


def make_dir(kelp, name, mode=0o755):
    """A directory of the user's, on the host."""
    path = kelp.work / name
    path.mkdir()
    if os.getuid() == 0:
        os.chown(path, kelp.user.uid, kelp.user.gid)
    path.chmod(mode)
    return path


def owners(path):
    """All owners of what is in a directory."""
    return {(st.st_uid, st.st_gid) for p in [path, *path.rglob("*")] for st in [p.lstat()]}


def userns_of(kelp, container):
    return kelp.json("container", "inspect", container)[0]["HostConfig"]["UsernsMode"]


# ---- keep-id:image: whose image it is ----

CASES = [
    # USER, VOLUME, what it comes to
    ("alice", [], "keep-id:uid=1000,gid=1000"),
    ("1000", [], "keep-id:uid=1000,gid=1000"),
    ("4321", [], "keep-id:uid=4321,gid=0"),
    ("1000:50", [], "keep-id:uid=1000,gid=50"),
    ("alice:staff", [], "keep-id:uid=1000,gid=50"),
    ("", ["/srv/db"], "keep-id:uid=999,gid=998"),
    ("root", ["/srv/db"], "keep-id:uid=999,gid=998"),
    ("0:0", ["srv/db"], "keep-id:uid=999,gid=998"),
    ("", ["/bin", "/missing", "/etc/passwd", "/link"], "keep-id:uid=999,gid=998"),  # root's, none, a file, a link to it
    ("", ["/srv/closed/db"], "keep-id:uid=77,gid=78"),  # behind a directory of another's that nobody else may search
    ("alice", ["/srv/db"], "keep-id:uid=1000,gid=1000"),
    ("", [], "private"),
    ("", ["/bin", "/"], "private"),
    ("root", ["/missing"], "private"),
]


@pytest.fixture
def image(kelp, probe_binary):
    extra = [rootfs.entry("srv", "dir"), rootfs.entry("srv/db", "dir", uid=999, gid=998, mode=0o700),
             rootfs.entry("srv/closed", "dir", uid=33, gid=33, mode=0o700),
             rootfs.entry("srv/closed/db", "dir", uid=77, gid=78), rootfs.entry("link", "symlink", target="srv/db")]
    data = rootfs.probe_tar(probe_binary, extra)

    def make(user="", volumes=(), name="i"):
        changes = ["--change", f"USER {user}"] if user else []
        if volumes:
            changes += ["--change", "VOLUME " + json.dumps(list(volumes))]
        return kelp.import_image(data, name, *changes)
    return make


def test_the_images_user(kelp, image):
    for n, (user, volumes, want) in enumerate(CASES):
        image(user, volumes, f"i{n}")
        kelp.ok("create", "--name", f"c{n}", "--userns", "keep-id:image", f"i{n}", PROBE, "true")
        assert userns_of(kelp, f"c{n}") == want, (user, volumes)


def test_its_files_are_the_callers(kelp, image):
    """The user of the image writes; in a directory of the caller that is the caller, and everywhere inside it is who the image means."""
    image("alice")
    data = make_dir(kelp, "data")
    for _ in range(2):
        out = kelp.ok("run", "--rm", "--userns", "keep-id:image", "-v", f"{data}:/data", "i", PROBE, "write", "/data/file", "text")
        out = kelp.ok("run", "--rm", "--userns=keep-id:image", "-v", f"{data}:/data", "i", PROBE, "id")
        assert out.startswith("uid=1000 euid=1000 gid=1000"), out
    assert owners(data) == {(kelp.user.uid, kelp.user.gid)}
    out = kelp.ok("run", "--rm", "--userns=keep-id:image", "-v", f"{data}:/data", "i", PROBE, "stat", "/data/file")
    assert "uid=1000 gid=1000" in out
    kelp.execute(["rm", "-rf", data])
    assert not data.exists()


def test_upper_layers_count(kelp, probe_binary):
    """The owner of a directory that an upper layer changed, or replaced, is what the upper layer says; a removed one counts no more."""
    base = rootfs.probe_tar(probe_binary, [rootfs.entry("a", "dir", uid=5, gid=5), rootfs.entry("b", "dir", uid=6, gid=6)])
    upper = rootfs.write_tar([rootfs.entry("a", "dir", uid=7, gid=8), rootfs.entry(".wh.b"),
                              rootfs.entry("etc/passwd", data="alice:x:12:13::/:\n")])
    for n, (config, want) in enumerate([({"Volumes": {"/a": {}}}, "keep-id:uid=7,gid=8"), ({"Volumes": {"/b": {}}}, "private"),
                                        ({"User": "alice"}, "keep-id:uid=12,gid=13")]):
        archive, _, _ = rootfs.oci_archive([base, upper], config, name=f"layers:{n}")
        kelp.ok("load", "-q", input=archive)
        kelp.ok("create", "--name", f"c{n}", "--userns=keep-id:image", f"layers:{n}", PROBE, "true")
        assert userns_of(kelp, f"c{n}") == want


def test_no_image(kelp, image, probe_binary):
    kelp.fails("create", "--userns=keep-id:image", "--rootfs", kelp.work, PROBE, "true", code=125, match="there is no image")
    image()
    kelp.fails("create", "--userns=keep-id:image,uid=5", "i", PROBE, "true", code=125, match="image alone")


def test_one_id(make_kelp, noids_user, probe_binary):
    """Without subordinate ids there is but one user inside: the image's is who it is, and root's program runs as that one."""
    kelp = make_kelp(user=noids_user)
    kelp.import_image(rootfs.probe_tar(probe_binary, [rootfs.entry("db", "dir", uid=999, gid=998)]), "i", "--change", "VOLUME /db")
    data = make_dir(kelp, "data")
    out = kelp.ok("run", "--rm", "--userns=keep-id:image", "-v", f"{data}:/data", "i", PROBE, "id")
    assert out.startswith("uid=999 euid=999 gid=998"), out


# ---- real programs, in images such as others make them ----
# The entry points do what those of the well-known images do: begin as root, give the data directory to the program's user, go over to him.

DROP = """#!/bin/bash
set -e
if [ "$(id -u)" = 0 ]; then
    find "$DATA" \\! -user "$RUNS_AS" -exec chown "$RUNS_AS:$RUNS_AS" {} +
    exec setpriv --reuid "$RUNS_AS" --regid "$RUNS_AS" --init-groups "$0" "$@"
fi
"""
POSTGRES = DROP + """chmod 700 "$DATA"
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
test -e "$DATA/PG_VERSION" || initdb -D "$DATA" --auth=trust >/dev/null
exec postgres -D "$DATA" -k /tmp -c listen_addresses=127.0.0.1
"""
REDIS = DROP + 'exec redis-server --dir "$DATA" --appendonly yes --bind 127.0.0.1\n'
NGINX = """#!/bin/bash
test -e /data/index.html || echo "kelp says hello" > /data/index.html
cat > /tmp/nginx.conf <<END
error_log /data/error.log; pid /data/nginx.pid; user www-data; events {}
http { client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
       access_log /data/access.log; server { listen 127.0.0.1:8080; root /data; } }
END
exec nginx -c /tmp/nginx.conf -g "daemon off;"
"""
FETCH = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/').read().decode(), end='')"


def make_image(kelp, name, script, *changes):
    """debian:test with an entry point, as a build would make it; once for all tests of the module."""
    if kelp("image", "inspect", name).rc == 0:
        return
    build = "cat > /entry; chmod 755 /entry; install -d -m 777 /data"
    kelp.ok("run", "-i", "--name", "build", "debian:test", "bash", "-euc", build, input=script)
    options = [o for c in ('ENTRYPOINT ["/entry"]', *changes) for o in ("--change", c)]
    kelp.ok("commit", "-q", *options, "build", name, timeout=120)
    kelp.ok("rm", "build")


def belongs_to_the_caller(kelp, data):
    """Everything in there is the caller's, who gets rid of it as of any directory."""
    assert len(list(data.rglob("*"))) > 0
    assert owners(data) == {(kelp.user.uid, kelp.user.gid)}
    gone = kelp.execute(["rm", "-rf", data])
    assert gone.rc == 0 and not data.exists(), gone


@pytest.mark.xdist_group("debian")
def test_postgresql(debian_kelp):
    kelp, where = debian_kelp, "/var/lib/postgresql"
    make_image(kelp, "postgres:own", POSTGRES, f"ENV DATA={where}", "ENV RUNS_AS=postgres", f'VOLUME ["{where}"]')
    data = make_dir(kelp, "data")
    psql = ("exec", "pg", "psql", "-U", "postgres", "-h", "/tmp", "-Atc")
    for sql, want in (("create table t as select generate_series(1, 100) n; select sum(n) from t", "5050"),
                      ("select count(*) from t", "100")):
        kelp.ok("run", "-d", "--name", "pg", "-v", f"{data}:{where}", "--userns=keep-id:image", "postgres:own", timeout=120)
        wait_for(lambda: kelp(*psql, "select 1").rc == 0, 60, "PostgreSQL answers")
        assert kelp.ok(*psql, sql).split()[-1] == want
        kelp.ok("stop", "-t", "30", "pg")
        kelp.ok("rm", "pg")
    belongs_to_the_caller(kelp, data)


@pytest.mark.xdist_group("debian")
def test_redis(debian_kelp):
    kelp = debian_kelp
    make_image(kelp, "redis:own", REDIS, "ENV DATA=/var/lib/redis", "ENV RUNS_AS=redis", 'VOLUME ["/var/lib/redis"]')
    data = make_dir(kelp, "data")
    for command, want in ((("set", "key", "value"), "OK"), (("get", "key"), "value")):
        kelp.ok("run", "-d", "--name", "r", "-v", f"{data}:/var/lib/redis", "--userns=keep-id:image", "redis:own", timeout=120)
        wait_for(lambda: kelp("exec", "r", "redis-cli", "ping").out.strip() == "PONG", 30, "Redis answers")
        assert kelp.ok("exec", "r", "redis-cli", *command) == want
        assert kelp.ok("exec", "r", "ps", "-o", "user=", "-C", "redis-server") == "redis"
        kelp.ok("stop", "-t", "30", "r")
        kelp.ok("rm", "r")
    belongs_to_the_caller(kelp, data)


@pytest.mark.xdist_group("debian")
@pytest.mark.parametrize("changes, came_to, master", [((), "private", "root"), (("USER www-data",), "keep-id:uid=33,gid=33", "www-data")])
def test_nginx(debian_kelp, changes, came_to, master):
    """Its master process runs as root, which is the caller; in an image without root it is the image's user."""
    kelp, name = debian_kelp, f"nginx:{master}"
    make_image(kelp, name, NGINX, *changes)
    data = make_dir(kelp, "data")
    kelp.ok("run", "-d", "--name", "web", "-v", f"{data}:/data", "--userns=keep-id:image", name, timeout=120)
    assert userns_of(kelp, "web") == came_to
    wait_for(lambda: kelp("exec", "web", "python3", "-c", FETCH).rc == 0, 30, "nginx answers")
    assert kelp.ok("exec", "web", "ps", "-o", "user=", "-C", "nginx").split() == [master, "www-data"]
    kelp.ok("stop", "-t", "30", "web")
    assert "GET / HTTP" in (data / "access.log").read_text()
    belongs_to_the_caller(kelp, data)
