# Viaduct: `make run` to try it, `make test` to check it. Both need nothing but make and Python 3.12 or newer.
.DEFAULT_GOAL := help
.PHONY: help run test test-postgres soak bench-ingest soak-ingest bench-delivery bench-translate bench-dispatch bench-tab bench-log-size bench-purge upgrade-dump gameday image-steps lint audit format screenshots lock run-env dev-env clean

PYTHON := .venv/bin/python
# One more than two cores: half of a run is waiting for other processes.
TEST_PROCESSES ?= 3
ARGS ?=
# An environment that owes nothing to a developer's `.env` or database.
PLAIN := ENV_FILE=/dev/null DEBUG=true DATABASE_URL=sqlite://:memory:
# Tried by running each one: a version manager's shim may stand on the PATH and still fail.
PYTHONS := python3.13 python3.12 python3.14 python3 python
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

run: run-env ## start everything on this machine: web, worker and a Klaviyo sandbox (PORT, SANDBOX_PORT)
	@exec $(PYTHON) -m config.up

test: dev-env ## the whole suite on SQLite (ARGS="tests/events -k phone" for a part)
	@$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)

test-postgres: dev-env ## the whole suite on a private PostgreSQL and Redis
	@$(PYTHON) -m tests.servers $(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)

bench-ingest: dev-env ## how fast the door is, against a bare view with one INSERT (ARGS="--seconds 3")
	@$(PYTHON) -m tests.bench.ingest $(ARGS)

soak-ingest: dev-env ## a minute of mixed load per database, PostgreSQL stopped in between (ARGS="--seconds 10")
	@$(PYTHON) -m tests.bench.mixed_load $(ARGS)

soak: dev-env ## workers, wires and servers fail at random, then the books must balance (SOAK_SECONDS, SOAK_SEED)
	@$(PYTHON) -m pytest tests/soak -q

bench-translate: dev-env ## how fast events are translated, without a database
	@$(PYTHON) -m tests.bench.translate

bench-delivery: dev-env ## the delivery engine against floors of the same run (BENCH_SECONDS, ARGS="limit killed" for a part)
	@$(PYTHON) -m tests.bench.delivery $(ARGS)

bench-purge: dev-env ## how fast a million old rows go, and what an insert waits meanwhile (ARGS="--messages 20000")
	@$(PYTHON) -m tests.bench.purge $(ARGS)

bench-tab: dev-env ## the Webhooks tab at size, four viewers (BENCH_ATTEMPTS, BENCH_KEEP, TEST_DATABASE_URL; SQLite without it)
	@$(PYTHON) -m tests.bench.tab

bench-log-size: dev-env ## how large the log is at rest, against the same calls as plain text
	@$(PYTHON) -m tests.bench.log_size

bench-dispatch: dev-env ## how fast events become Deliveries, against a bare insert of the same rows
	@$(PYTHON) -m tests.bench.dispatch

upgrade-dump: dev-env ## keep a database of this release for the upgrade test (RELEASE=0.1.0)
	@$(PYTHON) -m tests.upgrade.make_dump $(RELEASE)

gameday: dev-env ## ten minutes of trouble on real processes, and a page that says what became of it (GAMEDAY_SECONDS)
	@$(PYTHON) -m tests.bench.gameday

image-steps: dev-env ## the image's steps without an engine: as an unprivileged user, then web and worker on read-only files
	@$(PYTHON) -m tests.bench.image

lint: dev-env ## format, style, types, migrations, secrets, known weaknesses of dependencies
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	$(PLAIN) .venv/bin/mypy
	$(PLAIN) $(PYTHON) manage.py makemigrations --check --dry-run
	$(PYTHON) .ci/scan_secrets.py
	@$(MAKE) --no-print-directory audit

audit: dev-env
	$(PYTHON) .ci/audit_dependencies.py

sbom: run-env ## write sbom.json: what Viaduct runs on, from the lock file (CycloneDX)
	@$(PYTHON) .ci/write_sbom.py requirements/run.txt > sbom.json && echo "sbom.json is written."

format: dev-env ## write the style that lint asks for
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

screenshots: dev-env ## take the README's pictures anew, from a demo in a temporary folder
	$(PYTHON) -m docs.take_screenshots

lock: dev-env ## write the lock files anew from pyproject.toml
	$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	.venv/bin/uv pip compile pyproject.toml -o requirements/run.txt $(LOCK)
	.venv/bin/uv pip compile pyproject.toml --group dev -o requirements/dev.txt $(LOCK)
LOCK := --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet

clean: ## remove the virtual environment and what tools left (not .env, not the database)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis staticfiles

# The stamp is a copy of the lock file, so that only a changed lock installs again.
run-env: $(PYTHON)
	@cmp -s requirements/run.txt .venv/run.txt || { echo "Installing what Viaduct runs on (once) …"; \
	  $(INSTALL) -r requirements/run.txt && cp requirements/run.txt .venv/run.txt; }

dev-env: $(PYTHON)
	@cmp -s requirements/dev.txt .venv/dev.txt || { echo "Installing what the tests need (once) …"; \
	  $(INSTALL) -r requirements/dev.txt && cp requirements/dev.txt .venv/dev.txt && cp requirements/run.txt .venv/run.txt; }

$(PYTHON):
	@IFS=:; for name in $$(echo "$(PYTHONS)" | tr ' ' ':'); do for folder in $$PATH; do \
	  [ -x "$$folder/$$name" ] || continue; \
	  found=$$("$$folder/$$name" -c 'import sys; print(sys.executable if sys.version_info >= (3, 12) else "")' 2>/dev/null); \
	  [ -n "$$found" ] && break 2; \
	done; done; \
	[ -n "$$found" ] || { echo "Viaduct needs Python 3.12 or newer; none was found on the PATH."; exit 1; }; \
	echo "Creating .venv with $$found …"; \
	"$$found" -m venv --clear .venv || { rm -rf .venv; \
	  echo "$$found cannot make a virtual environment. On Debian: apt-get install python3-venv"; exit 1; }
