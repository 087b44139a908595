#!/usr/bin/env bash
# groundplane from a clone: makes sure of Debian's packages and of a virtual environment, then hands over.
#   ./gp up      brings up the built-in cluster (or the one of the file you name)
#   ./gp test    runs the whole test suite
# Everything else goes to `groundplane` as it is. Running it again installs nothing twice.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
venv=$here/.venv

say() { printf 'gp: %s\n' "$*" >&2; }

# program (or library) that must be there : Debian package : Fedora package
needs_run='
/usr/bin/etcd:etcd-server:etcd
/usr/bin/etcdctl:etcd-client:etcd
/usr/bin/crun:crun:crun
/usr/bin/conmon:conmon:conmon
/usr/sbin/bird:bird2:bird
/bin/busybox:busybox-static:busybox
libnftables.so.1:libnftables1:nftables
'
needs_test='
/usr/bin/cfssl:golang-cfssl:golang-github-cloudflare-cfssl
/usr/sbin/nft:nftables:nftables
/usr/sbin/ip:iproute2:iproute
/usr/bin/tcpdump:tcpdump:tcpdump
/usr/bin/openssl:openssl:openssl
/usr/bin/curl:curl:curl
/usr/sbin/runc:runc:runc
/usr/bin/umoci:umoci:umoci
/usr/bin/skopeo:skopeo:skopeo
/usr/lib/cni/bridge:containernetworking-plugins:containernetworking-plugins
/usr/bin/systemd-analyze:systemd:systemd
/usr/lib/postgresql/15/bin/postgres:postgresql:postgresql-server
/usr/sbin/mariadbd:mariadb-server:mariadb-server
/usr/bin/certbot:certbot:certbot
/usr/bin/softhsm2-util:softhsm2:softhsm
/usr/bin/pkcs11-tool:opensc:opensc
/usr/bin/javac:default-jdk-headless:java-latest-openjdk-headless
/usr/bin/wrk:wrk:wrk
'

present() {
  case $1 in
    /*) [ -x "$1" ] ;;
    *) compgen -G "/usr/lib/*/$1" >/dev/null || compgen -G "/usr/lib64/$1" >/dev/null || compgen -G "/usr/lib/$1" >/dev/null ;;
  esac
}

install() { # the package names, as words
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "these packages are missing and installing needs root: $*"; exit 8; }
    root=(sudo)
  fi
  say "installing: $*"
  if command -v apt-get >/dev/null; then
    # Services that a package would start are not wanted: groundplane starts its own.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
      printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
      "${root[@]}" chmod 755 $policy
      made=1
    fi
    local code=0
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null || code=$?
    [ -z "$made" ] || "${root[@]}" rm -f $policy
    [ "$code" -eq 0 ] || { say "apt-get could not install: $*"; exit 5; }
  else
    "${root[@]}" dnf install -y -q "$@"
  fi
}

ensure_packages() { # lists of needs
  local column=2 missing=() line
  command -v apt-get >/dev/null || column=3
  for line in $1; do
    present "${line%%:*}" || missing+=("$(cut -d: -f$column <<<"$line")")
  done
  [ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
}

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  say 'Python 3.11 or newer is needed: apt-get install python3'
  exit 5
}

ensure_venv() { # the lock file
  local lock=$here/$1 stamp
  stamp=$(sha256sum "$lock" "$here/pyproject.toml" | cut -c1-64 | tr -d '\n')
  if [ -x "$venv/bin/python" ] && grep -qsxF "$1 $stamp" "$venv/.groundplane"; then
    return
  fi
  local python
  python=$(find_python)
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    command -v apt-get >/dev/null || { say "$python has no venv module"; exit 5; }
    install "python3-venv"
  fi
  [ -x "$venv/bin/python" ] || { say "making a virtual environment in .venv"; "$python" -m venv "$venv"; }
  say "installing Python packages of $1"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$lock"
  # The package itself is used from the clone: a path file, so that nothing has to be built.
  local site
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  printf '%s\n' "$here/src" >"$site/groundplane.pth"
  printf '%s %s\n' "$1" "$stamp" >>"$venv/.groundplane"
}

case ${1-} in
  test)
    shift
    ensure_packages "$needs_run $needs_test"
    ensure_venv requirements-dev.lock
    cd "$here"
    exec "$venv/bin/python" -m pytest "$@"
    ;;
  *)
    ensure_packages "$needs_run"
    if ! { [ -f "$venv/.groundplane" ] && grep -q '^requirements-dev.lock ' "$venv/.groundplane" && ensure_venv requirements-dev.lock; }; then
      ensure_venv requirements.lock
    fi
    exec "$venv/bin/python" -m groundplane.cli.main "$@"
    ;;
esac
