# SPDX-License-Identifier: Apache-2.0
# Both sides and Dask, for the scheduler, the workers and the client of a study: the other two images laid over each other,
# which have the same Debian, the same Python and the same pins.

FROM debian:bookworm-slim AS system
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/* /var/log/*

FROM system AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PATH=/opt/cosim/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# With byte code, since nothing can be written at run time.
RUN python3 -m venv /opt/cosim \
 && pip install -c constraints.txt cryptography distributed pandas pyarrow \
 && pip uninstall --yes pip setuptools

FROM system
# Images that are there, as docker/compose.yaml builds them.
# hadolint ignore=DL3022
COPY --from=wdmoe-cosim-network /opt/cosim /opt/cosim
# hadolint ignore=DL3022
COPY --from=wdmoe-cosim-model /opt/cosim /opt/cosim
COPY --from=build /opt/cosim /opt/cosim
# A new volume takes over owner and mode of what it covers: open to whichever user the container runs as.
RUN mkdir -m 1777 /keys /runs && mkdir /scripts /models /empty
ENV PATH=/opt/cosim/bin:$PATH \
    XDG_CACHE_HOME=/opt/cosim/cache \
    HOME=/tmp \
    HF_HUB_OFFLINE=1 \
    OMP_WAIT_POLICY=PASSIVE \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /runs
USER 10001:10001
ENTRYPOINT ["cosim"]
CMD ["sweep", "--help"]
