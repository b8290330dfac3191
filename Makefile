# The front door. Every target sets .venv up by itself, and nothing is done twice.
#
#     make demo PYTHON=python3.12        PYTHON is the interpreter .venv is made with
#     make test TESTS="tests/unit -x"    TESTS is what pytest is given
#     make matrix MATRIX="--only python-3.12" MATRIX is what the matrix is given
#     make bench BENCH="--documents 500" BENCH is what the benchmark is given
#     make docs DOCS=--all               every release beside this tree
#     make lock UPGRADE=--upgrade        newer versions, instead of only what pyproject.toml changed

PYTHON  ?= python3
TESTS   ?=
MATRIX  ?=
BENCH   ?=
DOCS    ?=
UPGRADE ?=

VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.stamp
VERSION := 'import sys; print(sys.version_info[:2])'
LOCK  := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
         --no-header --no-emit-index-url --no-emit-find-links $(UPGRADE)

# What `manage.py check --deploy` looks at is production's configuration, not a developer's.
PRODUCTION := env DEBUG=0 ALLOWED_HOSTS=edms.example.org \
    SECRET_KEY=for-this-check-only-0123456789-abcdefghijklmnopqrstuvwxyz \
    DATABASE_URL=postgres://edms@db.example.org/edms REDIS_URL=redis://redis.example.org/0

.DEFAULT_GOAL := help
.PHONY: help setup demo up logs test chaos fuzz third-party matrix bench dist docs check format lock compose-smoke clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(STAMP) ## make .venv from the lock file

# The stamp is a copy of the lock file that .venv was made from: a lock file that only looks newer
# (a checkout, another branch and back) installs nothing.
$(STAMP): requirements.lock
	@cmp -s $< $@ || { rm -f $@ \
	    && echo "Setting up $(VENV) with $$($(PYTHON) --version); this takes a minute or two." >&2 \
	    && $(PYTHON) -m venv --clear $(VENV) \
	    && $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $<; }
	@cp $< $@

# Another interpreter was asked for than the one that .venv has: make it anew.
ifneq ($(origin PYTHON),file)
ifneq ($(shell $(PYTHON) -c $(VERSION)),$(shell $(BIN)/python -c $(VERSION) 2>/dev/null))
.PHONY: $(VENV)/.other
$(VENV)/.other: ; @rm -f $(STAMP)
$(STAMP): $(VENV)/.other
endif
endif

demo: $(STAMP) ## documents 5 → 0 → 5: back up, reset and restore an EDMS through a Celery worker
	@$(BIN)/python -m edms.local.demo

up: $(STAMP) ## web, worker, beat, Flower and Redis for a developer
	@$(BIN)/python -m edms.local.up

logs: ## what the programs of make up print, until Ctrl-C
	@ls var/log/*.log >/dev/null 2>&1 || { echo "No logs yet: make up writes them." >&2; exit 1; }
	@tail -n 20 -F var/log/*.log

# Two files at a time where there are two processors; each process has servers of its own.
test: $(STAMP) ## the whole suite, on SQLite, PostgreSQL, MariaDB and Redis
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(TESTS)

chaos: $(STAMP) ## kill, stop, cut off and fill up restores, resets and undos: live must stay whole
	CHAOS_ZOMBIES=12 $(BIN)/python -m pytest tests/chaos -s $(TESTS)

fuzz: $(STAMP) ## ten minutes of packages, sidecars and stores that nobody would write
	FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/fuzz -s $(TESTS)

third-party: $(STAMP) ## Wagtail and Oscar through the whole cycle, with settings only
	$(BIN)/python -m pytest -m third_party $(TESTS)

matrix: $(STAMP) ## tests on other versions of Python, Django, Celery and servers; writes docs/reference/versions.md
	@$(BIN)/python -m tests.matrix $(MATRIX)

bench: $(STAMP) ## measure, beside pg_dump, dumpdata and django-dbbackup; writes docs/performance.md
	@$(BIN)/python -m benchmarks $(BENCH)

dist: $(STAMP) ## the wheel of the reusable app, in dist/
	$(BIN)/uv build --quiet --offline --wheel --no-build-isolation --python $(BIN)/python --out-dir dist .

docs: $(STAMP) ## the documentation's site, in docs/_build/site; DOCS=--all: every release too
	@$(BIN)/python docs/website.py $(DOCS)

check: $(STAMP) ## format, lint, types, import contracts, migrations, deployment, docs
	$(BIN)/ruff format --check --output-format=concise .
	$(BIN)/ruff check --output-format=concise .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python docs/website.py

format: $(STAMP) ## format the code and sort its imports
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format .

lock: $(STAMP) ## pin pyproject.toml's dependencies, with hashes
	$(LOCK) --all-extras --group edms --group embedded --group dev \
	    --output-file requirements.lock pyproject.toml
	$(LOCK) --extra postgres --extra s3 --group edms --constraints requirements.lock \
	    --output-file requirements-production.lock pyproject.toml

compose-smoke: $(STAMP) ## really start production's compose stack, and take it down again
	$(BIN)/python -m tests.compose.smoke

clean: ## remove .venv and every cache; var/ (data) stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
