#!/bin/sh
# Draws a password for each user of Redis, once, and writes what the processes read:
#
#   passwords/USER   a password; this folder is for its owner alone
#   urls/USER        the address of Redis for that user
#   env/USER.env     the same as a variable, for systemd
#   users.acl        who may do what in Redis; hashes alone
#   flower.env       who may look at Flower, and the key of its cookies
#   desk.key         the key of the desk's sessions
#
# sh prepare.sh HOST, where HOST is Redis's: `redis` under compose, `127.0.0.1` under systemd.
# SMALLFIRST is the command line, if it is not installed: "docker run …", as docs/how-to/one-machine.md says.
# Run again, it keeps the passwords that there are.
set -eu
host=$1
umask 077
mkdir -p passwords urls env
# What is to be read within a container is readable, in folders that nobody but their owner enters; the
# keys beside them likewise, so keep this folder for yourself.
chmod 700 .
random() { od -An -N 24 -tx1 /dev/urandom | tr -d ' \n'; }
for user in router worker-cpu-small exporter flower scaler producer desk; do
  [ -s "passwords/$user" ] || random > "passwords/$user"
  url="redis://$user:$(tail -n 1 "passwords/$user")@$host:6379/0"
  printf '%s' "$url" > "urls/$user"
  printf 'SMALLFIRST_REDIS_URL=%s\n' "$url" > "env/$user.env"
done
[ -s flower.env ] ||
  printf 'FLOWER_BASIC_AUTH=flower:%s\nFLOWER_COOKIE_SECRET=%s\n' "$(random)" "$(random)" > flower.env
[ -s desk.key ] || random > desk.key
printf 'SMALLFIRST_DESK_SECRET=%s\n' "$(cat desk.key)" >> env/desk.env
chmod 644 passwords/* urls/* desk.key
${SMALLFIRST:-smallfirst} acl passwords > users.acl.new
chmod 644 users.acl.new
mv users.acl.new users.acl
