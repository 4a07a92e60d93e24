# One folder, one venv: every target creates what it needs. PYTHON is any Python from 3.11 on.
PYTHON ?= python3
# Some images forbid Python to keep what it compiled; each of a thousand processes would compile this package anew.
export PYTHONDONTWRITEBYTECODE :=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: quick demo first-minute console screenshots pictures test test-lowest test-aws test-clients test-trino-clients test-athena-clients test-engine trino-golden trino-golden-check trino-tpch trino-pairs lint bench lock clean

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed; {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

quick: $(READY)  ## what to run after each change: lint, types, and the tests that start hardly any process
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo "$(BIN)/mypy, beside the tests, which would wait for it on one core"; $(BIN)/mypy & types=$$!; \
	$(BIN)/python -m pytest -q -n auto --dist worksteal tests/unit tests/project; tests=$$?; \
	wait $$types && exit $$tests

# What the demo needs is a third of what the tests do; where those are installed, it takes theirs.
$(VENV)/.demo: requirements/demo.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed; {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 ...")'
	@[ -e $(READY) ] || { echo "Installing what the demo needs, once; half a minute or so" && $(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.txt && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .; }
	@touch $@

demo: $(VENV)/.demo  ## the example, end to end: events in, click-through rate out
	$(BIN)/python examples/acme_ads/demo.py

first-minute: $(READY)  ## the first commands of README.md in an empty HOME, from a fresh clone and from a built wheel, timed
	PYTHONPATH=tests $(BIN)/python tests/journey/first_minute.py

# Venvs of their own: an AWS emulator, which pins another botocore, and what AWS Lambda has and nothing else.
$(VENV)/emulator/.ready: requirements/emulator.txt $(READY)
	$(PYTHON) -m venv $(VENV)/emulator
	$(VENV)/emulator/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/lambda/.ready: requirements/lambda.txt $(READY)
	for python in python3.13 "$$(pyenv prefix 3.13 2>/dev/null)/bin/python" $(PYTHON); do \
		"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
			exec "$$python" -m venv $(VENV)/lambda; \
	done
	$(VENV)/lambda/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@echo "The archives of Lambda functions are tested with $$($(VENV)/lambda/bin/python --version); on AWS they run with 3.13"
	@touch $@

test: $(READY) $(VENV)/emulator/.ready $(VENV)/lambda/.ready  ## all tests; with those of PySpark where there is Java (a download of 450 MB, once), and of the AWS SDK for JavaScript where there is npm
	@if java -version >/dev/null 2>&1 && ! [ $(VENV)/.spark -nt requirements/spark.txt ]; then \
		echo "Java is here: installing PySpark for its tests"; \
		{ $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/spark.txt && \
		touch $(VENV)/.spark; } || echo "PySpark could not be installed; its tests are skipped"; \
	fi
	@if npm --version >/dev/null 2>&1 && ! [ $(VENV)/node/.ready -nt requirements/node/package-lock.json ]; then \
		mkdir -p $(VENV)/node && cp requirements/node/package*.json $(VENV)/node && \
		npm ci --prefix $(VENV)/node --silent --no-audit --no-fund && touch $(VENV)/node/.ready || \
		{ rm -rf $(VENV)/node; echo "The AWS SDK for JavaScript could not be installed; its test is skipped"; }; \
	fi
	@if npm --version >/dev/null 2>&1 && ! [ $(VENV)/console/.ready -nt console/package-lock.json ]; then \
		mkdir -p $(VENV)/console && cp console/package*.json $(VENV)/console && \
		npm ci --prefix $(VENV)/console --silent --no-audit --no-fund && touch $(VENV)/console/.ready || \
		{ rm -rf $(VENV)/console; echo "The libraries of the console could not be installed; the test that builds it is skipped"; }; \
	fi
	@if command -v chromium >/dev/null && ! [ $(VENV)/browser/.ready -nt requirements/browser.txt ]; then \
		$(MAKE) --no-print-directory $(VENV)/browser/.ready || \
		{ rm -rf $(VENV)/browser; echo "Playwright could not be installed; the tests of the console are skipped"; }; \
	fi
	$(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

# A venv of its own: what steers a browser is larger than all else.
$(VENV)/browser/.ready: requirements/browser.txt $(READY)
	$(PYTHON) -m venv $(VENV)/browser
	$(VENV)/browser/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

console:  ## build the console into the package, after a change in console/; needs npm
	npm ci --prefix console --silent --no-audit --no-fund
	npm run --prefix console build

screenshots: $(READY) $(VENV)/browser/.ready  ## pictures of each page of the console, in build/screenshots; needs chromium
	$(BIN)/python tests/console/screenshots.py build/screenshots

pictures: $(READY) $(VENV)/browser/.ready  ## the pictures of the console that README.md shows; needs chromium
	$(BIN)/python tests/console/screenshots.py --readme docs/pictures

# A venv of its own, with the lowest versions that pyproject.toml allows.
$(VENV)/lowest/.ready: requirements/lowest.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)/lowest
	$(VENV)/lowest/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(VENV)/lowest/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

test-lowest: $(VENV)/lowest/.ready  ## the unit and project tests on the lowest versions of the dependencies that users may have
	$(VENV)/lowest/bin/python -m pytest -q -n auto --dist worksteal tests/unit tests/project

test-aws: $(READY)  ## the example in a real AWS account, about twenty minutes; needs credentials and the Pulumi CLI
	$(BIN)/python -m pytest -s tests/account

# A venv of its own, for a client that pins another botocore; and packages of npm.
$(VENV)/clients/.ready: requirements/clients.txt tests/clients/programs/package.json $(READY)
	$(PYTHON) -m venv $(VENV)/clients
	$(VENV)/clients/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	cp tests/clients/programs/package.json $(VENV)/clients/
	npm install --silent --no-package-lock --prefix $(VENV)/clients
	@touch $@

# A venv of its own, with pandas and polars.
$(VENV)/readers/.ready: requirements/readers.txt $(READY)
	$(PYTHON) -m venv $(VENV)/readers
	$(VENV)/readers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

test-clients: $(VENV)/clients/.ready $(VENV)/readers/.ready  ## clients that nobody here wrote; needs Node.js and curl
	$(BIN)/python -m pytest tests/clients

# Clients of Trino: a venv, a package of npm, the command and the driver of Java from Maven Central, and the tests of
# trino-python-client from its repository. What cannot be had here is left out, and its tests say so.
TRINO_JAVA := 476
TRINO_PYTHON := 0.340.0
TRINO_TESTS ?= https://github.com/trinodb/trino-python-client
$(VENV)/trino/.ready: requirements/trino.txt tests/trino_clients/programs/package.json $(READY)
	rm -rf $(VENV)/trino
	$(PYTHON) -m venv $(VENV)/trino
	$(VENV)/trino/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	cp tests/trino_clients/programs/package.json $(VENV)/trino/
	npm install --silent --no-package-lock --prefix $(VENV)/trino || echo "npm is not here; its client is not tested"
	for artifact in trino-cli:$(TRINO_JAVA):jar:executable trino-jdbc:$(TRINO_JAVA); do \
		mvn -q -B dependency:copy -Dartifact=io.trino:$$artifact -DoutputDirectory=$(abspath $(VENV)/trino/jars) || \
		echo "io.trino:$$artifact cannot be had; its tests are skipped"; \
	done
	@touch $@

# A rule of its own, so that tests which could not be had are asked for again.
$(VENV)/trino/source: | $(VENV)/trino/.ready
	git clone --quiet --depth 1 --branch $(TRINO_PYTHON) $(TRINO_TESTS) $@ || git clone --quiet --depth 1 $(TRINO_TESTS) $@ || \
		echo "The tests of trino-python-client cannot be had; give TRINO_TESTS=FOLDER"

test-trino-clients: $(VENV)/trino/.ready $(VENV)/trino/source  ## clients of Trino that nobody here wrote; some need Java, Maven, Node.js
	$(BIN)/python -m pytest tests/trino_clients

# Clients of Athena, and PyAthena's own tests, from its repository.
# --no-deps here and for Trino: the file has all, and pip 23.2 takes mashumaro[msgpack] for another one than the mashumaro there.
PYATHENA_TESTS ?= https://github.com/pyathena-dev/PyAthena.git
PYATHENA_VERSION := v3.34.0
$(VENV)/athena/.ready: requirements/athena.txt $(READY)
	rm -rf $(VENV)/athena
	$(PYTHON) -m venv $(VENV)/athena
	$(VENV)/athena/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

$(VENV)/athena/pyathena: | $(VENV)/athena/.ready
	git -c advice.detachedHead=false clone --quiet --depth 1 --branch $(PYATHENA_VERSION) $(PYATHENA_TESTS) $@ || \
		git clone --quiet --depth 1 $(PYATHENA_TESTS) $@ || echo "The tests of PyAthena cannot be had; give PYATHENA_TESTS=FOLDER"

test-athena-clients: $(VENV)/athena/.ready $(VENV)/athena/pyathena  ## clients of Athena as they are, PyAthena with its own tests; needs git
	$(BIN)/python -m pytest -s tests/athena_clients

# The Pulumi CLI, from its Go modules; what it takes the first time is in docs/reference/real-engine.md.
CLI := tests/real_engine/cli
$(VENV)/engine/pulumi: $(CLI)/go.mod $(CLI)/go.sum
	@go version >/dev/null 2>&1 || { echo "Go is needed to build the Pulumi CLI, and is not on PATH" >&2; exit 1; }
	go build -C $(CLI) -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$$(cd $(CLI) && \
		go list -m -f '{{.Version}}' github.com/pulumi/pulumi/pkg/v3)" -o $(abspath $@) github.com/pulumi/pulumi/pkg/v3/cmd/pulumi

test-engine: $(READY) $(VENV)/emulator/.ready $(VENV)/lambda/.ready $(VENV)/engine/pulumi  ## the example on Pulumi's real engine; needs Go
	$(BIN)/python -m pytest -n auto --dist worksteal tests/real_engine

# Trino in process, from Maven Central (300 MB, the first time); `make test` compares with what it answered.
GOLDEN := tests/golden
trino-golden: $(READY)  ## ask a real Trino our statements anew, and keep its answers; needs a JDK (17 or newer) and Maven
	$(BIN)/python $(GOLDEN)/real_trino.py record

trino-golden-check: $(READY)  ## the same, and fail if an answer has changed
	$(BIN)/python $(GOLDEN)/real_trino.py check

SCALE := 1
trino-tpch: $(READY)  ## the 22 queries of TPC-H, here and in a real Trino, on the same data: make trino-tpch SCALE=0.01
	$(BIN)/python $(GOLDEN)/tpch.py $(SCALE)

LIST :=
trino-pairs: $(READY)  ## how many answers to Trino's own tests are right; with LIST="WRONG REFUSED" also which are so. Needs the pairs beside the project
	$(BIN)/python $(GOLDEN)/trino_pairs.py $(if $(LIST),--list $(LIST))

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## every file of benchmarks/, one after the other
	$(BIN)/python benchmarks/run.py

lock: $(READY)  ## pin the newest versions that pyproject.toml and requirements/*.in allow, and the lowest for `test-lowest`
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra aws pyproject.toml requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra kinesis pyproject.toml requirements/demo.in -o requirements/demo.txt
	for name in athena browser clients emulator lambda readers spark trino; do \
		$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-header requirements/$$name.in -o requirements/$$name.txt; \
	done
	$(BIN)/uv pip compile --universal --python-version 3.11 --resolution lowest-direct --generate-hashes \
		--no-emit-index-url --no-header pyproject.toml requirements/lowest.in -o requirements/lowest.txt

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
