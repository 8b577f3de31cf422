# Everything sets itself up: a Python >= 3.10 with pip and a network to the package index is enough.
# A line `## text` above a target is what `make help` says of it.

.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help environments demo test test-fast test-all test-variants faults matrix flyte-matrix bench image verify wheelhouse \
        check audit docs pictures release lock clean

## say what there is
help:
	@awk '/^## / { text[n++] = substr($$0, 4) } \
	      /^[a-z-]+:/ { split($$0, t, ":"); \
	          for (i = 0; i < n; i++) printf "  %-15s%s\n", i ? "" : t[1], text[i] } \
	      !/^## / { n = 0 }' $(firstword $(MAKEFILE_LIST))

## run the example workflow on an embedded Perian and an embedded S3: 10 seconds
demo: $(VENV)/.sandbox
	@echo "# the example workflow on an embedded Perian: about 10 seconds"
	@$(BIN)/perian-shim demo

PYTEST := $(BIN)/python -m pytest -n 4 --dist worksteal

## ruff, mypy, the documentation and the tests, but for what takes much time or much of a machine: 6 minutes
test: check
	@echo "# the tests: about six minutes on two cores"
	$(PYTEST) -m "not thorough"

FAST := tests/template tests/deck/test_page.py \
        $(addprefix tests/test_,config.py spec.py structure.py words.py project.py release.py) \
        $(addprefix tests/api/test_,catalogue.py costs.py errors.py job_request.py phases.py) \
        $(addprefix tests/lifecycle/test_,adoption.py bill.py policies.py rental.py verdicts.py) \
        $(addprefix tests/values/test_,parsing.py times.py) \
        $(addprefix tests/flyte1/test_,container_task.py function_task.py)

## the quick tests: what is decided without processes and servers, under a minute
test-fast: $(VENV)/.dev
	$(PYTEST) -q -m "not slow and not thorough" $(FAST)

## these tests too, as CI does: 18 minutes
test-all: check
	@echo "# all tests: about 18 minutes on two cores"
	$(PYTEST)

## each case with every door, tool and Python, not with one of them: 20 minutes
test-variants: check
	@echo "# all tests in all variants: about 20 minutes on two cores"
	$(PYTEST) --every-variant

## every call of the API x every fault x every stage, as a table;
## DOOR=flytekit, entrypoint (the default) or a0 (Flyte 2)
faults: $(VENV)/.dev
	$(BIN)/python tests/system/fault_matrix.py $(if $(DOOR),--door $(DOOR))

## the oldest and the newest flytekit on Python 3.10 to 3.13, as a table
matrix:
	$(PYTHON) tools/matrix.py

## flyte 2.0, 2.8 and the newest on Python 3.10 to 3.13, as a table
flyte-matrix:
	$(PYTHON) tools/matrix.py --sdk flyte

## measure against a no-op shim and the official connector, as a table: 40 minutes;
## IMAGE_SIZES=ours=45,ours-flytekit=147,naive=360 adds what `make image` told,
## REPETITIONS=4 takes half the time
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks --json .bench/results.json \
	    $(if $(IMAGE_SIZES),--image-sizes $(IMAGE_SIZES)) $(if $(REPETITIONS),--repetitions $(REPETITIONS))

## build the executor image, and write what is in it below dist/image;
## WHEELHOUSE=folder BASE_IMAGE=image TAG=name TARGET=flytekit NO_CACHE=1
image:
	$(PYTHON) tools/image.py build $(if $(TAG),--tag $(TAG)) $(if $(BASE_IMAGE),--base $(BASE_IMAGE)) \
	    $(if $(WHEELHOUSE),--wheelhouse $(WHEELHOUSE)) $(if $(TARGET),--target $(TARGET)) \
	    $(if $(NO_CACHE),--no-cache)

## build the image anew and compare it with IMAGE=name, or with a second build;
## BASE_IMAGE=image TARGET=flytekit
verify:
	$(PYTHON) tools/image.py verify $(if $(IMAGE),--image $(IMAGE)) \
	    $(if $(BASE_IMAGE),--base $(BASE_IMAGE)) $(if $(TARGET),--target $(TARGET))

## collect the wheels for building it without a network, and for installing perian-shim
## for the Python that runs this (PYTHON=); WHEELHOUSE=folder
wheelhouse:
	$(PYTHON) tools/image.py wheelhouse $(or $(WHEELHOUSE),wheelhouse) \
	    $(if $(BASE_IMAGE),--base $(BASE_IMAGE))

## ruff and mypy: about a minute the first time
check: environments
	@echo "# ruff and mypy: about a minute the first time"
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --allow-any-generics tests examples tools images benchmarks --cache-dir .mypy_cache/rest & \
	    rest=$$!; $(BIN)/mypy; ours=$$?; wait $$rest && exit $$ours

## install what the checks and the tests need; `make -j4 environments` does it side by side
environments: $(VENV)/.dev $(VENV)/.ministack $(VENV)/.official $(VENV)/.docs $(VENV)/.audit

## look for known vulnerabilities in all that the lock files pin (needs a network)
audit: $(VENV)/.audit
	@$(VENV)/audit/bin/python tools/audit.py

## build the documentation site into build/site, strictly
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict --quiet --site-dir build/site
	@echo "# open build/site/index.html"

## pictures of the site's front page and of a guide, by chromium, into .artifacts
pictures: $(VENV)/.dev $(VENV)/.docs
	$(BIN)/python -m pytest -q tests/test_site.py -k picture

## rehearse a release: version, changelog, wheel and sdist installed and tried (docs/release.md)
release: $(VENV)/.dev
	$(BIN)/python tools/release.py $(if $(IMAGE),--image $(IMAGE))

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

# The official plugin for the tests, in a folder of its own: where it is seen, flytekit loads it.
$(VENV)/.official: requirements/official.txt | $(BIN)/python
	@echo "# the official plugin for the tests, from the package index into $(VENV)/official: some seconds"
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --upgrade --target $(VENV)/official -r $<
	@touch $@

# The documentation site, in an environment of its own: nothing else needs these.
$(VENV)/.docs: requirements/docs.txt | $(BIN)/python
	@echo "# the documentation's tools, from the package index into $(VENV)/docs: once, a quarter minute"
	@$(PYTHON) tools/make_venv.py $(VENV)/docs
	@echo "# their packages: some 10 seconds"
	@$(VENV)/docs/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

# What asks for vulnerabilities and validates bills of materials, in an environment of its own.
$(VENV)/.audit: requirements/audit.txt | $(BIN)/python
	@echo "# the tools of the audit, from the package index into $(VENV)/audit: once, a quarter minute"
	@$(PYTHON) tools/make_venv.py $(VENV)/audit
	@echo "# their packages: some 10 seconds"
	@$(VENV)/audit/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

LOCK := uv pip compile pyproject.toml --quiet --universal --python-version 3.10 --generate-hashes \
        --no-header --no-emit-index-url --no-annotate

## resolve requirements/*.txt anew (needs uv)
lock:
	$(LOCK) --group build --extra dev --extra flyte2 -o requirements/dev.txt
	cp requirements/dev.txt requirements/flytekit-1.14.txt # what fits stays as it is
	$(LOCK) --group build --extra dev -c requirements/flytekit-1.14.in \
	    -o requirements/flytekit-1.14.txt
	for version in 2.0 2.8; do \
	    cp requirements/dev.txt requirements/flyte-$$version.txt && $(LOCK) --group build --extra dev \
	        --extra flyte2 -c requirements/flyte-$$version.in -o requirements/flyte-$$version.txt; done
	$(LOCK) --group build --extra sandbox -c requirements/dev.txt -o requirements/sandbox.txt
	$(LOCK) --group image -c requirements/dev.txt -o requirements/executor-flytekit.txt
	$(LOCK) --extra flyte2 -c requirements/dev.txt -o requirements/registering.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate --group executor --group image -c requirements/dev.txt \
	    -o requirements/executor.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate --group build -c requirements/dev.txt -o requirements/build.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate benchmarks/official.in -o benchmarks/official.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate requirements/ministack.in -o requirements/ministack.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-deps \
	    --no-emit-index-url --no-annotate requirements/official.in -o requirements/official.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate --group docs -c requirements/dev.txt \
	    -o requirements/docs.txt
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate --group audit -o requirements/audit.txt

## remove the virtual environment and all caches
clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
