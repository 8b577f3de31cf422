# Everything sets itself up: a Python >= 3.10 with pip and a network to the package index is enough.
#   make demo    run the example workflow on an embedded Perian and an embedded S3
#   make test    ruff, mypy and the tests, but for those that take much of a machine (images, crowds)
#   make test-all       these too, as CI does
#   make test-variants  each case with every door, tool and Python, not with one of them
#   make faults  every call of the API x every fault x every stage, as a table; DOOR=flytekit,
#                entrypoint (the default) or a0 (Flyte 2)
#   make matrix  test the oldest and the newest flytekit on Python 3.10 to 3.13, as a table
#   make bench   measure against a no-op shim and the official connector, as a table;
#                IMAGE_SIZES=ours=45,ours-flytekit=147,naive=360 adds what `make image` told,
#                REPETITIONS=4 takes half the time
#   make image   build the executor image; WHEELHOUSE=folder BASE_IMAGE=image TAG=name TARGET=flytekit
#   make wheelhouse WHEELHOUSE=folder    collect the wheels for building it without a network, and
#                for installing perian-shim for the Python that runs this (PYTHON=)
#   make lock    resolve requirements/*.txt anew (needs uv)

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all test-variants faults matrix bench image wheelhouse check lock clean

demo: $(VENV)/.sandbox
	@echo "# the example workflow on an embedded Perian: about 10 seconds"
	@$(BIN)/perian-shim demo

PYTEST := $(BIN)/python -m pytest -n 4 --dist worksteal

test: check
	@echo "# the tests: about 10 minutes on two cores"
	$(PYTEST) -m "not thorough"

test-all: check
	@echo "# all tests: about 14 minutes on two cores"
	$(PYTEST)

test-variants: check
	@echo "# all tests in all variants: about 20 minutes on two cores"
	$(PYTEST) --every-variant

faults: $(VENV)/.dev
	$(BIN)/python tests/system/fault_matrix.py $(if $(DOOR),--door $(DOOR))

matrix:
	$(PYTHON) tools/matrix.py

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks --json .bench/results.json \
	    $(if $(IMAGE_SIZES),--image-sizes $(IMAGE_SIZES)) $(if $(REPETITIONS),--repetitions $(REPETITIONS))

image:
	$(PYTHON) tools/image.py build $(if $(TAG),--tag $(TAG)) $(if $(BASE_IMAGE),--base $(BASE_IMAGE)) \
	    $(if $(WHEELHOUSE),--wheelhouse $(WHEELHOUSE)) $(if $(TARGET),--target $(TARGET))

wheelhouse:
	$(PYTHON) tools/image.py wheelhouse $(or $(WHEELHOUSE),wheelhouse) \
	    $(if $(BASE_IMAGE),--base $(BASE_IMAGE))

check: $(VENV)/.dev $(VENV)/.ministack
	@echo "# ruff and mypy: about a minute the first time"
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --allow-any-generics tests examples tools images benchmarks

$(BIN)/python:
	@echo "# a virtual environment in $(VENV): a few seconds"
	@$(PYTHON) tools/make_venv.py $(VENV)

$(VENV)/.sandbox: requirements/sandbox.txt pyproject.toml | $(BIN)/python
	@echo "# flytekit and what the sandbox needs, from the package index into $(VENV): once, a minute or two"
	@$(BIN)/python -m pip install --quiet --require-hashes -r $<
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "# what the tests need, from the package index into $(VENV): once, a minute or two"
	@$(BIN)/python -m pip install --quiet --require-hashes -r $<
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(VENV)/.sandbox $@

# An AWS for the tests, in an environment of its own: it pins botocore.
$(VENV)/.ministack: requirements/ministack.txt | $(BIN)/python
	@echo "# an AWS for the tests, from the package index into $(VENV)/ministack: once, half a minute"
	@$(PYTHON) tools/make_venv.py $(VENV)/ministack
	@echo "# its packages: some 10 seconds"
	@$(VENV)/ministack/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

LOCK := uv pip compile pyproject.toml --quiet --universal --python-version 3.10 --generate-hashes \
        --no-header --no-emit-index-url --no-annotate

lock:
	$(LOCK) --group build --extra dev --extra flyte2 -o requirements/dev.txt
	cp requirements/dev.txt requirements/flytekit-1.14.txt # what fits stays as it is
	$(LOCK) --group build --extra dev -c requirements/flytekit-1.14.in \
	    -o requirements/flytekit-1.14.txt
	$(LOCK) --group build --extra sandbox -c requirements/dev.txt -o requirements/sandbox.txt
	$(LOCK) --group image -c requirements/dev.txt -o requirements/executor-flytekit.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate --group executor --group image -c requirements/dev.txt \
	    -o requirements/executor.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate --group build -c requirements/dev.txt -o requirements/build.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate benchmarks/official.in -o benchmarks/official.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate requirements/ministack.in -o requirements/ministack.txt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
