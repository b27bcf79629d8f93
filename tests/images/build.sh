#!/usr/bin/env bash
# Builds the images the tests run on from Debian packages, for machines that reach a Debian mirror but no image
# registry. They understand as much of the official images' settings as the tests use:
#
#   matricula-test/postgres   POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_INITDB_ARGS; arguments: postgres ...
#   matricula-test/redis      arguments: redis-server ...
#
# Needs root, debootstrap and a Docker engine (Debian: packages debootstrap and docker.io). Afterwards:
#
#   export MATRICULA_TEST_POSTGRES_IMAGE=matricula-test/postgres MATRICULA_TEST_REDIS_IMAGE=matricula-test/redis
#   make test-containers
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
suite=${MATRICULA_IMAGE_SUITE:-bookworm}
# Debian's own mirror unless this machine has been told another.
mirror=${MATRICULA_IMAGE_MIRROR:-http://deb.debian.org/debian}

fail() {
    echo "tests/images/build.sh: $*" >&2
    exit 1
}

((EUID == 0)) || fail "needs root: debootstrap changes its root directory"
command -v debootstrap >/dev/null || fail "needs debootstrap: apt-get install debootstrap"
command -v docker >/dev/null || fail "needs docker: apt-get install docker.io"
docker version --format '{{.Server.Version}}' >/dev/null || fail "no Docker engine answers"

root=$(mktemp -d /var/tmp/matricula-image.XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT

# image NAME PACKAGE ENTRYPOINT PORT
image() {
    local name=$1 package=$2 entrypoint=$3 port=$4
    local tree=$root/$package
    # Docker has no device nodes to gain from the tree, and the package's own server must not start in it.
    debootstrap --variant=minbase --include="$package" "$suite" "$tree" "$mirror" >"$root/log" 2>&1 || {
        tail -n 20 "$root/log" >&2
        fail "debootstrap failed"
    }
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,info}
    install -m 755 "$here/$entrypoint" "$tree/entrypoint.sh"
    tar --numeric-owner --one-file-system --exclude=./dev --exclude=./proc --exclude=./sys -C "$tree" -c . |
        docker import --change 'ENTRYPOINT ["/entrypoint.sh"]' --change "EXPOSE $port" - "$name" >/dev/null
    rm -rf --one-file-system "$tree"
    echo "$name"
}

image matricula-test/postgres:latest postgresql postgres.sh 5432
image matricula-test/redis:latest redis-server redis.sh 6379
