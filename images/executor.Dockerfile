# The executor image: what a task's pod runs while its job waits, runs and ends on Perian.
#
#   docker build -f images/executor.Dockerfile -t perian-shim-executor .      (or `make image`)
#
# The image is not built upon the base but picked out of it: Python, the shared libraries and
# certificates that it needs, the packages of requirements/executor.txt and perian-shim. There is no
# shell, no package manager, no compiler, and no flytekit. Sources stay beside their bytecode (10 of 47
# MB), so that a traceback shows the lines. `--target flytekit` is the same with the
# packages of requirements/executor-flytekit.txt: for tasks of others that are to run in it as well.
# `--target debug` is the default one upon the whole base.
#
# Wheels in images/wheelhouse are installed instead of asking the package index, so that the build
# needs no network; `--target wheelhouse` is an image of nothing but those wheels, for all targets.
# Build secrets, both optional: `pip.conf` (an index of one's own), `ca` (certificates that pip is to
# trust).

ARG BASE_IMAGE=docker.io/library/python:3.12.12-slim-bookworm

# ---- how it is made ------------------------------------------------------------------------------
FROM ${BASE_IMAGE} AS recipe
WORKDIR /build
COPY requirements/executor.txt requirements/executor-flytekit.txt requirements/build.txt requirements/
COPY images/assemble.py images/symbols.py images/omitted.txt images/
COPY images/wheelhouse wheelhouse

# ---- the wheels: given ones, or the index's ------------------------------------------------------
FROM recipe AS wheels
RUN --mount=type=secret,id=pip.conf,target=/run/secrets/pip.conf,required=false \
    --mount=type=secret,id=ca,target=/run/secrets/ca,required=false \
    python3 images/assemble.py wheels /wheels executor

FROM recipe AS wheels-flytekit
RUN --mount=type=secret,id=pip.conf,target=/run/secrets/pip.conf,required=false \
    --mount=type=secret,id=ca,target=/run/secrets/ca,required=false \
    python3 images/assemble.py wheels /wheels executor-flytekit

FROM scratch AS wheelhouse
COPY --from=wheels /wheels /
COPY --from=wheels-flytekit /wheels /

# ---- perian-shim itself --------------------------------------------------------------------------
FROM recipe AS shim
COPY --from=wheels /wheels /wheels
COPY pyproject.toml README.md LICENSE ./
COPY examples examples
COPY perian_shim perian_shim
RUN python3 images/assemble.py shim /wheels /opt/perian-shim /shim

# ---- the packages, from these wheels only --------------------------------------------------------
FROM recipe AS packages
COPY --from=wheels /wheels /wheels
RUN python3 images/assemble.py packages /wheels /opt/perian-shim executor
COPY images/rootfs.py images/omitted-library.txt images/
RUN python3 images/rootfs.py /opt/perian-shim /rootfs images/omitted-library.txt

FROM recipe AS packages-flytekit
COPY --from=wheels-flytekit /wheels /wheels
RUN python3 images/assemble.py packages /wheels /opt/perian-shim executor-flytekit
COPY images/rootfs.py images/
RUN python3 images/rootfs.py /opt/perian-shim /rootfs

# ---- the same upon the whole base ----------------------------------------------------------------
FROM ${BASE_IMAGE} AS debug
COPY --from=packages /opt/perian-shim /opt/perian-shim
COPY --from=shim /shim /
ENV PATH=/opt/perian-shim/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["/opt/perian-shim/bin/dumb-init", "--", "/opt/perian-shim/bin/python", "-m", "perian_shim.entrypoint"]

# ---- the images ----------------------------------------------------------------------------------
FROM scratch AS settings
# By number: Kubernetes' runAsNonRoot cannot tell what a name stands for.
USER 65532:65532
ENV PATH=/opt/perian-shim/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# `make image` adds of which version and commit this build is, in a stage of its own.
LABEL org.opencontainers.image.title="perian-shim-executor" \
      org.opencontainers.image.description="Runs Flyte tasks on Perian from the task's own pod"
# dumb-init is process 1, so that a signal in the entrypoint's first milliseconds is not lost.
ENTRYPOINT ["/opt/perian-shim/bin/dumb-init", "--", "/opt/perian-shim/bin/python", "-m", "perian_shim.entrypoint"]

FROM settings AS flytekit
COPY --from=packages-flytekit /rootfs /
COPY --from=packages-flytekit /opt/perian-shim /opt/perian-shim
COPY --from=shim /shim /

FROM settings AS executor
COPY --from=packages /rootfs /
COPY --from=packages /opt/perian-shim /opt/perian-shim
COPY --from=shim /shim /
