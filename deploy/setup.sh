#!/usr/bin/env bash
# Makes a machine fit to build, run and test Matricula. Running it again does no harm and, when nothing is missing,
# asks nobody for anything. On Debian and Ubuntu it installs what is missing; elsewhere it says what to install.
#
#   deploy/setup.sh           what building, running and testing need
#   deploy/setup.sh --bench   also what the benchmarks need (wrk)
set -euo pipefail

readonly RUST_MIN=1.95.0
readonly POSTGRES_MIN=15
readonly REDIS_MIN=7
readonly NODE_MIN=18

bench=false
for argument in "$@"; do
    case $argument in
        --bench) bench=true ;;
        *)
            echo "usage: deploy/setup.sh [--bench]" >&2
            exit 2
            ;;
    esac
done

have() { command -v "$1" >/dev/null 2>&1; }

# at_least FOUND LEAST: whether the first version is no older than the second.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# The first number in a text, or 0.
first_number() { grep -oE '[0-9]+' | head -n 1 || echo 0; }

postgres_major() {
    local newest=0 major bin
    for bin in "$(command -v postgres || true)" /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; do
        [[ -x $bin && -x ${bin%/*}/initdb ]] || continue
        major=$("$bin" --version | first_number)
        ((major > newest)) && newest=$major
    done
    echo "$newest"
}

redis_major() { if have redis-server; then redis-server --version | first_number; else echo 0; fi; }
node_major() { if have node; then node --version | first_number; else echo 0; fi; }
have_cjk_font() { have fc-list && [[ -n $(fc-list :lang=zh-cn family 2>/dev/null | head -n 1) ]]; }
# `venv` may be importable and yet of no use: Debian ships its other half apart.
have_venv() { have python3 && python3 -c 'import venv, ensurepip' >/dev/null 2>&1; }

# One line for each thing that is missing: the Debian packages, a bar, and the thing in words.
missing() {
    (($(postgres_major) >= POSTGRES_MIN)) || echo "postgresql|PostgreSQL $POSTGRES_MIN or later, the server"
    (($(redis_major) >= REDIS_MIN)) || echo "redis-server|Redis $REDIS_MIN or later, the server"
    { have ffmpeg && have ffprobe; } || echo "ffmpeg|FFmpeg with ffprobe"
    have_cjk_font || echo "fontconfig fonts-noto-cjk|Chinese fonts, such as Noto Sans CJK, and fontconfig"
    { have cc && have make && have pkg-config; } || echo "gcc libc6-dev make pkg-config|a C compiler, make and pkg-config"
    have curl || echo "curl ca-certificates|curl"
    { (($(node_major) >= NODE_MIN)) && have npm; } || echo "nodejs npm|Node.js $NODE_MIN or later with npm, for the client tests"
    have_venv || echo "python3 python3-venv|Python 3 with venv, for the client tests"
    have openssl || echo "openssl|openssl 3, an auditor's tool, for the demo and the tests"
    have softhsm2-util || echo "softhsm2|SoftHSM2, a PKCS #11 module, for the tests"
    have setpriv || echo "util-linux|setpriv of util-linux"
    if $bench; then have wrk || echo "wrk|wrk, for the benchmarks"; fi
}

can_be_root() { ((EUID == 0)) || have sudo; }
as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

install_debian() {
    local packages
    mapfile -t packages < <(missing | cut -d '|' -f 1 | tr ' ' '\n' | sort -u)
    if ! can_be_root; then
        echo "Neither root nor sudo. As root, run: apt-get install --no-install-recommends ${packages[*]}" >&2
        return 1
    fi
    echo "Installing: ${packages[*]}"
    # A server would start as soon as its package is there and take the usual port; nobody asked for that. This file
    # forbids it (Debian policy, invoke-rc.d), unless the machine has a policy of its own.
    local policy=/usr/sbin/policy-rc.d policy_is_ours=false installed=true
    if [[ ! -e $policy ]]; then
        policy_is_ours=true
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    # Old lists may do, and one broken source among many should not stop this.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" </dev/null ||
        installed=false
    if $policy_is_ours; then as_root rm -f "$policy"; fi
    $installed
}

say_what_is_missing() {
    echo "Missing on this machine:" >&2
    missing | cut -d '|' -f 2 | sed 's/^/  - /' >&2
}

check_rust() {
    # A login shell may not have been started since Rust was installed.
    have cargo || [[ ! -r $HOME/.cargo/env ]] || . "$HOME/.cargo/env"
    local found=none
    if have rustc; then found=$(rustc --version | cut -d ' ' -f 2); fi
    if [[ $found != none ]] && at_least "$found" "$RUST_MIN"; then return 0; fi
    {
        echo "Rust $RUST_MIN or later is needed; found: $found."
        if have rustup; then
            echo "Run: rustup update stable"
        else
            echo "Install it as https://rustup.rs says, or: curl --proto '=https' -sSf https://sh.rustup.rs | sh"
        fi
    } >&2
    return 1
}

main() {
    if [[ -n $(missing) ]]; then
        if ! have apt-get; then
            say_what_is_missing
            echo "Install these with the system's package manager and try again." >&2
            exit 1
        fi
        install_debian || exit 1
        # The system's release may be too old for what its packages offer.
        if [[ -n $(missing) ]]; then
            say_what_is_missing
            echo "The packages of this release do not provide them; see apt.postgresql.org, packages.redis.io and nodesource.com." >&2
            exit 1
        fi
    fi
    check_rust
}

main
