# SPDX-License-Identifier: Apache-2.0
"""Imported by the process that workers are forked from, and by nobody else (`cosim.studies.stem`)."""
# ruff: noqa: E402, F401

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's, which ends this process

import gc

from distributed import Nanny, Worker

from cosim.studies.stem import load

load()
gc.collect()
gc.freeze()  # so that no fork copies it by looking for garbage in it
