#!/usr/bin/env bash
# Builds the product and the benchmarks as they are released and runs them, on private stores in a temporary directory.
#
#   tests/bench/run.sh                     all of them, the table on standard output
#   tests/bench/run.sh read write          some of them: read, write, sequence, seal
#   tests/bench/run.sh --write             also puts the table into tests/bench/RESULTS.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh --bench
cargo build --release --locked --package server --package tests --bin matricula --bin matricula-bench
exec "${CARGO_TARGET_DIR:-target}/release/matricula-bench" "$@"
