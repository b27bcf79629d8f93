#!/usr/bin/env bash
# Checks the running product with clients that others wrote: installs them, starts `matricula dev` on a temporary
# directory, runs every check and stops it again. Ends with `N passed, N failed` and a status to match.
#
#   tests/clients/run.sh                    all checks
#   tests/clients/run.sh socket_protocol    those of checks/socket_protocol.js
#
# MATRICULA_BIN names the program to check; without it the debug build is brought up to date and taken.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

find_program() {
    if [[ -n ${MATRICULA_BIN:-} ]]; then
        realpath -e -- "$MATRICULA_BIN"
        return
    fi
    (cd "$root" && cargo build --quiet --bin matricula --locked) >&2
    (cd "$root" && realpath -e -- "${CARGO_TARGET_DIR:-target}/debug/matricula")
}

# is_installed WANTED KEPT: whether the list of packages WANTED is what was installed, which KEPT is the copy of.
is_installed() { [[ -e $2 ]] && cmp --silent -- "$1" "$2"; }

install_npm() {
    is_installed package-lock.json node_modules/.installed && return
    echo "installing npm packages"
    npm ci --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/.installed
}

install_python() {
    is_installed requirements.txt .venv/.installed && return
    echo "installing Python packages"
    python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt .venv/.installed
}

program=$(find_program)
cd "$here"
# Two runs at once would install over each other; the lock is held no longer than the installation takes.
(
    flock 9
    install_npm
    install_python
) 9>.install.lock

exec env MATRICULA_BIN="$program" node run.js "$@"
