# SPDX-License-Identifier: Apache-2.0
"""What can be said of the containers without an engine; `make containers` runs them."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from cosim.record.journal import Journal
from tests import ROOT

DOCKER = ROOT / "docker"
sys.path.insert(0, str(DOCKER))

from commands import Failed, run  # noqa: E402
from layers import problems  # noqa: E402
from requirements import requirements  # noqa: E402

from tests.support.cosim_process import cosim  # noqa: E402

DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
TEXT = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)


OF_STUDIES = (DOCKER / "study.yaml").read_text(encoding="utf-8")
SERVICES = [*COMPOSE["services"].items(), *yaml.safe_load(OF_STUDIES)["services"].items()]


@pytest.mark.parametrize(("name", "service"), SERVICES, ids=lambda part: part if isinstance(part, str) else "")
def test_every_service_is_locked_down(name, service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= (128 if name == "worker" else 64)
    assert service["ulimits"]["nofile"] <= 8192
    assert service["mem_limit"] == service["memswap_limit"]
    assert {"cpus", "user"} <= service.keys()
    assert not {"ports", "privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()
    assert service.get("network_mode") == "none" or service["networks"] in (["bridge"], ["cluster"])
    assert "docker.sock" not in str(service)


def test_nobody_else_is_composed_and_the_network_has_no_way_out():
    assert COMPOSE["services"].keys() == {"keys", "network", "model"}
    assert COMPOSE["networks"] == {"bridge": {"internal": True}}
    assert yaml.safe_load(OF_STUDIES)["networks"] == {"cluster": {"internal": True}}


def test_each_side_sees_its_own_keys_alone_and_cannot_write_them():
    for side, other in (("network", "model"), ("model", "network")):
        volumes = COMPOSE["services"][side]["volumes"]
        assert f"{side}-keys:/keys:ro" in volumes
        assert not any(volume.startswith(f"{other}-keys") for volume in volumes)


@pytest.mark.parametrize(("text", "page"), [(TEXT, "docs/inside/containers.md"), (OF_STUDIES, "docs/runs/cluster.md")])
def test_the_table_of_variables_is_that_of_the_composition(text, page):
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    page = (ROOT / page).read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`|none) \|", page, re.MULTILINE))
    folders = {name: default for name, default in used.items() if default.startswith(".")}
    as_told = {name: str(Path("docker") / default).replace("docker/../", "") for name, default in folders.items()}
    assert table == used | as_told


@pytest.mark.parametrize("default", sorted({*re.findall(r":-(\.[^}]*)\}", TEXT + OF_STUDIES)}))
def test_what_is_mounted_by_default_is_in_a_fresh_clone(default):
    """Docker would make a missing folder as root."""
    place = os.path.relpath((DOCKER / default).resolve(), ROOT)
    assert run(["git", "ls-files", place], 10, folder=ROOT), place


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_is_made_of_pinned_packages_for_a_user_who_is_not_root(path):
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"debian:bookworm-slim", "system"}
    assert "# syntax=" not in text
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert installs
    assert all("-c constraints.txt" in line or "--no-deps ." in line for line in installs)
    assert re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE) == [("10001", "10001")]
    last = text[text.rindex("\nFROM ") :]
    assert "apt-get" not in last
    assert "pip" not in last


def test_each_image_lacks_the_other_sides_packages():
    project = ROOT / "pyproject.toml"
    left_out = {
        side: re.search(r"requirements.py pyproject.toml ([\w -]+) >", (DOCKER / f"{side}.Dockerfile").read_text())
        for side in ("network", "model")
    }
    installed = {
        side: [re.split(r"[^\w-]", each)[0] for each in requirements(project, set(match[1].split()))]
        for side, match in left_out.items()
    }
    assert "ns3" in installed["network"]
    assert not {"torch", "transformers"} & set(installed["network"])
    assert {"torch", "transformers"} <= set(installed["model"])
    assert "ns3" not in installed["model"]
    with pytest.raises(ValueError, match="nonsense: no dependency"):
        requirements(project, {"nonsense"})


def test_the_network_side_imports_nothing_that_its_image_lacks():
    code = (
        "import sys\n"
        "for name in ('bokeh', 'greenlet', 'jinja2', 'matplotlib', 'numba', 'numpy', 'scipy', 'torch', 'transformers', "
        "'tueplots', 'model_side'): sys.modules[name] = None\n"
        "import bridge.health, cosim.cli, ns3_scenarios.__main__\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_manifest_of_a_study_is_valid_and_locked_down():
    (manifest,) = yaml.safe_load_all((DOCKER / "study-kubernetes.yaml").read_text(encoding="utf-8"))
    assert [item["kind"] for item in manifest["items"]] == ["Service", "Deployment", "Deployment", "Job"]
    for item in manifest["items"]:
        kubernetes_validate.validate(item, "1.33", strict=True)
    for item in manifest["items"][1:]:
        pod = item["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod["volumes"]}
        words = [*container.get("command", []), *container["args"]]
        assert words[0] == "sweep" or {"--tls-ca-file", "--tls-cert", "--tls-key"} <= set(words)


def test_the_manifest_is_valid_and_locked_down():
    manifest = yaml.safe_load((DOCKER / "kubernetes.yaml").read_text(encoding="utf-8"))
    kubernetes_validate.validate(manifest, "1.33", strict=True)
    pod = manifest["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    containers = pod["initContainers"] + pod["containers"]
    assert [container["name"] for container in containers] == ["network", "model"]
    for container in containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert "ports" not in container


def saved_image(path: Path, layers: list[dict[str, bytes]]) -> Path:
    """What `docker save` would write of an image with these files."""

    def archive(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    names = [f"{number}/layer.tar" for number in range(len(layers))]
    files = dict(zip(names, map(archive, layers), strict=True))
    files["manifest.json"] = json.dumps([{"Config": "config.json", "Layers": names}]).encode()
    path.write_bytes(archive(files | {"config.json": b"{}"}))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "opt/keys/model.key_secret",
        "root/.cache/pip/http/a/b",
        "wheels/torch-2.13.0-cp311.whl",
        "var/lib/apt/lists/mirror_dists_bookworm_main_binary-amd64_Packages.lz4",
        "var/cache/apt/archives/g++_12_amd64.deb",
        "root/.ccache/0/1/2",
        "opt/cosim/lib/python3.11/site-packages/ns3_scenarios/radio.o",
        "src/.git/HEAD",
    ],
)
def test_what_must_not_be_in_a_layer_is_found_there(tmp_path, name):
    image = saved_image(tmp_path / "image.tar", [{"usr/lib/gcc/crtbegin.o": b"", name: b"x"}, {"etc/fine": b""}])
    (problem,) = problems(image)
    assert name in problem


def test_a_key_is_found_wherever_it_is_in_a_layer(tmp_path):
    secret = b"k" * 40
    layers = [{"a": bytes((1 << 20) - 20) + secret + bytes(10)}, {"b": secret[:39]}]
    assert list(problems(saved_image(tmp_path / "image.tar", layers), [secret])) == ["a key in a"]


def test_a_command_that_fails_or_hangs_is_named():
    with pytest.raises(Failed, match="exit code 3:\n  no such luck"):
        run(["sh", "-c", "echo no such luck >&2; exit 3"], 10)
    with pytest.raises(Failed, match=r"within 0\.1 s"):
        run(["sh", "-c", "sleep 60 & wait"], 0.1)


def test_run_or_resume_begins_goes_on_and_shows(tiny_model, tmp_path):
    folder = tmp_path / "run"
    text = tmp_path / "text.txt"
    text.write_text("Call me Ishmael. Some years ago, never mind how long precisely, I went to sea. " * 40)
    settings = {"model.path": tiny_model, "workload.text": text, "workload.requests": 1, "workload.prompt_tokens": 8}
    given = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = ["run", "--scenario", "wired", "--out", str(folder), "--or-resume", *given]

    def fingerprint() -> str:
        journal = Journal.open(folder)
        try:
            return journal.fingerprint()
        finally:
            journal.close()

    begun = cosim(*command)
    assert begun.returncode == 0, begun.stderr
    whole = fingerprint()
    shown = cosim(*command)
    assert (shown.returncode, "came to its end before" in shown.stdout, whole[:16] in shown.stdout) == (0, True, True)
    other = cosim(*command, "--policy", "weight-to-latency")
    assert (other.returncode, "holds a run of another configuration" in other.stderr) == (2, True)
    journal = Journal.reopen(folder)
    journal.db.execute("DELETE FROM events")
    journal.db.execute("DELETE FROM costs")
    journal.db.execute("DELETE FROM decisions")
    journal.close()
    resumed = cosim(*command)
    assert (resumed.returncode, "came to its end before" in resumed.stdout) == (0, False), resumed.stderr
    assert fingerprint() == whole
    assert cosim("run", "--or-resume").returncode == 2
