#!/usr/bin/env bash
# Builds the product and the benchmarks as they are released and runs them, on private stores in a temporary directory.
#
#   tests/bench/run.sh                     all of them, the tables on standard output
#   tests/bench/run.sh read write          some of them: read, profile, peers, memory, write, sequence, seal, claim,
#                                          uploads, sockets, fleet, reports
#   tests/bench/run.sh --write seal        also puts the tables of those into tests/bench/RESULTS.md; the others stay
#
# The peers come from npm, with a version of Node of their own, and stay in tests/bench/npm/node_modules.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh --bench

# needs_peers PART...: whether any of these parts (all of them, when none is named) is measured beside a peer.
needs_peers() {
    local part named=false
    for part in "$@"; do
        case $part in
            peers | memory | claim | uploads | sockets) return 0 ;;
            -*) ;;
            *) named=true ;;
        esac
    done
    ! $named
}

install_peers() {
    cmp --silent package-lock.json node_modules/.installed && return
    echo "installing the peers" >&2
    npm ci --no-audit --no-fund --loglevel=error >&2
    cp package-lock.json node_modules/.installed
}

# Thousands of sockets are as many files, at both ends.
ulimit -n "$(ulimit -H -n)"
if needs_peers "$@"; then (cd tests/bench/npm && install_peers); fi
cargo build --release --locked --package server --package tests --package matricula-verify --bin matricula --bin matricula-bench --bin matricula-verify
cargo build --release --locked --package transport --example still
exec "${CARGO_TARGET_DIR:-target}/release/matricula-bench" "$@"
