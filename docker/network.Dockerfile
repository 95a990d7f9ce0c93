# SPDX-License-Identifier: Apache-2.0
# ns-3's side: ns-3, its Python bindings and the native library, made here. Neither PyTorch nor a model: of sionna-no-rt
# only its tables are read.

FROM debian:bookworm-slim AS system
# g++: ns-3's C++ interpreter parses its headers at every start.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/* /var/log/*

FROM system AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake make python3-dev python3-venv
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PATH=/opt/cosim/bin:$PATH
WORKDIR /src
RUN python3 -m venv /opt/cosim
COPY pyproject.toml constraints.txt docker/requirements.py ./
# Cling first, which what comes as sources is then built against, side by side: pip alone would fetch it three times more,
# for other versions than run here, and compile the back end twice.
RUN --mount=type=bind,source=docker/wheels,target=/wheels \
    pip install --no-compile --no-deps --find-links /wheels -c constraints.txt setuptools wheel packaging cppyy-cling \
 && { pip wheel --no-deps --no-build-isolation --find-links /wheels -c constraints.txt -w /tmp/made cppyy-backend & backend=$!; } \
 && pip wheel --no-deps --no-build-isolation --find-links /wheels -c constraints.txt -w /tmp/made CPyCppyy \
 && wait "$backend" \
 && pip install --no-compile --no-deps --find-links /wheels --find-links /tmp/made -c constraints.txt cppyy-backend CPyCppyy sionna-no-rt \
 && pip install --no-compile --no-deps --no-build-isolation --find-links /wheels -c constraints.txt cppyy \
 && python requirements.py pyproject.toml bokeh greenlet jinja2 matplotlib numba numpy scipy sionna-no-rt torch transformers tueplots > requirements.txt \
 && pip install --no-compile --find-links /wheels -c constraints.txt -r requirements.txt
COPY README.md ./
COPY LICENSES LICENSES
COPY bridge bridge
COPY cosim cosim
COPY ns3_scenarios ns3_scenarios
RUN pip install --no-compile --no-build-isolation --no-deps . \
 && pip uninstall --yes pip setuptools wheel packaging
# Written here, because nothing can be at run time: the native library, the interpreter's precompiled C++ headers, and
# the byte code of what is imported.
WORKDIR /opt/cosim
ENV XDG_CACHE_HOME=/opt/cosim/cache
RUN python -m ns3_scenarios.wheel.build \
 && python -c 'import cppyy, bridge.health, cosim.cli, ns3_scenarios.__main__' \
 && find . -name '*.so*' -type f -exec strip --strip-unneeded {} + \
 && find . -name '*.a' -delete

FROM system
COPY --from=build /opt/cosim /opt/cosim
# A new volume takes over owner and mode of what it covers: open to whichever user the container runs as.
RUN mkdir -m 1777 /keys /network-keys /model-keys /runs && mkdir /scripts /empty
ENV PATH=/opt/cosim/bin:$PATH \
    XDG_CACHE_HOME=/opt/cosim/cache \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /empty
USER 10001:10001
ENTRYPOINT ["cosim"]
CMD ["serve", "--listen", "tcp://0.0.0.0:5555", "--keys", "/keys", "--scripts", "/scripts"]
