#!/usr/bin/env bash
# Run commands as a newcomer would: in a minimal Debian 12 with git, make and this machine's Rust toolchain,
# in a clone of the last commit. Prints one line a command; the logs are in out/bare.
#
#   scripts/bare-machine.sh [-c CASE,...] [-k] [COMMAND ...]
#
# Commands are "make demo" and "make test" unless given. Cases, all unless -c names some:
#   plain         nothing else is installed
#   libclang-cpp  libclang-cpp14 is installed, which is not the libclang that bindgen loads
#   mpich         MPICH is the only MPI
#   wheel         Python with venv and pip, no Rust, no compiler, no MPI; the command is scripts/wheel-test.sh unless
#                 given, for the wheel that make wheel left in out/wheel; only if -c names it
# -k keeps what was compiled of crates that link to no library of the system, for the next run with -k; the first one
#    takes what this checkout has.
#
# Needs root. The minimal system is made once by debootstrap and kept in DOLMEN_BARE_DIR
# (~/.cache/dolmen-bare by default). Settings for apt, cargo and pip are this machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh
. scripts/python.sh

usage() {
    sed -n 's/^# \{0,1\}//p' "$0" | sed '1d; /^set/,$d' >&2
    exit 2
}

cases=plain,libclang-cpp,mpich keep=no
while getopts c:kh option; do
    case $option in
        c) cases=$OPTARG ;;
        k) keep=yes ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))

if [ "$(id -u)" -ne 0 ]; then
    echo "bare: needs root, for chroot and mounts" >&2
    exit 2
fi

suite=bookworm
store=${DOLMEN_BARE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dolmen-bare}
base=$store/$suite
logs=$PWD/out/bare
rust=$(rustc --print sysroot)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$store" "$logs" "$cargo_home/registry"

# The packages that a case starts with.
packages_of() {
    case $1 in
        plain) ;;
        libclang-cpp) echo libclang-cpp14 ;;
        mpich) echo libmpich-dev mpich ;;
        wheel) echo python3 python3-venv python3-pip ;;
        *) echo "bare: no case is called $1: plain, libclang-cpp, mpich, wheel" >&2; exit 2 ;;
    esac
}

# Debian's repositories as this machine reaches them; none where it is another system.
repositories() {
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
        awk -v suite="$suite" '$1 == "Debian" && index($3, suite) == 1 { print "deb", $2, $3, "main" }' | sort -u
}

make_base() {
    [ -e "$base/made" ] && return
    echo "bare: making a minimal $suite in $base (once)" >&2
    if ! command -v debootstrap >/dev/null; then
        apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends debootstrap >/dev/null
    fi
    rm -rf "$base"
    local mirror
    mirror=$(repositories | awk -v suite="$suite" '$3 == suite { print $2; exit }')
    debootstrap --variant=minbase --include=git,make,ca-certificates "$suite" "$base" ${mirror:+"$mirror"} \
        >"$logs/debootstrap.log"
    # A system that is thrown away need not survive a power cut.
    echo force-unsafe-io >"$base/etc/dpkg/dpkg.cfg.d/unsafe-io"
    touch "$base/made"
}

# What this machine says about the network: repositories, proxies, certificates.
copy_settings() {
    local root=$1 sources
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    sources=$(repositories)
    [ -z "$sources" ] || echo "$sources" >"$root/etc/apt/sources.list"
    apt-config dump Acquire 2>/dev/null | grep -iE '::(proxy|cainfo|verify)' >"$root/etc/apt/apt.conf.d/00machine" || true
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true
    cp -L /etc/pip.conf "$root/etc/" 2>/dev/null || true
    mkdir -p "$root/root/.cargo/registry"
    cp "$cargo_home"/config* "$root/root/.cargo/" 2>/dev/null || true
}

settings_of_environment() {
    env | grep -E '^(PIP_|SSL_CERT|CURL_CA|GIT_SSL|CARGO_(HTTP|NET|REGISTR)|(https?|no|all)_proxy=)' |
        grep -v '^PIP_FIND_LINKS=' || true
}

# Runs a command in a root. Its mounts and processes end with it.
inside() {
    local root=$1 command=$2 settings
    mapfile -t settings < <(settings_of_environment)
    unshare --mount --propagation private --pid --fork --kill-child bash -euc '
        root=$1 rust=$2 registry=$3 compiled=$4
        shift 4
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --bind /sys "$root/sys"
        mkdir -p "$root/opt/rust" "$root/root/dolmen/target"
        [ -z "$rust" ] || mount --bind -o ro "$rust" "$root/opt/rust"
        mount --bind "$registry" "$root/root/.cargo/registry"
        [ -z "$compiled" ] || mount --bind "$compiled" "$root/root/dolmen/target"
        exec chroot "$root" "$@"' inside "$root" "$rust" "$cargo_home/registry" "$compiled" \
        env -i HOME=/root LANG=C.UTF-8 PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        DEBIAN_FRONTEND=noninteractive "${settings[@]}" bash -euc "cd /root/dolmen && $command"
}

# The crates that link to a library of the system: what a missing package breaks, so they are compiled anew.
linked_crates() {
    cargo metadata --format-version 1 --manifest-path "$1/Cargo.toml" | "$python" -c '
import json, sys
print(*("-p " + package["name"] for package in json.load(sys.stdin)["packages"] if package["links"]))'
}

# What this checkout has compiled of other people's crates: cargo takes it where versions, features and flags agree.
copy_compiled() {
    local from=$target_dir/debug to=$1
    mkdir -p "$to/deps" "$to/.fingerprint" "$to/build"
    [ -e "$from/deps" ] || return 0
    find "$from/deps" -maxdepth 1 -type f ! -name '*dolmen*' \( -name 'lib*' -o -name '*.d' \) -exec cp -a -t "$to/deps" {} +
    cp -a "$from/.fingerprint" "$from/build" "$to/"
    rm -rf "$to"/.fingerprint/dolmen* "$to"/build/dolmen*
}

# The wheel, for a system that builds nothing.
bring_wheel() {
    local root=$1
    if ! compgen -G "out/wheel/dolmen-*.whl" >/dev/null; then
        echo "bare: there is no out/wheel/dolmen-*.whl: run make wheel" >&2
        return 1
    fi
    mkdir -p "$root/root/dolmen/out/wheel"
    cp out/wheel/dolmen-*.whl "$root/root/dolmen/out/wheel/"
}

# One line for a command and how it ended.
attempt() {
    local name=$1 root=$2 log=$3 command=$4 start=$SECONDS
    if inside "$root" "$command" >>"$log" 2>&1; then
        echo "bare: $name: $command: ok ($((SECONDS - start)) s)"
    else
        echo "bare: $name: $command: FAILED after $((SECONDS - start)) s; the end of $log:"
        tail -25 "$log"
        return 1
    fi
}

run_case() {
    local name=$1 root=$store/case-$1 log=$logs/$1.log rust=$rust packages compiled=
    shift
    if [ "$name" = wheel ]; then
        rust=
        [ $# -gt 0 ] || set -- scripts/wheel-test.sh
    fi
    [ $# -gt 0 ] || set -- "make demo" "make test"
    packages=$(packages_of "$name")
    rm -rf --one-file-system "$root"
    cp -a "$base" "$root"
    copy_settings "$root"
    git clone --quiet . "$root/root/dolmen"
    : >"$log"
    if [ "$name" = wheel ]; then
        bring_wheel "$root" || return 1
    elif [ "$keep" = yes ]; then
        compiled=$store/target-$name
        [ -e "$compiled" ] || copy_compiled "$compiled/debug"
    fi
    if [ -n "$packages" ]; then
        inside "$root" "apt-get update -q && apt-get install -y -q --no-install-recommends $packages" >>"$log" 2>&1
    fi
    if [ -n "$compiled" ]; then
        inside "$root" "cargo clean $(linked_crates "$root/root/dolmen")" >>"$log" 2>&1
    fi
    local command
    for command in "$@"; do
        attempt "$name" "$root" "$log" "$command" || return 1
    done
    rm -rf --one-file-system "$root"
}

make_base
[ -z "$(git status --porcelain)" ] || echo "bare: uncommitted changes are left out" >&2
echo "bare: commit $(git rev-parse --short HEAD), $suite, $(rustc --version)"
failed=0
for name in ${cases//,/ }; do
    run_case "$name" "$@" || failed=1
done
exit "$failed"
