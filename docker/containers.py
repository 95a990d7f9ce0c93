# SPDX-License-Identifier: Apache-2.0
"""`make containers`: build both images, run the default experiment in them, and show that it holds.

What is run is a copy of this working tree, as a fresh clone would be, owned by the user that the containers run as. It
ends with exit code 1 and a line that says why if there is no engine, or if anything is not as it should be. In each
case containers, networks, volumes and images that it made are gone afterwards, and the daemon that it started.
"""

import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from commands import Failed, attempt, beside, run
from composed import BUILD_S, CALL_S, PROJECT, RUN_S, Composed
from engine import Engine, engine
from layers import problems
from studied import forget, studied

from cosim.record.journal import TABLES, UNREPEATABLE, Journal

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ("wdmoe-cosim-network", "wdmoe-cosim-model")
STROKES = (  # after so many exchanges
    (200, "network", "docker kill"),
    (400, "model", "docker kill"),
    (600, "network", "SIGKILL from the host"),
    (800, "model", "SIGKILL from the host"),
)
ATTACK_S = 8
LONGER = "--policy top-k --set radio.scenario=nr --set workload.new_tokens=96"
LOG_LINES, GROWTH_BYTES = 300, 192 << 20


def main() -> int:
    """Exit code 0 if all is well, 1 if not, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began_s = time.monotonic()
    try:
        with engine() as found, tempfile.TemporaryDirectory(prefix="cosim-containers-", dir="/tmp") as scratch:
            say(began_s, f"engine: {found.name}")
            check(found, Path(scratch), began_s)
    except Failed as error:
        print(f"make containers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make containers: stopped by the user", file=sys.stderr)
        return 130
    say(began_s, "all is well, and nothing is left of it")
    return 0


def say(began_s: float, words: str) -> None:
    print(f"{time.monotonic() - began_s:5.0f} s  {words}", flush=True)


def check(found: Engine, scratch: Path, began_s: float) -> None:
    """All that is to be shown, one after another. Raises `Failed` at the first that is not so."""
    clone = scratch / "clone"
    uid, gid = (os.geteuid(), os.getegid()) if os.geteuid() else (1000, 1000)
    composed = Composed(found, clone, uid, gid)
    copy_tree(clone, uid, gid, found.stand_in)
    with cleaned(composed):
        with ExitStack() as beside_each_other:
            steps = [composed.building(service) for service in ("network", "model")]
            steps += [run_here(scratch, name, words) for name, words in (("undisturbed", ""), ("longer", LONGER))]
            for ended in [beside_each_other.enter_context(step) for step in steps]:
                ended()
        sizes = composed.docker("image", "ls", "--format", "{{.Repository}} {{.Size}}").splitlines()
        say(began_s, "ran without containers, and built " + ", ".join(x for x in sizes if x.startswith(IMAGES)))

        composed.compose("up", "--build", "--exit-code-from", "model", limit_s=RUN_S)
        compare(scratch / "undisturbed", composed, "default")
        say(began_s, f"in containers: {told(composed, 'default')}")
        secrets = keys_of(composed)
        look_for_secrets(composed, secrets, "default")

        struck(composed)
        compare(scratch / "longer", composed, "struck")
        say(began_s, f"each side lost by docker kill and by SIGKILL: {told(composed, 'struck')}")

        say(began_s, f"attacked from two more containers: {attacked(composed)}")
        compare(scratch / "longer", composed, "attacked")
        say(began_s, f"under attack: {told(composed, 'attacked')}")
        look_for_secrets(composed, secrets, "attacked")
        for image in IMAGES:
            inspect_layers(composed, image, scratch, secrets)
        say(began_s, "no key, cache, package list or static library in any layer")
        say(began_s, f"a study on two workers: {studied(composed.environment(), composed.clone, scratch)}")


def run_here(scratch: Path, name: str, arguments: str) -> AbstractContextManager[Callable[[], None]]:
    """A run without containers into the folder `name`, which goes on meanwhile, as `beside` says."""
    command: list[str | Path] = [sys.executable, "-m", "cosim.cli", "run", "--out", scratch / name, *arguments.split()]
    return beside(command, BUILD_S, environment={**os.environ, "PYTHONPATH": str(ROOT)}, folder=scratch)


def copy_tree(clone: Path, uid: int, gid: int, stand_in: bool) -> None:
    """What git would give to a fresh clone, and what is not committed yet; the user's own, as a clone would be."""
    listed = run(["git", "ls-files", "-coz", "--exclude-standard"], CALL_S, folder=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    if stand_in:  # then this machine's pip knows better than an index which PyTorch it is to be
        wheels = clone / "docker" / "wheels"
        pinned: list[str | Path] = ["-c", ROOT / "constraints.txt", "torch"]
        run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", wheels, *pinned], BUILD_S)
    if os.geteuid() == 0:
        for path in (clone, *clone.rglob("*")):
            os.chown(path, uid, gid)


@contextmanager
def cleaned(composed: Composed) -> Iterator[None]:
    """Whatever happens inside, no container, network, volume or image of ours is there afterwards."""
    try:
        yield
    finally:
        with suppress(Failed):
            composed.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "2")
        forget(composed.environment(), composed.clone)
        for image in IMAGES:
            attempt(["docker", "image", "rm", "--force", image], CALL_S, environment=composed.engine.environment)


def compare(undisturbed: Path, composed: Composed, name: str) -> None:
    """Hold a run's journal against the undisturbed one, row by row, and see whose its files are."""
    folder = composed.clone / "runs" / name
    for path in (folder, *folder.rglob("*")):
        if (path.stat().st_uid, path.stat().st_gid) != (composed.uid, composed.gid):
            raise Failed(f"{path.relative_to(composed.clone)} belongs to user {path.stat().st_uid}")
    with closing(Journal.open(undisturbed)) as wanted, closing(Journal.open(folder)) as found:
        for table in sorted(set(TABLES) - set(UNREPEATABLE)):
            rows = [sorted(map(repr, journal.rows(f"SELECT * FROM {table}"))) for journal in (wanted, found)]
            if rows[0] != rows[1]:
                first = next(
                    (pair for pair in zip(*rows, strict=False) if pair[0] != pair[1]), ("", "a row more or less")
                )
                raise Failed(f"run {name}, table {table}: {first[1][:300]}, and without containers {first[0][:300]}")
        if wanted.fingerprint() != found.fingerprint():
            raise Failed(
                f"run {name}: fingerprint {found.fingerprint()}, and without containers {wanted.fingerprint()}"
            )


def told(composed: Composed, name: str) -> str:
    """What a run's journal says of itself."""
    with closing(Journal.open(composed.clone / "runs" / name)) as journal:
        ((exchanges,),) = journal.rows("SELECT count(*) FROM exchanges")
        events = ", ".join(kind for (kind,) in journal.rows("SELECT kind FROM events ORDER BY event"))
        return (
            f"{exchanges} exchanges as without containers, fingerprint {journal.fingerprint()[:16]}; events: {events}"
        )


def keys_of(composed: Composed) -> list[bytes]:
    """The secret keys of both sides; each side's volume holds its own alone."""
    seen = []
    for side, other in (("network", "model"), ("model", "network")):
        volume = f"{PROJECT}_{side}-keys:/keys:ro"
        held = aside(composed, "sh", "-c", "cd /keys && ls && cat *_secret", options=["--volume", volume])
        if not held.startswith("\n".join(sorted([f"{other}.key", f"{side}.key_secret", "ready"]))):
            raise Failed(f"the {side}'s side does not hold its own two keys alone")
        seen += [key.encode() for key in re.findall(r'secret-key = "(.{40})"', held)]
    if len(seen) != 2:
        raise Failed(f"there are {len(seen)} secret keys, not one for each side")
    return seen


def aside(
    composed: Composed, *command: str, options: Sequence[str] = (), limit_s: float = CALL_S, name: str = "aside"
) -> str:
    """What a command says in a third container of the network's image, locked down like the others."""
    locked = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    locked += ["--user", f"{composed.uid}:{composed.gid}"]
    container = f"{PROJECT}-{name}"
    try:
        return composed.docker(
            *("run", "--rm", "--name", container, "--memory", "1g", "--pids-limit", "256", *locked, *options),
            *("--entrypoint", command[0], IMAGES[0], *command[1:]),
            limit_s=limit_s,
        )
    finally:
        attempt(["docker", "rm", "--force", container], CALL_S, environment=composed.engine.environment)


def look_for_secrets(composed: Composed, secrets: list[bytes], name: str) -> None:
    """No log and no journal holds a key."""
    for service in ("keys", "network", "model"):
        if any(secret in composed.log(service).encode() for secret in secrets):
            raise Failed(f"the log of {service} holds a key")
    for path in (composed.clone / "runs" / name).iterdir():
        if any(secret in path.read_bytes() for secret in secrets):
            raise Failed(f"{path.name} of run {name} holds a key")


def struck(composed: Composed) -> None:
    """Kill either container in mid-run, in either way, and see the run to its end.

    `docker kill` counts as a stop by hand, after which Docker applies no restart policy: `docker compose up` is what
    brings the container back. A process that dies of SIGKILL otherwise (for want of memory, say) is restarted.
    """
    composed.compose("down", "--timeout", "2")
    composed.compose("up", "--detach", run_name="struck", arguments=LONGER, limit_s=RUN_S)
    for exchanges, service, how in STROKES:
        composed.until_recorded("struck", exchanges)
        if composed.state("model", "State.Status") != "running":
            raise Failed(f"the run came to its end before the {service} could be lost by {how}")
        if how == "docker kill":
            composed.docker("kill", composed.container(service))
            composed.compose("up", "--detach", run_name="struck", arguments=LONGER, limit_s=RUN_S)
        else:
            kill_process(composed, service)
    composed.wait_for_end()
    for service in ("network", "model"):
        if (restarts := composed.state(service, "RestartCount")) != 1:
            raise Failed(f"{service} was restarted {restarts} times, not once")


def kill_process(composed: Composed, service: str) -> None:
    """Kill a container's process from outside."""
    try:
        os.kill(composed.state(service, "State.Pid"), signal.SIGKILL)
    except OSError as error:
        raise Failed(
            f"the process of {service} cannot be killed from here ({error.strerror}); run this as root"
        ) from None


def attacked(composed: Composed) -> str:
    """Have two more containers attack the network's side in mid-run, at once; in words, what came of it."""
    composed.compose("down", "--timeout", "2")
    composed.compose("up", "--detach", run_name="attacked", arguments=LONGER, limit_s=RUN_S)
    composed.until("model", "virtual time")
    locked_down(composed)
    before_bytes = peak_bytes(composed)
    with ThreadPoolExecutor() as pool:
        said = pool.map(partial(adversary, composed), (False, True))
    for has_keys, what in zip((False, True), said, strict=True):
        if what.endswith("got nothing\n") == has_keys:
            raise Failed(f"an adversary {'with' if has_keys else 'without'} keys says:\n{what}")
    still_running = composed.state("model", "State.Running")
    composed.wait_for_end()
    grown_bytes = peak_bytes(composed) - before_bytes
    lines = composed.log("network").splitlines()
    if not still_running:
        raise Failed("the run came to its end before the attack did")
    if grown_bytes > GROWTH_BYTES:
        raise Failed(f"the network's side took {grown_bytes >> 20} MiB more while it was attacked")
    if len(lines) > LOG_LINES:
        raise Failed(
            f"the network's side printed {len(lines)} lines while it was attacked, the last: {lines[-1][:200]}"
        )
    if composed.state("network", "RestartCount") or composed.state("model", "RestartCount"):
        raise Failed(f"a container was restarted while it was attacked:\n{composed.log('network')[-2000:]}")
    memory = f"{max(0, grown_bytes) >> 20} MiB more memory at its peak"
    return f"without keys it got nothing; {len(lines)} lines of log, {memory}"


def adversary(composed: Composed, has_keys: bool) -> str:
    """What an adversary in a container of its own says in the end."""
    return aside(
        composed,
        *("python", "-m", "tests.support.adversary", "tcp://network:5555", "--seconds", str(ATTACK_S)),
        *(("--keys", "/keys") if has_keys else ()),
        options=[
            *("--network", f"{PROJECT}_bridge", "--volume", f"{PROJECT}_model-keys:/keys:ro"),
            *("--volume", f"{composed.clone}:/clone:ro", "--workdir", "/clone", "--tmpfs", "/tmp"),
        ],
        limit_s=ATTACK_S + CALL_S,
        name="with-keys" if has_keys else "without-keys",
    )


def locked_down(composed: Composed) -> str:
    """Hold against the running containers what compose.yaml asks for; in words."""
    network = f"{PROJECT}_bridge"
    if composed.docker("network", "inspect", "--format", "{{.Internal}}", network).strip() != "true":
        raise Failed(f"there is a way out of the network {network}")
    for service in ("network", "model"):
        inside = composed.docker(
            *("exec", composed.container(service), "sh", "-c"),
            "cat /proc/self/status; touch /opt/x 2>&1 || true",
        )
        host = composed.state(service, "HostConfig")
        wanted = {
            "capabilities": re.findall(r"^Cap(?:Eff|Bnd):\s*(\w+)", inside, re.MULTILINE) == ["0" * 16] * 2,
            "privileges": "NoNewPrivs:\t1" in inside,
            "user": f"Uid:\t{composed.uid}\t" in inside,
            "root file system": "Read-only file system" in inside,
            "networks": list(composed.state(service, "NetworkSettings.Networks")) == [network],
            "memory": host["Memory"] > 0 and host["MemorySwap"] == host["Memory"],
            "processes": host["PidsLimit"] > 0,
            "CPU": host["NanoCpus"] > 0,
            "published ports": not any(composed.state(service, "NetworkSettings.Ports").values()),
        }
        if bad := [what for what, good in wanted.items() if not good]:
            raise Failed(f"{service} is not locked down: {', '.join(bad)}")
    return "read-only root, no capabilities, no new privileges, limits, a network without a way out, no published port"


def peak_bytes(composed: Composed) -> int:
    """The most memory that the network's container has used, page cache and all (cgroup version 1 or 2)."""
    files = "/sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
    command = f"cat {files} 2>/dev/null | head -n 1"
    said = composed.docker("exec", composed.container("network"), "sh", "-c", command).strip()
    if not said:
        raise Failed("this kernel does not tell how much memory a container has used (memory.peak)")
    return int(said)


def inspect_layers(composed: Composed, image: str, scratch: Path, secrets: list[bytes]) -> None:
    """Save an image and look into each layer."""
    archive = scratch / "image.tar"
    composed.docker("save", "--output", str(archive), image, limit_s=RUN_S)
    if found := list(problems(archive, secrets)):
        raise Failed(f"{image} holds what no image should: {'; '.join(found[:5])} ({len(found)} in all)")
    archive.unlink()


if __name__ == "__main__":
    sys.exit(main())
