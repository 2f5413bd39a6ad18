# MPI=openmpi or MPI=mpich selects the MPI flavor, by default what mpicc compiles for: make test MPI=mpich

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export MPI

CARGO := . scripts/flavour.sh && cargo

.PHONY: help setup demo test lint doc bench scaling python python-doc wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## check the system's packages and install what is missing
	@scripts/setup.sh

demo: setup ## simulate a detector timeline and make maps of it on two ranks
	@scripts/demo.sh

test: setup ## run all tests, multi-rank and Python ones included
	@scripts/test.sh

lint: setup ## formatting, clippy without warnings, dependency direction, language
	@cargo fmt --all --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
	@$(CARGO) clippy -p dolmen-core -p dolmen-core-tests --all-targets --features threads -- -D warnings
	@scripts/check-layers.py
	@scripts/check-prose.py

doc: setup ## build the API documentation, refusing warnings
	@export RUSTDOCFLAGS="-D warnings" && $(CARGO) doc --workspace --no-deps

bench: setup ## time the toolkit beside STREAM, PETSc and Trilinos; writes out/bench.json
	@scripts/bench.sh

scaling: setup ## count messages and memory on 1 to 64 ranks, time threads; writes docs/scaling.md
	@scripts/scaling.py

python: setup ## build the Python module into out/venv
	@scripts/python-module.sh

python-doc: python ## write the reference of the Python module to out/python-doc
	@scripts/python-doc.sh

wheel: ## build the self-contained wheel out/wheel/dolmen-*.whl against MPICH
	@scripts/wheel.sh

clean: ## remove everything built and written
	rm -rf target out
