#!/usr/bin/env bash
# From a fresh Debian 12 machine to records stored and read back: installs what is missing, builds, starts
# a broker on this machine, stores a real file and compares what comes back, and runs the connected-cars
# pipeline.
#
#   deploy/quickstart.sh [--keep] [FILE]
#
# FILE: the file to store, line by line; default: this machine's package log, /var/log/dpkg.log.
# --keep: leave the broker running (on 127.0.0.1:7400, HTTP on 7401) and say what to try next; without it
#         ports are free ones and everything but the build is removed at the end.
set -euo pipefail

readonly READY_SECONDS_MAX=30
readonly STOP_SECONDS_MAX=30
readonly CARS=20
readonly READINGS=5000

step() { printf '\n==> %s\n' "$*"; }
fail() {
  printf 'quickstart: %s\n' "$*" >&2
  exit 1
}

keep=no
input=/var/log/dpkg.log
for argument in "$@"; do
  case $argument in
    --keep) keep=yes ;;
    -h | --help)
      sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*) fail "unknown option '$argument'; try --help" ;;
    *) input=$(realpath -- "$argument") ;;
  esac
done

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
[[ -r $input ]] || fail "can't read '$input'; name any file: deploy/quickstart.sh FILE"
[[ -s $input ]] || fail "'$input' is empty; name a file with something in it: deploy/quickstart.sh FILE"

step "1/5 Install what is missing"
deploy/install-deps.sh build

step "2/5 Build (the first time takes some minutes; later only what changed)"
cmake --preset quickstart >/dev/null
cmake --build --preset quickstart --target catamarand catamaran connected_cars
readonly build=$root/build/release
PATH=$build/broker:$build/client/cli:$build/client/examples:$PATH

work=$(mktemp -d "${TMPDIR:-/tmp}/catamaran-quickstart.XXXXXX")
broker_pid=
hot_pid=
cold_pid=
cleanup() {
  local code=$?
  trap - EXIT
  for pid in $hot_pid $cold_pid; do kill "$pid" 2>/dev/null || true; done
  if [[ $code -ne 0 && -s $work/broker.log ]]; then
    printf '\nquickstart: failed; the end of the broker log:\n' >&2
    tail -n 20 "$work/broker.log" >&2
  fi
  if [[ $keep == no || $code -ne 0 ]]; then
    [[ -z $broker_pid ]] || kill "$broker_pid" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
  fi
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "3/5 Start a broker"
client_listener=127.0.0.1:0
http_listener=127.0.0.1:0
if [[ $keep == yes ]]; then
  client_listener=127.0.0.1:7400
  http_listener=127.0.0.1:7401
fi
mkdir "$work/data"
# A session of its own, so that --keep survives the terminal.
setsid catamarand --node.id=1 --data.directory="$work/data" --listen.client="$client_listener" \
  --listen.http="$http_listener" --ports-file="$work/ports" >"$work/broker.log" 2>&1 &
broker_pid=$!
deadline=$((SECONDS + READY_SECONDS_MAX))
until [[ -s $work/ports ]]; do
  kill -0 "$broker_pid" 2>/dev/null || fail "the broker didn't start"
  ((SECONDS < deadline)) || fail "the broker wasn't ready within $READY_SECONDS_MAX s"
  sleep 0.05
done
client_port=$(sed -n 's/^client=.*:\([0-9]*\)$/\1/p' "$work/ports")
export CATAMARAN_BROKERS=127.0.0.1:$client_port
catamaran cluster info

step "4/5 Store $input line by line, read it back, compare"
catamaran topic create files --partitions 1
catamaran produce files <"$input"
# Every line became a record; a reader puts the newline back.
lines=$(awk 'END { print NR }' "$input")
catamaran consume files --offset start --num "$lines" -f '%v\n' >"$work/read-back"
# A last line without a newline comes back with one.
[[ $(tail -c 1 "$input" | wc -l) -eq 1 ]] || truncate -s -1 "$work/read-back"
cmp "$input" "$work/read-back"
printf 'The same %s bytes in %s records: sha256 %s\n' "$(wc -c <"$input")" "$lines" \
  "$(sha256sum <"$work/read-back" | cut -c 1-16)..."

step "5/5 Connected cars: $CARS cars send $READINGS readings; two readers take the same stream"
catamaran topic create cars --partitions 4
connected_cars hot --readings "$READINGS" >"$work/hot" &
hot_pid=$!
connected_cars cold --readings "$READINGS" >"$work/cold" &
cold_pid=$!
connected_cars drive --cars "$CARS" --readings "$READINGS" >"$work/drive"
wait "$hot_pid" || fail "the hot path failed"
wait "$cold_pid" || fail "the cold path failed"
hot_pid=
cold_pid=
printf 'hot path, cars in need of attention (the last 5 of %s):\n' "$(tail -n 1 "$work/hot")"
tail -n 6 "$work/hot" | head -n 5 | sed 's/^/  /'
printf 'cold path, fuel:\n'
sed 's/^/  /' "$work/cold"
[[ $(head -n 1 "$work/cold") == "$(cat "$work/drive")" ]] ||
  fail "the cars sent '$(cat "$work/drive")', but the cold path read '$(head -n 1 "$work/cold")'"
printf 'What the cold path read is what the cars sent.\n'

if [[ $keep == yes ]]; then
  cat <<EOF

The broker goes on (process $broker_pid, data and log in $work). Try:
  export CATAMARAN_BROKERS=$CATAMARAN_BROKERS PATH=$build/client/cli:\$PATH
  catamaran topic list
  catamaran consume cars --offset start --num 3 -f '%p %o %k %v\n'
  curl -s http://127.0.0.1:7401/metrics | grep ^catamaran_
Stop it and remove what it stored:
  kill $broker_pid; rm -rf $work
EOF
  exit 0
fi
kill -TERM "$broker_pid"
deadline=$((SECONDS + STOP_SECONDS_MAX))
while kill -0 "$broker_pid" 2>/dev/null; do
  ((SECONDS < deadline)) || fail "the broker didn't stop within $STOP_SECONDS_MAX s"
  sleep 0.05
done
wait "$broker_pid" || fail "the broker ended with exit code $?"
broker_pid=
printf '\nDone: stored, read back, compared; the broker stopped cleanly.\n'
