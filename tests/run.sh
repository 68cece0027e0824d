#!/usr/bin/env bash
# Builds and tests everything, from a clean clone or a used tree, and installs what is missing first.
#
#   tests/run.sh                 all stages, in the order below
#   tests/run.sh --quick         only: deps, build, test
#   tests/run.sh --only STAGE    only this stage (may be repeated); deps always comes first
#   tests/run.sh --list          names the stages
#
# A stage that fails doesn't stop the others; the last lines name it and the exit code is 1. When all pass,
# the last lines are ctest's own summary of the release tree. Build trees are build/release, build/asan,
# build/tsan and build/fuzz.
#
# CATAMARAN_SIM_SECONDS   time box of the stage sim: 300 when CI=true, else 60
# CATAMARAN_FUZZ_SECONDS  time box of each fuzzer: 20
# CATAMARAN_JOBS          parallel jobs: as many as there are processors
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Stage and what it does. `test` is last, so that its summary closes the run.
readonly STAGES=(
  "deps:installs missing packages"
  "lint:tidy rules, formatting, shell and proto lint"
  "build:release build"
  "clang:thread-safety and warnings of clang over every source"
  "asan:build and tests with the address and undefined-behaviour sanitizers"
  "tsan:build and tests with the thread sanitizer, without gRPC"
  "fuzz:every fuzzer from its corpus"
  "sim:simulation of random seeds"
  "quickstart:deploy/quickstart.sh, the way a newcomer starts it"
  "test:every test on the release build"
)
readonly QUICK_STAGES=(deps build test)
# ctest labels of tests that say nothing more in a sanitized tree.
readonly RELEASE_ONLY_LABELS='^(lint|docs|bench)$'

if [[ ${CI:-} == true ]]; then
  default_sim_seconds=300
else
  default_sim_seconds=60
fi
sim_seconds=${CATAMARAN_SIM_SECONDS:-$default_sim_seconds}
fuzz_seconds=${CATAMARAN_FUZZ_SECONDS:-20}
jobs=${CATAMARAN_JOBS:-$(nproc)}
readonly sim_seconds fuzz_seconds jobs
# The tests of the tree choose their own time boxes; only the stage sim uses this one.
unset CATAMARAN_SIM_SECONDS

say() { printf '== %s\n' "$*"; }

configure() { cmake --preset "$1" --log-level=WARNING >/dev/null; }
build() {
  configure "$1"
  cmake --build --preset "$1" --parallel "$jobs"
}

stage_deps() { bash deploy/install-deps.sh test; }

stage_lint() {
  configure release
  ctest --test-dir build/release --label-regex '^lint$' --output-on-failure --no-tests=error --parallel "$jobs"
}

stage_build() { build release; }

stage_clang() {
  build release
  python3 tests/tidy/clang_pass.py --build build/release --jobs "$jobs"
}

stage_asan() {
  build asan
  ctest --preset asan --label-exclude "$RELEASE_ONLY_LABELS" --parallel "$jobs" --no-tests=error
}

stage_tsan() {
  build tsan
  local fixed_addresses=()
  # GCC 12's thread sanitizer can't map its shadow where the kernel randomizes over 32 bits.
  if setarch --addr-no-randomize true 2>/dev/null; then
    fixed_addresses=(setarch --addr-no-randomize)
  fi
  "${fixed_addresses[@]}" ctest --preset tsan --label-exclude "$RELEASE_ONLY_LABELS" --parallel "$jobs" \
    --no-tests=error
}

# run_fuzzer NAME BINARY: one fuzzer for its time box; its log is shown only when it fails.
run_fuzzer() {
  local name=$1 binary=$2
  local work=build/fuzz/run/$name
  local seeds=tests/fuzz/corpus/$name
  if [[ ! -d $seeds || -z $(ls -A "$seeds") ]]; then
    say "fuzz: $name has no seed corpus; put at least one input into $seeds"
    return 1
  fi
  mkdir -p "$work/corpus" "$work/artifacts"
  if "$binary" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$work/artifacts/" "$work/corpus" "$seeds" >"$work/log" 2>&1 </dev/null; then
    say "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log") inputs"
  else
    say "fuzz: $name FAILED; the input is in $work/artifacts/ and its log ends with:"
    tail -n 40 "$work/log"
    return 1
  fi
}

stage_fuzz() {
  configure fuzz
  if [[ ! -s build/fuzz/fuzzers.txt ]]; then
    say "fuzz: this tree declares no fuzzer"
    return 1
  fi
  cmake --build --preset fuzz --parallel "$jobs"
  export -f run_fuzzer say
  export fuzz_seconds
  export ASAN_OPTIONS=detect_odr_violation=0 UBSAN_OPTIONS=print_stacktrace=1
  # shellcheck disable=SC2016
  xargs -P "$jobs" -L 1 bash -c 'run_fuzzer "$1" "$2"' run_fuzzer <build/fuzz/fuzzers.txt
}

stage_sim() {
  build release
  local binary
  binary=$(find build/release/tests -type f -name catamaran_sim_run -perm -u+x | head -n 1)
  if [[ -z $binary ]]; then
    say "sim: the build made no catamaran_sim_run"
    return 1
  fi
  # Twice the time box and a minute: a seed that is under way ends by itself.
  CATAMARAN_SIM_SECONDS=$sim_seconds timeout $((2 * sim_seconds + 60)) "$binary" </dev/null
}

stage_quickstart() { timeout 900 bash deploy/quickstart.sh </dev/null; }

stage_test() {
  build release
  ctest --preset release --parallel "$jobs" --no-tests=error --no-label-summary
}

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

is_stage() {
  local stage
  for stage in "${STAGES[@]}"; do
    [[ ${stage%%:*} == "$1" ]] && return 0
  done
  return 1
}

chosen=()
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --list)
      printf '%s\n' "${STAGES[@]}" | sed 's/:/\t/'
      exit 0
      ;;
    --quick) chosen+=("${QUICK_STAGES[@]}") ;;
    --only)
      if [[ $# -lt 2 ]] || ! is_stage "$2"; then
        echo "tests/run.sh: --only needs a stage, one of: $(printf '%s ' "${STAGES[@]%%:*}")" >&2
        exit 2
      fi
      chosen+=(deps "$2")
      shift
      ;;
    *)
      echo "tests/run.sh: unknown argument '$1'; see tests/run.sh --help" >&2
      exit 2
      ;;
  esac
  shift
done
[[ ${#chosen[@]} -gt 0 ]] || chosen=("${STAGES[@]%%:*}")

failed=()
for stage in "${STAGES[@]}"; do
  name=${stage%%:*}
  [[ " ${chosen[*]} " == *" $name "* ]] || continue
  say "$name: ${stage#*:}"
  started=$SECONDS
  set +e
  (
    set -euo pipefail
    "stage_$name"
  )
  status=$?
  set -e
  if [[ $status -ne 0 ]]; then
    failed+=("$name")
    say "$name: FAILED after $((SECONDS - started)) s"
  elif [[ $name != test ]]; then
    say "$name: passed in $((SECONDS - started)) s"
  fi
done
if [[ ${#failed[@]} -gt 0 ]]; then
  say "FAILED stages: ${failed[*]}; run one again with tests/run.sh --only ${failed[0]}"
  exit 1
fi
