# SPDX-License-Identifier: Apache-2.0
# The model's side: PyTorch, transformers, the shipped model and the journal. Neither ns-3 nor a compiler.

FROM debian:bookworm-slim AS system
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/* /var/log/*

FROM system AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv
# An index of CPU builds of PyTorch, whose versions end in +cpu and are preferred; a GPU needs none (docs/inside/containers.md).
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PATH=/opt/cosim/bin:$PATH
WORKDIR /src
RUN python3 -m venv /opt/cosim
COPY pyproject.toml constraints.txt docker/requirements.py ./
# Headers, tests and tools of PyTorch are for those who build on it in C++; one small program is looked for at import.
RUN --mount=type=bind,source=docker/wheels,target=/wheels \
    python requirements.py pyproject.toml ns3 sionna-no-rt > requirements.txt \
 && pip install --no-compile --find-links /wheels -c constraints.txt -r requirements.txt \
 && cd /opt/cosim/lib/python3*/site-packages/torch \
 && rm -rf test include share \
 && find bin -type f ! -name torch_shm_manager -delete \
 && find .. -name '*.a' -delete
COPY README.md ./
COPY LICENSES LICENSES
COPY bridge bridge
COPY cosim cosim
COPY model_side model_side
RUN pip install --no-compile --no-deps . \
 && pip uninstall --yes pip setuptools
# Byte code of what a run imports, for nothing can be written at run time; that of all packages is 280 MB.
WORKDIR /opt/cosim
RUN python -c 'import cosim.cli, cosim.experiment, cosim.screen.report; from model_side.model import loaded_model, model_run; \
    model_run.ModelRun(loaded_model.load_here("shipped", "float32", 1), model_run.Asked(1, 8, 1, 1), True)'

FROM system
COPY --from=build /opt/cosim /opt/cosim
# A new volume takes over owner and mode of what it covers: open to whichever user the container runs as.
RUN mkdir -m 1777 /keys /runs && mkdir /scripts /models /empty
ENV PATH=/opt/cosim/bin:$PATH \
    HOME=/tmp \
    HF_HUB_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /empty
USER 10001:10001
ENTRYPOINT ["cosim"]
CMD ["run", "--connect", "tcp://network:5555", "--keys", "/keys", "--out", "/runs/default", "--or-resume"]
