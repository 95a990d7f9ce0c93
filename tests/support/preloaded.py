# SPDX-License-Identifier: Apache-2.0
"""What a process has loaded from which `cosim_process` forks: the slow ones of what commands import."""
# ruff: noqa: F401

import gc
import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `cosim.cli.main` does before PyTorch is loaded

import pandas as pd
import pydantic.type_adapter
import transformers.models.mixtral.modeling_mixtral

import cosim.experiment
import cosim.networks.link_model
import cosim.screen.display
import model_side.model.loading
import model_side.model.model_run
from model_side.model.model_folder import causal_models
from tests.support import ns3_stem

ns3_stem.install()
causal_models()
gc.collect()
gc.freeze()  # so that no fork copies it by looking for garbage in it
