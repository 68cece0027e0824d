#!/usr/bin/env bash
# Installs the Debian 12 packages that Catamaran needs and that are missing; does nothing, fast, when
# none is.
#
#   deploy/install-deps.sh [build|test]
#
# build (default): what compiling the broker, the client library and the command line needs.
# test: that, and what tests/run.sh needs besides.
# CATAMARAN_SKIP_DEPS=1 skips it all, for systems whose packages have other names.
set -euo pipefail

readonly INSTALL_ATTEMPTS=3

readonly BUILD_PACKAGES=(
  ca-certificates ccache cmake g++ mold ninja-build pkg-config
  libabsl-dev libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  liblz4-dev libsnappy-dev libzstd-dev zlib1g-dev
  libcli11-dev libfmt-dev libspdlog-dev libtomlplusplus-dev nlohmann-json3-dev
  libcpp-httplib-dev libjemalloc-dev librocksdb-dev libssl-dev prometheus-cpp-dev
)
readonly TEST_PACKAGES=(
  clang-14 clang-format-14 libclang-rt-14-dev llvm-14
  libbenchmark-dev libgmock-dev libgtest-dev
  curl procps python3 shellcheck
)

say() { printf 'install-deps: %s\n' "$*" >&2; }

# Prints those of its arguments that aren't installed, one per line.
missing_packages() {
  local installed
  # dpkg-query exits 1 when it doesn't know one of the names; that's an answer, not a failure.
  # shellcheck disable=SC2016
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p' || true)
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

# True when the package lists on this machine know every one of the packages.
lists_know() {
  local candidates
  candidates=$(apt-cache policy "$@" 2>/dev/null | grep -c 'Candidate: [^(]' || true)
  [[ $candidates -eq $# ]]
}

main() {
  if [[ ${CATAMARAN_SKIP_DEPS:-} == 1 ]]; then
    say "skipped, because CATAMARAN_SKIP_DEPS=1"
    return 0
  fi
  local wanted
  case ${1:-build} in
    build) wanted=("${BUILD_PACKAGES[@]}") ;;
    test) wanted=("${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}") ;;
    -h | --help)
      sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      return 0
      ;;
    *)
      say "unknown set '$1'; the sets are: build, test"
      return 2
      ;;
  esac
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this system has no apt-get. Install what corresponds to these Debian 12 packages, then set"
    say "CATAMARAN_SKIP_DEPS=1:"
    say "${wanted[*]}"
    return 1
  fi

  local missing
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  if [[ ${#missing[@]} -eq 0 ]]; then
    return 0
  fi

  local as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
      say "${#missing[@]} packages are missing and this is neither root nor a system with sudo. Run as root:"
      say "apt-get update && apt-get install --no-install-recommends ${missing[*]}"
      return 1
    fi
    as_root=(sudo)
  fi
  say "installing ${#missing[@]} missing packages: ${missing[*]}"

  local log attempt
  log=$(mktemp)
  # shellcheck disable=SC2064
  trap "rm -f '$log'" EXIT
  for ((attempt = 1; attempt <= INSTALL_ATTEMPTS; attempt++)); do
    # Old lists name files that the mirror no longer has, so a failed attempt renews them too.
    if ((attempt > 1)) || ! lists_know "${missing[@]}"; then
      say "renewing the package lists"
      "${as_root[@]}" apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 ||
        tail -n 5 "$log" >&2
    fi
    if "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
      "${missing[@]}" >"$log" 2>&1 </dev/null; then
      say "installed"
      return 0
    fi
    say "attempt $attempt of $INSTALL_ATTEMPTS failed:"
    tail -n 15 "$log" >&2
  done
  say "could not install: ${missing[*]}. Check the network and /etc/apt/sources.list, then run this again."
  return 1
}

main "$@"
