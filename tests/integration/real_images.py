# SPDX-License-Identifier: Apache-2.0
"""
Real images for the tests, made from the machine's own Debian mirror with the tools of others: mmdebstrap, umoci, skopeo.

They are made once and kept outside the checkout, keyed by RECIPE (to be raised with every change of what they hold). As a program it makes them; under pytest
image(NAME) gives a path and makes what is missing, one process at a time.

  debian.tar          root file system: Debian with Python, PostgreSQL, nginx and Redis
  debian.oci          OCI layout directory, two layers, gzip
  debian-oci.tar      OCI archive          debian-docker.tar   Docker archive, as docker save writes it
  minbase.tar         Debian and nothing else: for load against tar x      minbase-docker.tar  the same as docker save writes it
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import time

PACKAGES = ["python3", "postgresql", "nginx-light", "redis-server", "procps", "util-linux", "login", "passwd"]
CACHE = pathlib.Path(os.environ.get("KELP_TEST_IMAGES", "/var/tmp/kelp-test-images"))
RECIPE = 1
KEY = f"{RECIPE}-" + hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
DIRECTORY = CACHE / KEY


def run(*command, **kw):
    print("+", *command, flush=True)
    subprocess.run(command, check=True, stdin=kw.pop("stdin", subprocess.DEVNULL), **kw)


def sources():
    """The Debian sources of this machine as lines for mmdebstrap: main only, whatever mirror is set up here."""
    form = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)"
    out = subprocess.run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], capture_output=True, text=True,
                         check=True).stdout
    lines = set()
    for line in out.splitlines():
        uri, codename, component, origin = line.split("|")
        if origin == "Debian" and component == "main":
            lines.add(f"deb {uri} {codename} main")
    if not lines:
        raise RuntimeError("apt knows no Debian source: run apt-get update")
    return sorted(lines)


def codename():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip('"')
    raise RuntimeError("/etc/os-release names no release")


def bootstrap_debian(target, packages):
    options = ["--variant=minbase", "--mode=root" if os.getuid() == 0 else "--mode=unshare", "--skip=check/empty"]
    for key in ("Acquire::http::Proxy", "Acquire::https::Proxy"):
        value = subprocess.run(["apt-config", "dump", "--format", "%v", key], capture_output=True, text=True, check=False).stdout
        if value:
            options.append(f'--aptopt={key} "{value}"')
    if packages:
        options.append("--include=" + ",".join(packages))
    # Services must not start in the chroot, and a cluster is what the test makes itself.
    options += ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Retries "3"',
                "--essential-hook=mkdir -p \"$1/etc/postgresql-common\" && echo 'create_main_cluster = false' "
                '> "$1/etc/postgresql-common/createcluster.conf"']
    text = "\n".join(sources()) + "\n"
    run("mmdebstrap", *options, codename(), str(target), "-", stdin=_pipe(text))


def _pipe(text):
    r, w = os.pipe()
    os.write(w, text.encode())
    os.close(w)
    return r


def second_layer(path):
    """What an image build on top of Debian would add, change and remove."""
    import rootfs
    site = "server { listen 127.0.0.1:8080; location / { return 200 'kelp says hello\\n'; } }\n"
    path.write_bytes(rootfs.write_tar([
        rootfs.entry("etc/", "dir"), rootfs.entry("etc/nginx/", "dir"), rootfs.entry("etc/nginx/conf.d/", "dir"),
        rootfs.entry("etc/nginx/conf.d/hello.conf", data=site),
        rootfs.entry("etc/nginx/sites-enabled/", "dir"), rootfs.entry("etc/nginx/sites-enabled/.wh.default"),
        rootfs.entry("srv/", "dir"), rootfs.entry("srv/data/", "dir", uid=33, gid=33, mode=0o750),
    ]))


def make_minbase(tmp):
    bootstrap_debian(tmp / "minbase.tar", [])


def make_debian_tar(tmp):
    bootstrap_debian(tmp / "debian.tar", PACKAGES)


def make_debian_oci(tmp):
    layout = f"{tmp}/debian.oci"
    second_layer(tmp / "layer2.tar")
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", layout + ":debian")
    for layer in (DIRECTORY / "debian.tar", tmp / "layer2.tar"):
        run("umoci", "raw", "add-layer", "--image", layout + ":debian", str(layer))
    run("umoci", "config", "--image", layout + ":debian", "--config.cmd", "bash", "--config.env", "LC_ALL=C.UTF-8",
        "--config.label", "made.by=tests", "--config.workingdir", "/srv")
    run("umoci", "gc", "--layout", layout)
    (tmp / "layer2.tar").unlink()


def skopeo(source, target):
    run("skopeo", "--insecure-policy", "copy", source, target)


def make_oci_archive(tmp):
    skopeo(f"oci:{DIRECTORY}/debian.oci:debian", f"oci-archive:{tmp}/debian-oci.tar:debian:test")


def make_docker_archive(tmp):
    skopeo(f"oci:{DIRECTORY}/debian.oci:debian", f"docker-archive:{tmp}/debian-docker.tar:docker.io/library/debian:test")


def make_minbase_docker(tmp):
    layout = f"{tmp}/layout"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", layout + ":minbase")
    run("umoci", "raw", "add-layer", "--image", layout + ":minbase", str(DIRECTORY / "minbase.tar"))
    skopeo(f"oci:{layout}:minbase", f"docker-archive:{tmp}/minbase-docker.tar:docker.io/library/minbase:test")


MAKERS = {"minbase.tar": make_minbase, "debian.tar": make_debian_tar, "debian.oci": make_debian_oci,
          "debian-oci.tar": make_oci_archive, "debian-docker.tar": make_docker_archive,
          "minbase-docker.tar": make_minbase_docker}
NEEDS = {"debian.oci": ["debian.tar"], "debian-oci.tar": ["debian.oci"], "debian-docker.tar": ["debian.oci"],
         "minbase-docker.tar": ["minbase.tar"]}


def image(name):
    """Path of an image, made when it is missing. Whoever comes while it is being made waits."""
    for need in NEEDS.get(name, []):
        image(need)
    path = DIRECTORY / name
    if path.exists():
        return path
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for d in (CACHE, DIRECTORY):
        os.chmod(d, 0o755)
    with open(DIRECTORY / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        tmp = DIRECTORY / f".making-{name}"
        shutil.rmtree(tmp, ignore_errors=True)
        tmp.mkdir()
        start = time.monotonic()
        MAKERS[name](tmp)
        _readable(tmp / name)
        (tmp / name).rename(path)
        shutil.rmtree(tmp, ignore_errors=True)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    return path


def _readable(path):
    for p in [path, *path.rglob("*")] if path.is_dir() else [path]:
        os.chmod(p, 0o755 if p.is_dir() else 0o644)


def size(path):
    """Bytes of the files in a tar."""
    with tarfile.open(path) as tar:
        return sum(m.size for m in tar if m.isreg())


def remove_old():
    with contextlib.suppress(OSError):
        for d in CACHE.iterdir():
            if d.name != KEY:
                shutil.rmtree(d, ignore_errors=True)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    remove_old()
    for each in MAKERS:
        image(each)
        print(each, (DIRECTORY / each).stat().st_size, flush=True)
