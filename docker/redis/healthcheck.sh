#!/bin/sh
# Redis answers, with its password: given in a variable of this one command, since arguments are
# seen by everybody on the machine.
set -eu
REDISCLI_AUTH="$(sed -n 's/^requirepass //p' /run/secrets/redis_auth)"
export REDISCLI_AUTH
[ "$(redis-cli ping)" = PONG ]
