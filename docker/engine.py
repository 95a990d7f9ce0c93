# SPDX-License-Identifier: Apache-2.0
"""A container engine: the machine's own, or one of Debian's packages that is started here and leaves no trace.

Where no image can be pulled either, a stand-in for `debian:bookworm-slim` is made of Debian's packages. What a build
needs to reach the machine's package sources (apt's and pip's settings, the bundle of certificates) goes into the
stand-in, which is never published; all of it is read from the machine, so that no address stands in this repository.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from commands import Failed, attempt, run

BASE = "debian:bookworm-slim"
_RELEASE, _PLUGINS_RELEASE = "bookworm", "trixie"
_PLUGINS = {"compose": "docker-compose", "buildx": "docker-buildx"}
_DAEMON_S = 30.0


@dataclass(frozen=True)
class Engine:
    """How to call the engine, and whether the base image is a stand-in of ours."""

    environment: dict[str, str]
    name: str
    stand_in: bool


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine with compose, buildx and the base image. At the end, what was started or made for it is gone.

    Raises `Failed` if there is none to be had.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cosim-engine-", dir="/tmp")))
        environment = dict(os.environ)
        whose = "the machine's own"
        if _server(environment) is None:
            environment |= {"DOCKER_CONFIG": str(scratch / "config")}
            (scratch / "config").mkdir()
            (scratch / "config" / "config.json").write_text("{}")
            environment["DOCKER_HOST"] = stack.enter_context(_daemon(scratch))
            whose = "started here, of Debian's packages"
        if missing := [
            name for name in _PLUGINS if attempt(["docker", name, "version"], 30, environment=environment)[0]
        ]:
            environment["DOCKER_CONFIG"] = str(_add_plugins(missing, scratch, environment))
        versions = [_version(name, environment) for name in _PLUGINS]
        stand_in = stack.enter_context(_base(scratch, environment))
        yield Engine(environment, f"Docker {_server(environment)} ({whose}), {', '.join(versions)}", stand_in)


def _server(environment: dict[str, str]) -> str | None:
    code, version, _ = attempt(["docker", "version", "--format", "{{.Server.Version}}"], 30, environment=environment)
    return None if code else version.strip()


def _version(plugin: str, environment: dict[str, str]) -> str:
    said = run(["docker", plugin, "version"], 30, environment=environment)
    found = re.search(r"\d+\.\d+\S*", said)
    return f"{plugin} {found[0] if found else said.strip()}"


@contextmanager
def _daemon(scratch: Path) -> Iterator[str]:
    """A Docker daemon of our own, its address; as root, with what it needs installed if it is not there."""
    _install({"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables", "ip": "iproute2"})
    if taken := Path("/sys/class/net/docker0").exists():
        print("note: there is a network device docker0 already; it is left there")
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    forwarded = forwarding.read_text()
    place = scratch / "daemon"
    place.mkdir()
    address = f"unix://{place}/socket"
    command = [
        "dockerd",
        "--data-root",
        place / "data",
        "--exec-root",
        place / "exec",
        "-p",
        place / "pid",
        "-H",
        address,
    ]
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        end_s = time.monotonic() + _DAEMON_S
        while _server({**os.environ, "DOCKER_HOST": address}) is None:
            if process.poll() is not None or time.monotonic() > end_s:
                words = "\n  ".join((place / "log").read_text(errors="replace").splitlines()[-6:])
                raise Failed(f"dockerd does not come up:\n  {words}")
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its containerd, too
            process.wait()
        _unmount(scratch)
        if not taken:
            attempt(["ip", "link", "delete", "docker0"], 10)
            _remove_rules()
            forwarding.write_text(forwarded)


def _unmount(scratch: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{scratch}/")), reverse=True):
        attempt(["umount", "--lazy", mount], 10)


def _remove_rules() -> None:
    """Take out of the packet filter what dockerd leaves in it."""
    code, rules, _ = attempt(["iptables-save"], 10)
    if code == 0:
        ours = re.compile(r"DOCKER|docker0|\bbr-[0-9a-f]{12}\b")
        kept = "\n".join(line for line in rules.splitlines() if not ours.search(line))
        attempt(["iptables-restore"], 10, text=kept.replace(":FORWARD DROP", ":FORWARD ACCEPT") + "\n")


def _install(packages: dict[str, str]) -> None:
    """Install the Debian packages of those programs that are not there."""
    missing = sorted({package for program, package in packages.items() if shutil.which(program, path=_PATH) is None})
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Failed(
            f"{', '.join(missing)} is not installed, and only root on Debian can install it here; "
            "start a Docker engine, or run this as root"
        )
    print(f"installing {', '.join(missing)}")
    quiet = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([*quiet, "update"], 180, environment=environment)
    run([*quiet, "install", "--yes", "--no-install-recommends", *missing], 300, environment=environment)


_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _sources() -> dict[str, str]:
    """Where this machine has Debian's packages from: the address of each release and of its updates."""
    form = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    _, targets, _ = attempt(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], 30)
    sources = re.findall(r"^((?:bookworm|trixie)(?:-updates|-security)?) main (\S+)$", targets, re.MULTILINE)
    return {release: address.rstrip("/") for release, address in sources}


def _mirror() -> str:
    plain = [address for release, address in _sources().items() if "-" not in release]
    if not plain:
        raise Failed("apt on this machine has no source of Debian's packages; install Docker with compose and buildx")
    return plain[0]


def _add_plugins(missing: list[str], scratch: Path, environment: dict[str, str]) -> Path:
    """A folder of Docker settings with the plugins that are missing, out of Debian's packages; nothing is installed."""
    packages = [_PLUGINS[name] for name in missing]
    print(f"unpacking {', '.join(packages)} of Debian {_PLUGINS_RELEASE}")
    place = scratch / "plugins"
    for folder in ("lists/partial", "cache/archives/partial", "unpacked"):
        (place / folder).mkdir(parents=True)
    place.chmod(0o755)
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (place / "sources.list").write_text(f"deb [signed-by={keyring}] {_mirror()} {_PLUGINS_RELEASE} main\n")
    apart = [
        *("-o", f"Dir::Etc::sourcelist={place}/sources.list", "-o", "Dir::Etc::sourceparts=-"),
        *("-o", f"Dir::State::lists={place}/lists", "-o", f"Dir::Cache={place}/cache", "-o", "APT::Sandbox::User=root"),
    ]
    run(["apt-get", "-qq", *apart, "update"], 180)
    run(["apt-get", "-qq", *apart, "download", *packages], 180, folder=place)
    for package in place.glob("*.deb"):
        run(["dpkg-deb", "-x", package, place / "unpacked"], 60)
    settings = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")
    config = scratch / "config"
    if settings != config:
        shutil.copytree(settings, config) if settings.is_dir() else config.mkdir()
    (config / "cli-plugins").mkdir(exist_ok=True)
    for name in missing:
        shutil.copy2(place / "unpacked/usr/libexec/docker/cli-plugins" / f"docker-{name}", config / "cli-plugins")
    return config


@contextmanager
def _base(scratch: Path, environment: dict[str, str]) -> Iterator[bool]:
    """See to the base image; whether it is a stand-in, which is removed at the end."""
    if attempt(["docker", "image", "inspect", BASE], 30, environment=environment)[0] == 0:
        yield False
        return
    code, _, _ = attempt(["docker", "pull", "--quiet", BASE], 180, environment=environment)
    if code == 0:
        yield False
        return
    print(f"{BASE} cannot be pulled: making a stand-in of Debian's packages")
    _install({"debootstrap": "debootstrap"})
    root = scratch / "base"
    run(["debootstrap", "--variant=minbase", _RELEASE, root, _mirror()], 300)
    _tell_where_packages_are(root)
    archive = scratch / "base.tar"
    run(["tar", "-C", root, "--numeric-owner", "-cf", archive, "."], 60)
    run(["docker", "import", archive, BASE], 120, environment=environment)
    shutil.rmtree(root)
    archive.unlink()
    try:
        yield True
    finally:
        attempt(["docker", "image", "rm", "--force", BASE], 60, environment=environment)


def _tell_where_packages_are(root: Path) -> None:
    """Give a root file system this machine's settings of apt and pip, and empty what debootstrap left.

    As in Debian's own images, dpkg does not wait for the disk after each file.
    """
    (root / "etc/dpkg/dpkg.cfg.d/docker-apt-speedup").write_text("force-unsafe-io\n")
    shutil.copytree("/etc/apt/apt.conf.d", root / "etc/apt/apt.conf.d", dirs_exist_ok=True)
    sources = {_RELEASE: _mirror()} | {name: at for name, at in _sources().items() if name.startswith(_RELEASE)}
    (root / "etc/apt/sources.list").write_text("".join(f"deb {at} {name} main\n" for name, at in sources.items()))
    for folder in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    listed = run([sys.executable, "-m", "pip", "config", "list"], 30)
    settings = dict(re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    kept = {
        name: settings[name] for name in ("index-url", "extra-index-url", "trusted-host", "timeout") if name in settings
    }
    if "extra-index-url" in kept:  # folders of this machine are not there in a build
        kept["extra-index-url"] = " ".join(url for url in kept["extra-index-url"].split() if url.startswith("http"))
    if "cert" in settings:
        # Not at Debian's own place, which the package ca-certificates writes anew.
        (root / "etc/ssl").mkdir(exist_ok=True)
        shutil.copy2(settings["cert"], root / "etc/ssl/machine.crt")
        kept["cert"] = "/etc/ssl/machine.crt"
    lines = "".join(f"{name} = {value}\n" for name, value in kept.items() if value)
    (root / "etc/pip.conf").write_text(f"[global]\n{lines}")
