# SPDX-License-Identifier: Apache-2.0
"""
The classic set-up of docs/tutorial.md, from end to end: an application with PostgreSQL and Redis beside it, the data in the volumes of a container that
only holds them, the sources in a directory of the host, and an upgrade of the application that keeps the data.
"""
import os
import re

import pytest

from harness import wait_for

pytestmark = pytest.mark.xdist_group("debian")
IMAGE = "debian:test"

# Counts in both databases, says so on a port and in the source directory.
APP = """\
import http.server, os, socket, subprocess

VERSION = 1

def redis(*words):
    request = "*%d\\r\\n" % len(words) + "".join("$%d\\r\\n%s\\r\\n" % (len(w), w) for w in words)
    with socket.create_connection(("127.0.0.1", 6379)) as s:
        s.sendall(request.encode())
        return int(s.makefile().readline()[1:])

def sql(text):
    return subprocess.run(["psql", "-h", "127.0.0.1", "-U", "postgres", "-Atqc", text], check=True, capture_output=True, text=True).stdout

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sql("create table if not exists visits (version int); insert into visits values (%d)" % VERSION)
        body = "version %d, visit %s, hit %d\\n" % (VERSION, sql("select count(*) from visits").strip(), redis("INCR", "hits"))
        with open("/src/visits.log", "a") as log:
            log.write(body)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

http.server.HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""
DATABASE = ("install -d -o postgres -g postgres -m 700 /data/pg; cd /; PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; export PATH; "
            "exec su postgres -s /bin/bash -c 'test -e /data/pg/PG_VERSION || initdb -D /data/pg --auth=trust >/dev/null; "
            "exec postgres -D /data/pg -k /tmp -c listen_addresses=127.0.0.1'")
CACHE = ["redis-server", "--dir", "/data", "--appendonly", "yes", "--bind", "127.0.0.1"]
FETCH = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8000/').read().decode(), end='')"


class Setting:
    def __init__(self, kelp):
        self.kelp = kelp
        self.source = kelp.work / "src"
        self.source.mkdir()
        (self.source / "app.py").write_text(APP)
        for path in (self.source, self.source / "app.py"):
            os.chown(path, kelp.user.uid, kelp.user.gid)

    def build(self, version):
        """The application's image: the sources copied by a container, committed."""
        text = (self.source / "app.py").read_text()
        (self.source / "app.py").write_text(re.sub(r"VERSION = \d", f"VERSION = {version}", text))
        self.kelp.ok("run", "--name", "build", "-v", f"{self.source}:/src:ro", IMAGE, "install", "-D", "/src/app.py", "/opt/app/app.py")
        self.kelp.ok("commit", "-q", "-m", f"version {version}", "-c", 'CMD ["python3", "-u", "/opt/app/app.py"]',
                     "-c", f"LABEL version={version}", "build", f"app:{version}", timeout=300)
        self.kelp.ok("rm", "build")

    def databases(self):
        self.kelp.ok("run", "-d", "--name", "db", "--volumes-from", "data", IMAGE, "bash", "-c", DATABASE)
        self.kelp.ok("run", "-d", "--name", "cache", "--network", "container:db", "--volumes-from", "data", IMAGE, *CACHE)
        wait_for(lambda: self.kelp("exec", "db", "psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "select 1").rc == 0, 60, "PostgreSQL answers")
        wait_for(lambda: self.kelp("exec", "cache", "redis-cli", "ping").out.strip() == "PONG", 30, "Redis answers")

    def application(self, version):
        self.kelp.ok("run", "-d", "--name", "app", "--network", "container:db", "-v", f"{self.source}:/src", f"app:{version}")
        wait_for(lambda: "8000" in self.kelp("exec", "app", "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000)); print(8000)").out,
                 30, "the application listens")

    def visit(self):
        return self.kelp.ok("exec", "app", "python3", "-c", FETCH)


@pytest.fixture
def setting(debian_kelp):
    return Setting(debian_kelp)


def test_application_with_databases_and_an_upgrade(setting):
    kelp = setting.kelp
    setting.build(1)
    kelp.ok("create", "--name", "data", "-v", "/data", IMAGE, "true")
    setting.databases()
    setting.application(1)
    assert setting.visit() == "version 1, visit 1, hit 1"
    assert setting.visit() == "version 1, visit 2, hit 2"
    # What the container wrote into the source directory belongs to the caller.
    log = setting.source / "visits.log"
    assert log.read_text().splitlines()[-1] == "version 1, visit 2, hit 2"
    assert log.stat().st_uid == kelp.user.uid

    data, db, cache, app = (kelp.json("inspect", name)[0] for name in ("data", "db", "cache", "app"))
    volume = data["Mounts"][0]
    assert volume["Type"] == "volume" and volume["Destination"] == "/data" and volume["RW"] is True
    for user in (db, cache):
        assert user["Mounts"] == [volume] and user["HostConfig"]["VolumesFrom"] == ["data"]
        assert user["State"]["Running"] is True
    assert data["State"]["Status"] == "created"
    assert app["HostConfig"]["NetworkMode"] == cache["HostConfig"]["NetworkMode"] == f"container:{db['Id']}"
    bind = app["Mounts"][0]
    assert (bind["Type"], bind["Source"], bind["Destination"], bind["RW"]) == ("bind", str(setting.source), "/src", True)
    assert app["Config"]["Labels"]["version"] == "1" and app["Config"]["Image"] == "app:1"

    # The application alone is replaced.
    setting.build(2)
    kelp.ok("stop", "-t", "1", "app")
    kelp.ok("rm", "-v", "app")
    setting.application(2)
    assert setting.visit() == "version 2, visit 3, hit 3"
    # Then everything but what holds the data.
    kelp.ok("stop", "-t", "1", "app")
    kelp.ok("stop", "-t", "30", "cache", "db")
    kelp.ok("rm", "-v", "app", "cache", "db")
    setting.databases()
    setting.application(2)
    assert setting.visit() == "version 2, visit 4, hit 4"
    assert kelp.ok("exec", "db", "psql", "-h", "127.0.0.1", "-U", "postgres", "-Atc",
                   "select version, count(*) from visits group by 1 order by 1").split() == ["1|2", "2|2"]

    kelp.ok("rm", "-f", "app")
    kelp.ok("stop", "-t", "30", "cache", "db")
    kelp.ok("rm", "cache", "db")
    assert kelp.ok("volume", "ls", "-q") == volume["Name"]
    kelp.ok("rm", "-v", "data")
    assert kelp.ok("volume", "ls", "-q") == ""
    kelp.ok("rmi", "app:1", "app:2")
