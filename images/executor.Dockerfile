# The executor image: what a task's pod runs while its job waits, runs and ends on Perian.
#
#   docker build -f images/executor.Dockerfile -t perian-shim-executor .      (or `make image`)
#
# The image is not built upon the base but picked out of it: Python, the shared libraries and
# certificates that it needs, the packages of requirements/executor.txt and perian-shim. There is no
# shell, no package manager, no compiler; `--target debug` makes the same upon the whole base.
#
# Wheels in images/wheelhouse are installed instead of asking the package index, so that the build
# needs no network; `--target wheelhouse` is an image of nothing but those wheels. Build secrets, both
# optional: `pip.conf` (an index of one's own), `ca` (certificates that pip is to trust).

ARG BASE_IMAGE=docker.io/library/python:3.12.12-slim-bookworm

# ---- the wheels: given ones, or the index's ------------------------------------------------------
FROM ${BASE_IMAGE} AS wheels
WORKDIR /build
COPY requirements/executor.txt requirements/build.txt requirements/
COPY images/assemble.py images/symbols.py images/omitted.txt images/
COPY images/wheelhouse wheelhouse
RUN --mount=type=secret,id=pip.conf,target=/run/secrets/pip.conf,required=false \
    --mount=type=secret,id=ca,target=/run/secrets/ca,required=false \
    python3 images/assemble.py wheels /wheels

FROM scratch AS wheelhouse
COPY --from=wheels /wheels /

# ---- the packages, from these wheels only --------------------------------------------------------
FROM ${BASE_IMAGE} AS packages
WORKDIR /build
COPY requirements/executor.txt requirements/build.txt requirements/
COPY images/assemble.py images/symbols.py images/omitted.txt images/
COPY --from=wheels /wheels /wheels
RUN python3 images/assemble.py packages /wheels /opt/perian-shim
COPY images/rootfs.py images/
RUN python3 images/rootfs.py /opt/perian-shim /rootfs
COPY pyproject.toml README.md ./
COPY examples examples
COPY perian_shim perian_shim
RUN python3 images/assemble.py shim /wheels /opt/perian-shim /shim

# ---- the same upon the whole base ----------------------------------------------------------------
FROM ${BASE_IMAGE} AS debug
COPY --from=packages /opt/perian-shim /opt/perian-shim
COPY --from=packages /shim /
ENV PATH=/opt/perian-shim/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["/opt/perian-shim/bin/dumb-init", "--", "/opt/perian-shim/bin/python", "-m", "perian_shim.entrypoint"]

# ---- the image -----------------------------------------------------------------------------------
FROM scratch AS executor
COPY --from=packages /rootfs /
COPY --from=packages /opt/perian-shim /opt/perian-shim
COPY --from=packages /shim /
ENV PATH=/opt/perian-shim/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="perian-shim-executor" \
      org.opencontainers.image.description="Runs Flyte tasks on Perian from the task's own pod" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# By number: Kubernetes' runAsNonRoot cannot tell what a name stands for.
USER 65532:65532
# dumb-init is process 1, so that a signal in the entrypoint's first milliseconds is not lost.
ENTRYPOINT ["/opt/perian-shim/bin/dumb-init", "--", "/opt/perian-shim/bin/python", "-m", "perian_shim.entrypoint"]
