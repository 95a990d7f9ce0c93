# SPDX-License-Identifier: Apache-2.0
"""What several test files need: a tiny model in a folder, ns-3, and servers of ns-3's and of closed-form networks."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import ns3_stem
from tests.support.ns3_worker import Call, worker
from tests.support.servers import fixed_server, ns3_server

settings.register_profile(
    "ours",
    deadline=None,  # a busy machine fails no test
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,  # what is let in does not hang on luck; elsewhere each run draws anew
)
settings.load_profile("ours")

LONGEST = (  # of all files, the longest first
    "bridge/test_session.py",
    "cosim/test_partner_lost.py",
    "cosim/studies/test_cluster.py",
    "ns3_scenarios/scenarios/test_lte_multicell.py",
    "cosim/test_replay.py",
    "project/test_scripts.py",
    "ns3_scenarios/scenarios/test_nr.py",
    "ns3_scenarios/scenarios/test_nr_handover.py",
    "ns3_scenarios/scenarios/test_lte.py",
    "ns3_scenarios/wheel/test_contrib.py",
    "cosim/screen/test_scenarios.py",
    "cosim/test_analytic_run.py",
    "ns3_scenarios/scenarios/test_wifi.py",
    "ns3_scenarios/native/test_nr_sanitized.py",
    "cosim/test_lte_run.py",
    "cosim/record/test_damaged_journals.py",
    "ns3_scenarios/scripts/test_script_run.py",
    "project/test_policy_tutorial.py",
    "project/test_tutorial.py",
    "ns3_scenarios/scenarios/test_mixed.py",
    "project/test_capacity_page.py",
    "project/test_tuning_page.py",
    "project/test_packaging.py",
    "model_side/calibrating/test_store.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """All processes of a run of the tests share the stems of ns-3 sides, and look for garbage as `cosim` does."""
    gc.set_threshold(50_000)
    if not hasattr(config, "workerinput"):
        started = ns3_stem.stems()
        started.__enter__()
        config.add_cleanup(lambda: started.__exit__(None, None, None))
    ns3_stem.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin, so that none is left to one process when the others are done."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def foreground() -> None:
    """Programs under test get Ctrl-C as in a foreground shell, also where the tests run as a background job."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A folder with a random Mixtral of three layers and a byte-level tokenizer, as a user might have one."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    from tests.support.small_models import small_model

    folder = tmp_path_factory.mktemp("tiny-mixtral")
    small_model("mixtral", vocab_size=260).save_pretrained(folder)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([], vocab_size=260)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def ns3() -> Iterator[Call]:
    """Calls a function in a process with ns-3, which all tests of this one share."""
    with worker() as call:
        yield call


@pytest.fixture(scope="session")
def another() -> Iterator[Call]:
    """As `ns3`, another process."""
    with worker() as call:
        yield call


@pytest.fixture(scope="session", name="ns3_server")
def one_ns3_server() -> Iterator[str]:
    """The endpoint of an ns-3 side for runs of which any will do: 2 CPU s less than if each started its own."""
    with ns3_server() as endpoint:
        yield endpoint


@pytest.fixture(name="fixed_server")
def one_fixed_server() -> Iterator[str]:
    """The endpoint of a server of `FixedNetwork`s, scenario `fixed`."""
    with fixed_server() as endpoint:
        yield endpoint
