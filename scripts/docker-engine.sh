#!/usr/bin/env bash
# A Docker engine for the container tests, for as long as they run.
#
# docker-engine.sh start     nothing to do when one answers; else starts dockerd, installing it from Debian when it is missing (as root)
#                            exit code 3: that is not possible here
# docker-engine.sh stop      ends the dockerd that `start` has started; any other one is left alone
set -euo pipefail

state=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.cache/docker-engine
pid_file=$state/dockerd.pid
log=$state/dockerd.log

answers() { docker info >/dev/null 2>&1; }
runs() { kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }

install_engine() {
  command -v apt-get >/dev/null || { echo 'no dockerd, and no apt-get to install it with' >&2; exit 3; }
  apt-get update -qq
  local packages=(docker.io iptables)
  # From Debian 13 on the client is a package of its own.
  command -v docker >/dev/null || ! apt-cache show docker-cli >/dev/null 2>&1 || packages+=(docker-cli)
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

start() {
  if command -v docker >/dev/null && answers; then echo 'a Docker engine answers already'; return; fi
  [ "$(id -u)" = 0 ] || { echo 'no Docker engine answers; only root can start one' >&2; exit 3; }
  command -v dockerd >/dev/null || install_engine
  mkdir -p "$state"
  # --ip: ports that containers publish stay on the loopback interface.
  setsid dockerd --ip=127.0.0.1 >"$log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$pid_file"
  for _ in $(seq 150); do
    if answers; then echo "dockerd runs (pid $pid)"; return; fi
    runs "$pid" || break
    sleep 0.2
  done
  stop
  echo 'dockerd did not start:' >&2
  tail -n 20 "$log" >&2
  return 1
}

stop() {
  [ -f "$pid_file" ] || return 0
  local pid
  pid=$(cat "$pid_file")
  rm -f "$pid_file"
  runs "$pid" && grep -qs dockerd "/proc/$pid/comm" || return 0
  kill -TERM "$pid"
  for _ in $(seq 100); do runs "$pid" || return 0; sleep 0.2; done
  kill -KILL "$pid"
}

case ${1-} in
  start) start ;;
  stop) stop ;;
  *) sed -n '2,7p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
