# Sourced by scripts/follow, scripts/fuzz and scripts/test: makes .venv in the checkout and installs what requirements.txt
# pins. The stamp of the first start lets later starts install nothing.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"
stamp="$venv/fcn_follow.stamp"
pip_version=26.3
torch_cpu_index=https://download.pytorch.org/whl/cpu

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_packages() {
    say "Installing $* ..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

# system_package CHECK PACKAGE: CHECK is a function that succeeds when the package is there; root can install it.
system_package() {
    local check=$1
    shift
    "$check" && return
    can_install || fail "a system package is missing; please run: sudo apt-get install $*"
    install_packages "$@" || fail "apt-get could not install $*"
    "$check" || fail "$* is installed but still does not work"
}

# optional_package CHECK PACKAGE: the same for a package of some tests, which are skipped without it.
optional_package() {
    local check=$1
    shift
    "$check" && return
    if can_install; then install_packages "$@" || true; fi
    "$check" || say "Without $* some tests are skipped; please run: sudo apt-get install $*"
}

has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
has_sdformat() { command -v ign >/dev/null && [ -d /usr/share/sdformat12/1.9 ]; }
has_osmesa() { PATH="$PATH:/sbin" ldconfig -p | grep -q 'libOSMesa\.so'; }

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.10 to 3.14 is needed and was not found; please run: sudo apt-get install python3 python3-venv"
}

has_nvidia_gpu() {
    [ -e /dev/nvidiactl ] || { command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }
}

# Whether plain `pip install` of the pin brings CUDA packages, found out without a download.
would_bring_cuda() {
    local report="$venv/torch.json"
    "$venv/bin/pip" install -qq --dry-run --report "$report" "$1" >/dev/null 2>&1 || return 0
    grep -qiE '"name": *"(nvidia|cuda|triton)' "$report"
}

install_torch() {
    local pin
    pin=$(grep -E '^torch==' "$root/requirements.txt")
    if has_nvidia_gpu; then
        say "Installing PyTorch with CUDA (several GB) ..."
        "$venv/bin/pip" install -qq "$pin"
    elif ! would_bring_cuda "$pin"; then
        say "Installing PyTorch (CPU build) ..."
        "$venv/bin/pip" install -qq "$pin"
    else
        say "Installing PyTorch (CPU build, from PyTorch's own index) ..."
        "$venv/bin/pip" install -qq --timeout 20 --retries 1 --index-url "$torch_cpu_index" "$pin" && return
        say "PyTorch's CPU index cannot be reached, so its CUDA build is installed: SEVERAL GB follow; Ctrl-C stops it."
        "$venv/bin/pip" install -qq "$pin"
    fi
}

set_up() {
    case "$(uname -m)" in
        x86_64) ;;
        *) fail "on $(uname -m) fcn_follow runs on a ROS 2 install (colcon build, then ros2 launch; see README.md); the wheels that this script uses are for x86_64" ;;
    esac
    local python wanted
    python=$(find_python)
    wanted=$(cat "$root/requirements.txt" "$root/pyproject.toml" "$root/setup.py" "$root/scripts/setup.sh" | sha256sum | cut -d' ' -f1)
    wanted="$wanted $root $(readlink -f "$python")"
    if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    system_package has_venv python3-venv
    say "Setting up $venv (once; a few minutes) ..."
    rm -f "$stamp"
    "$python" -m venv "$venv" || fail "could not make $venv"
    "$venv/bin/python" -m pip install -qq --upgrade "pip==$pip_version" || fail "could not install pip $pip_version"
    install_torch || fail "could not install PyTorch; see above"
    say "Installing the other packages ..."
    "$venv/bin/pip" install -qq -r "$root/requirements.txt" || fail "could not install requirements.txt; see above"
    "$venv/bin/pip" install -qq --no-deps --no-build-isolation -e "$root" || fail "could not install fcn_follow"
    printf '%s' "$wanted" >"$stamp"
    say "Set up."
}
