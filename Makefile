# What a person types. Each target first makes sure the machine has what it needs; that takes a moment when it has.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test test-containers bench soak lint schema images

# Passed on to the program or the test runner: `make run ARGS=--exit`, `make test ARGS="-E 'test(plans)'"`.
ARGS ?=

help: ## Say what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## Install what is missing on this machine
	@deploy/setup.sh

run: setup ## Run the product with private stores and demo data
	cargo run --bin matricula -- demo $(ARGS)

# Programs as well as tests: the tests start some of them. The Rust tests come last whatever the clients say, so that the
# last thing to read is the runner's summary; either's failure is the target's.
test: setup ## Run every test: the clients in other languages, then Rust
	cargo build --workspace --bins
	status=0; \
	if [[ -e tests/clients/run.sh ]]; then tests/clients/run.sh || status=$$?; fi; \
	cargo test --workspace --doc --quiet || status=$$?; \
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --workspace $(ARGS) || status=$$?; \
	else \
		cargo test --workspace --all-targets $(ARGS) || status=$$?; \
	fi; \
	exit $$status

test-containers: setup ## Run the integration tests on Postgres and Redis in containers
	cargo build --workspace --bins
	if cargo nextest --version >/dev/null 2>&1; then \
		MATRICULA_TEST_STORES=containers cargo nextest run -p tests $(ARGS); \
	else \
		MATRICULA_TEST_STORES=containers cargo test -p tests $(ARGS); \
	fi

images: ## Build images for test-containers from Debian packages, where no registry can be reached
	tests/images/build.sh

bench: ## Run the benchmarks; tests/bench/RESULTS.md says how to read them
	tests/bench/run.sh $(ARGS)

soak: setup ## 500 accounts' tokens end in one minute, then 2,000 posts are due, while workers are killed and a platform fails
	cargo build --workspace --bins
	MATRICULA_TEST_POOL_ACCOUNTS=500 cargo test -p tests --test it -- --nocapture pool:: $(ARGS)
	MATRICULA_TEST_POSTS=2000 cargo test -p tests --test it -- --nocapture posts_soak:: $(ARGS)

lint: ## Check format, lints and, where cargo-deny is installed, dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	if cargo deny --version >/dev/null 2>&1; then cargo deny check; else echo "cargo-deny is not installed: not checked"; fi

# By way of a second file, so that a failure leaves the contract as it was.
schema: ## Write schema.graphql anew
	cargo run --bin matricula -- schema > schema.graphql.new
	mv schema.graphql.new schema.graphql
