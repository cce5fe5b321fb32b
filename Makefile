# `make help` lists what can be typed here.
PY ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
# What is compiled once serves every process that the tests and the sample start.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help run test check format bench adopt-bench lock clean

help: ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.ready ## the sample application with Twofold, on http://localhost:8000
	@$(BIN)/python -m examples.sample

test: .venv/.ready .venv/typescript/.ready ## the suite, on SQLite, PostgreSQL and MariaDB
	@$(BIN)/python -m pytest

.PHONY: quick
quick: .venv/.ready ## the quick slice, in under a minute: the core and the pages, on SQLite
	@$(BIN)/python -m pytest -q @tests/quick.args

.PHONY: versions
versions: .venv/.ready ## the quick slice on Python 3.11 to 3.13, with the oldest and the newest libraries
	@$(BIN)/python -m tests.versions

.PHONY: resolve
resolve: .venv/.ready ## that the core takes the newest cryptography, whatever passkeys need
	@$(BIN)/python -m tests.resolving

.PHONY: attack
attack: .venv/.ready ## the suite's races, crashes and adversaries at ten times the length
	@TWOFOLD_ATTACK_LENGTH=10 $(BIN)/python -m pytest tests/attacks/test_races_*.py tests/attacks/test_crashes_*.py tests/attacks/test_property_of_the_seal.py tests/attacks/test_planted_faults.py

.PHONY: rotations
rotations: .venv/.ready ## keys replaced under load, fifty times on each database
	@TWOFOLD_ATTACK_LENGTH=50 $(BIN)/python -m pytest --numprocesses=4 tests/attacks/test_rotation_under_load.py

.PHONY: mutants
mutants: .venv/.ready ## what the tests would not notice: docs/security/mutants.md
	@PATH="$(CURDIR)/$(BIN):$$PATH" mutmut run

check: .venv/.ready ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

format: .venv/.ready ## rewrite the code in the house's format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: .venv/.ready ## verifications per second beside pgbench
	@$(BIN)/python -m bench.verify

adopt-bench: .venv/.ready ## how long logins wait while a million users' tables are adopted
	@$(BIN)/python -m bench.adopt --users 1000000

.PHONY: bench-peers bench-scale bench-log
bench-peers: .venv/.ready ## verifications and races beside django-otp, allauth, Flask-Security and privacyIDEA
	@$(BIN)/python -m bench.peers.contest

bench-scale: .venv/.ready ## every operation among a million users and ten million events
	@$(BIN)/python -m bench.scale

bench-log: .venv/.ready ## every answer to a user with 300,000 events beside one with ten
	@$(BIN)/python -m bench.long_log

lock: .venv/.ready ## pin the newest versions that pyproject.toml admits
	$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes --no-header --no-annotate --all-extras --group dev pyproject.toml -o requirements-lock.txt

clean: ## remove the virtual environment and the embedded databases
	rm -rf .venv .venv-boot var

# The compiler of the client in TypeScript. Without it the tests go on, and say what they left out.
.venv/typescript/.ready: tests/typescript/package-lock.json | .venv/.ready
	@$(BIN)/python -m tests.typescript

# What installs the rest is held to the hashes of the same lock.
# uv reads no pip configuration: where an index is set for pip alone, pip itself does the same work, more slowly.
# Where the venv module is missing, a virtualenv out of a package takes its place.
.venv/.ready: pyproject.toml requirements-lock.txt
	@echo "Setting up .venv (once, about half a minute) ..."
	@mkdir -p .venv-boot && sed -nE '/^(virtualenv|distlib|filelock|packaging|platformdirs|python-discovery)==/,/[^\\]$$/p' requirements-lock.txt > .venv-boot/virtualenv.txt
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-lock.txt > .venv-boot/uv.txt
	@test -x $(BIN)/python || $(PY) -m venv .venv || { $(PY) -m pip install -q --require-hashes --target .venv-boot -r .venv-boot/virtualenv.txt && PYTHONPATH=.venv-boot $(PY) -m virtualenv -q .venv; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .venv-boot/uv.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-lock.txt || $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-lock.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e . || $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
