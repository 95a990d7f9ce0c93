# SPDX-License-Identifier: Apache-2.0
"""What a process has loaded from which `cosim_process` forks: the slow ones of what commands import."""
# ruff: noqa: F401

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `cosim.cli.main` does before PyTorch is loaded

import transformers.models.mixtral.modeling_mixtral

import cosim.experiment
import cosim.screen.display
import model_side.model.loading
import model_side.model.model_run
from tests.support import ns3_stem

ns3_stem.install()
