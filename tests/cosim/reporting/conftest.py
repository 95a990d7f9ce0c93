# SPDX-License-Identifier: Apache-2.0
"""A small run to look at, made once for all files here."""

from pathlib import Path

import pytest

from tests.support.small_run import service_run, small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Two policies over links of closed form; not to be changed."""
    return small_run(tmp_path_factory.mktemp("report"), "policy.weight-to-latency.threshold=0.25")


@pytest.fixture(scope="session")
def other(tmp_path_factory) -> Path:
    """The same with another seed, and a policy with another threshold."""
    folder = tmp_path_factory.mktemp("other")
    return small_run(folder, "seed=2", "policy.weight-to-latency.threshold=0.5")


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> Path:
    """The same two policies, for requests that arrive in bursts; not to be changed."""
    return service_run(tmp_path_factory.mktemp("arrivals"), "policy.weight-to-latency.threshold=0.25")
