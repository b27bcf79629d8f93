#!/bin/sh
# Entry point of matricula-test/redis: becomes the server, reachable from outside the container.
set -eu
if [ "${1:-redis-server}" = redis-server ]; then
    [ $# -eq 0 ] || shift
    set -- redis-server --bind '*' --protected-mode no --dir /tmp "$@"
fi
exec setpriv --reuid=redis --regid=redis --init-groups -- "$@"
