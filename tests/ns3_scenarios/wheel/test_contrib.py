# SPDX-License-Identifier: GPL-2.0-only
"""Modules from outside ns-3's release: one that works, by its closed form, and each way in which one does not fit."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.network import NS_PER_S, NetworkInfo, RequestError, Transfer
from ns3_scenarios.simulation import open_network
from ns3_scenarios.wheel import build
from tests import ROOT
from tests.support.cosim_process import cosim
from tests.support.listings import files, play
from tests.support.ns3_worker import Call, Step, worker
from tests.support.ns3_worker import play as play_steps

SOURCES = files("contrib.md")
LIBRARY = "libsatellite.so"
LIGHT_MPS = 299_792_458


def compiled(folder: Path, *arguments: str, output: str = LIBRARY) -> None:
    """Call the compiler as the documentation says, with the flags behind."""
    command = [build.compiler(), *arguments, *build.module_flags(), "-o", output]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the example's files and its library."""
    folder = tmp_path_factory.mktemp("built")
    for name, source in SOURCES.items():
        (folder / name).write_text(source)
    compiled(folder, "-c", "satellite-channel.cc", output="satellite.o")
    compiled(folder, "satellite.o")
    return folder


@pytest.fixture
def folder(built, tmp_path) -> Path:
    """A copy of them to spoil."""
    for path in built.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def ns3() -> Iterator[Call]:
    with worker() as call:
        yield call


def changed(path: Path, old: str, new: str) -> None:
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


def check(folder: Path) -> "subprocess.CompletedProcess[str]":
    """`cosim scenarios satellite.py --check` from another folder."""
    return cosim("scenarios", folder / "satellite.py", "--check", cwd=ROOT)


def refusal(folder: Path) -> str:
    """What `check` is refused with: one line, exit code 2."""
    done = check(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cosim: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("cosim: ").rstrip()


def of_the_library(folder: Path) -> str:
    """The reason of a refusal that names the library."""
    start, reason = f"radio.scenario: contrib {folder / LIBRARY}: ", refusal(folder)
    assert reason.startswith(start)
    return reason.removeprefix(start)


def test_the_page_does_what_it_says(tmp_path):
    played = play("contrib.md", tmp_path)
    assert played.files == ["satellite-channel.h", "satellite-channel.cc", "Makefile", "satellite.py"]
    assert len(played.commands) == 4


@pytest.mark.parametrize("altitude_m", [550e3, 35_786e3])
def test_the_modules_effect_has_its_closed_form(ns3, built, altitude_m):
    rate_bps, compute_ns = 8_000_000, 5000
    steps = [Step([Transfer(device, 20_000, compute_ns, 1000) for device in range(3)])]
    parameters = {"altitude_m": altitude_m, "rate_bps": rate_bps}
    played = ns3(play_steps, steps, parameters, str(built / "satellite.py"))
    # 14 datagrams down and 1 up, 28 bytes of headers each; a byte takes 1 µs, and the satellite's way is added twice.
    air_ns = (20_000 + 14 * 28 + 1000 + 28) * 1000 + compute_ns
    assert played.took_ns(0) == pytest.approx([air_ns + 2 * 2 * altitude_m / LIGHT_MPS * NS_PER_S] * 3, abs=3)


def test_versions_carry_a_hash_of_library_and_headers(ns3, folder):
    info: NetworkInfo = ns3(play_steps, [], {}, str(folder / "satellite.py")).info
    assert re.fullmatch(r"[0-9a-f]{16}", info.versions[f"contrib {LIBRARY}"])
    assert ns3(play_steps, [], {}, str(folder / "satellite.py")).info == info
    changed(folder / "satellite-channel.h", "bent-pipe ", "")
    with worker() as fresh:
        other: NetworkInfo = fresh(play_steps, [], {}, str(folder / "satellite.py")).info
    assert {name for name in info.versions if info.versions[name] != other.versions[name]} == {f"contrib {LIBRARY}"}


def refused(scenario: str) -> str:
    with pytest.raises(RequestError) as error:
        open_network(scenario, {}, 1)
    return error.value.reason


def test_a_library_that_changed_meanwhile_is_not_loaded_beside_the_old_one(ns3, built, folder):
    script = str(built / "satellite.py")
    ns3(play_steps, [], {}, script)
    changed(folder / "satellite-channel.h", "bent-pipe ", "")
    assert "another one of that name is loaded already" in ns3(refused, str(folder / "satellite.py"))
    ns3(play_steps, [], {}, script)


def test_a_missing_library_or_folder_is_named(folder):
    script = folder / "satellite.py"
    changed(script, '(Contrib("libsatellite.so", "."),)', '(Contrib("libsatellite.so", "headers"),)')
    assert of_the_library(folder) == f"the folder of its headers, {folder / 'headers'}, is not there"
    (folder / LIBRARY).unlink()
    assert of_the_library(folder) == "there is no such file"
    changed(script, '(Contrib("libsatellite.so", "headers"),)', '(Contrib("libsatellite.so", "."))')
    assert refusal(folder).startswith("radio.scenario: contrib is not a tuple of Contrib(LIBRARY, HEADERS)")


@pytest.mark.parametrize("kind", ["text", "object", "program"])
def test_what_is_no_shared_library_is_named(folder, kind):
    if kind == "text":
        (folder / LIBRARY).write_text("\x7fELF, or so it says")
    elif kind == "object":
        (folder / "satellite.o").rename(folder / LIBRARY)
    else:
        (folder / "main.cc").write_text("int main() {}\n")
        subprocess.run([build.compiler(), "main.cc", "-o", LIBRARY], check=True, cwd=folder)
    assert of_the_library(folder) == "it is not a shared library; link it with -shared"


def test_another_machine_is_named(folder):
    content = bytearray((folder / LIBRARY).read_bytes())
    content[18:20] = (243).to_bytes(2, sys.byteorder)  # e_machine, RISC-V
    (folder / LIBRARY).write_bytes(content)
    assert of_the_library(folder).startswith("it was built for another machine: RISC-V, this is ")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "libns3.43-core-default.so",
            r"it was built for ns-3 3\.43 \(libns3\.43-core-default\.so\), this is ns-3 3\.44;",
        ),
        ("libns3-dev-core-debug.so", r"it was built for ns-3 3-dev \(libns3-dev-core-debug\.so\), this is ns-3 3\.44;"),
        ("libns3.44-core-debug.so", r"it was linked with another build of ns-3 3\.44 \(libns3\.44-core-debug\.so\);"),
        ("libc++.so.1", r"it was built with clang's libc\+\+, ns-3's wheel with GNU's libstdc\+\+;"),
        ("libfurther.so.7", r"libfurther\.so\.7: cannot open shared object file: No such file or directory"),
    ],
)
def test_a_library_of_another_ns3_or_one_that_lacks_another_is_named(folder, name, reason):
    (folder / "stub.cc").write_text("")
    subprocess.run([build.compiler(), "-shared", f"-Wl,-soname,{name}", "stub.cc", "-o", name], check=True, cwd=folder)
    compiled(folder, "satellite.o", "-Wl,--no-as-needed", f"./{name}")
    (folder / name).unlink()
    assert re.match(reason, of_the_library(folder))


def test_undefined_symbols_are_named_with_the_module_that_has_them(folder):
    (folder / "holes.cc").write_text(
        '#include "ns3/aodv-routing-protocol.h"\nnamespace ns3 { int Nowhere(double);\n'
        "uint32_t Holes() { return aodv::RoutingProtocol::GetTypeId().GetUid() + Nowhere(1); } }\n"
    )
    compiled(folder, "-c", "holes.cc", output="holes.o")
    objects = [build.compiler(), "-shared", "satellite.o", "holes.o", "-o", LIBRARY]
    subprocess.run(objects, check=True, cwd=folder)
    assert of_the_library(folder) == (
        "it needs what no loaded library has: ns3::aodv::RoutingProtocol::GetTypeId() (of the ns-3 module aodv); "
        "ns3::Nowhere(double) (of no ns-3 module); add 'aodv' to `modules`; "
        "what is of no module was left out of the library, or belongs to another ns-3 release"
    )
    subprocess.run([*objects, "-Wl,--defsym=_ZN3ns37NowhereEd=0"], check=True, cwd=folder)
    changed(folder / "satellite.py", 'modules = ("internet",)', 'modules = ("internet", "aodv")')
    assert check(folder).returncode == 0


def test_another_abi_of_strings_is_named(folder):
    compiled(folder, "-c", "satellite-channel.cc", "-D_GLIBCXX_USE_CXX11_ABI=0", output="satellite.o")
    subprocess.run([build.compiler(), "-shared", "satellite.o", "-o", LIBRARY], check=True, cwd=folder)
    assert of_the_library(folder).startswith("it was compiled with _GLIBCXX_USE_CXX11_ABI=0, ns-3's wheel with 1")


def test_headers_of_another_ns3_are_named(folder):
    (folder / "ns3").mkdir()
    for name in ("node.h", "core-config.h", "object.h"):
        (folder / "ns3" / name).write_bytes((build.wheel() / "include" / "ns3" / name).read_bytes())
    assert check(folder).returncode == 0
    for name in ("node.h", "core-config.h"):
        (folder / "ns3" / name).write_text("// of another release\n")
    assert of_the_library(folder).startswith(f"{folder / 'ns3' / 'node.h'} differ from the wheel's")


def test_a_header_that_does_not_compile_is_told_by_its_line(folder):
    header = folder / "satellite-channel.h"
    changed(header, "double m_altitude;", "duble m_altitude; strng m_name;")
    (line,) = (i for i, words in enumerate(header.read_text().splitlines(), 1) if "duble" in words)
    assert re.fullmatch(
        rf"{re.escape(str(header))}:{line}:\d+: unknown type name 'duble'[^\n]* \(and 1 more\), in the header "
        r"satellite-channel\.h",
        refusal(folder),
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"internet",)', '"internt",)', "modules: ns-3's wheel has no module 'internt'; did you mean 'internet'?"),
        (
            '"satellite-channel.h"',
            '"sat.h"',
            "headers: 'sat.h' file not found; neither ns-3 nor a contrib module has it",
        ),
    ],
)
def test_a_misspelt_module_or_header_is_named(folder, old, new, reason):
    changed(folder / "satellite.py", old, new)
    assert refusal(folder) == f"radio.scenario: {reason}"


def test_a_module_that_ns3_itself_refuses_is_told_in_the_words_of_ns3(folder):
    changed(folder / "satellite-channel.cc", '"ns3::SatelliteChannel"', '"ns3::SimpleChannel"')
    compiled(folder, "satellite-channel.cc")
    done = check(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert "ns3::SimpleChannel" in done.stderr
