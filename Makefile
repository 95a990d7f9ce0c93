# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/.run
# Those that the documentation names; bench.fuzz_decoder wants atheris beside it, and bench.setup what to compare with.
BENCHES := bridge defaults radio scenarios outer_loop handover ping_pong qos_flows nr_cells base_station what_if chain replay run chaos calibration decisions experts prediction allocation placement elements policies loss quality report serving sweep capacity
# Without byte code on disk, each process compiles the sources of PyTorch and transformers anew, for 5 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test lint bench docs containers prerequisites clean

run: $(RUN)
	$(VENV)/bin/cosim run --policy top-k --policy wdmoe --policy lookahead

# One process more than processors: some of the tests wait.
test: $(VENV)/.test
	$(VENV)/bin/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses 8 --dist loadfile --no-loadscope-reorder --durations 25

lint: $(VENV)/.lint build/compile_flags.txt
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/hadolint docker/*.Dockerfile
	find ns3_scenarios/native tests bench -name '*.cc' -o -name '*.h' | xargs $(VENV)/bin/clang-format --dry-run -Werror
	$(VENV)/bin/python -m ns3_scenarios.wheel.build --batches > build/batches
	find tests bench -name '*.cc' >> build/batches
	xargs -P "$$(nproc)" -L 1 $(VENV)/bin/clang-tidy --quiet -p build --checks=-bugprone-suspicious-include < build/batches

bench: $(VENV)/.bench
	for name in $(BENCHES); do $(VENV)/bin/python -m bench.$$name || exit; done

# Each warning is an error, and each link within the site is followed.
docs: $(VENV)/.docs
	$(VENV)/bin/python docs/site/make_site.py build/docs

containers: $(VENV)/.containers
	$(VENV)/bin/python docker/containers.py

# A run's packages come first; tests, linters, benches, pages and containers add their own.
$(RUN): pyproject.toml constraints.txt | prerequisites
	@$(PYTHON) docker/environment.py $(VENV) run
	@touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.bench $(VENV)/.docs $(VENV)/.containers: $(VENV)/.%: $(RUN)
	@$(VENV)/bin/python docker/environment.py $(VENV) $*
	@touch $@

# For clang-tidy, and for editors that use clangd.
build/compile_flags.txt: $(VENV)/.lint ns3_scenarios/wheel/build.py ns3_scenarios/native
	@mkdir -p build
	@$(VENV)/bin/python -m ns3_scenarios.wheel.build --compile-flags > $@

# What pip cannot bring. ns3's C++ interpreter is compiled at install and needs g++ (its headers) at run time too.
prerequisites:
	@missing=; \
	need() { command -v $$1 >/dev/null || { echo "missing: $$1, from the package $$2"; missing=1; }; }; \
	need $(PYTHON) python3; need g++ g++; need make make; need cmake cmake; \
	if command -v $(PYTHON) >/dev/null; then \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo "missing: Python 3.11 to 3.13, which ns3 has wheels for; set PYTHON=python3.11 or the like"; missing=1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "missing: venv, from the package python3-venv"; missing=1; }; \
	  $(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || \
	    { echo "missing: Python.h, from the package python3-dev"; missing=1; }; \
	fi; \
	test -z "$$missing" || { echo "install these (apt-get install PACKAGE) and run make again"; exit 2; }

clean:
	rm -rf $(VENV) build *.egg-info
