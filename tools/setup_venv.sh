#!/bin/sh
# Make a virtual environment with mqttsec, the labs and the tests in it.   sh tools/setup_venv.sh .venv
# PYTHON=python3.12 chooses the interpreter; otherwise the first one on the path that fits is taken.
set -eu
venv=$1

fits() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1
}
can_make_venv() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }
stop() { printf '\nmqttsec: %s\n\n' "$*" >&2; exit 1; }

python=
if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" || stop "PYTHON=$PYTHON is not a Python from 3.10 to 3.13."
    python=$PYTHON
else
    # Prefer one that can make a virtual environment at once.
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
        fits "$candidate" || continue
        if can_make_venv "$candidate"; then python=$candidate; break; fi
        python=${python:-$candidate}
    done
    if [ -z "$python" ]; then
        found='no python3 at all'
        if command -v python3 >/dev/null 2>&1; then found=$(python3 --version 2>&1); fi
        stop "a Python from 3.10 to 3.13 is needed, but here is $found. Install one (on Debian or Ubuntu:
         apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 ..."
    fi
fi

if ! can_make_venv "$python"; then
    # Debian and Ubuntu ship Python without these two modules.
    if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv || true
    elif command -v apt-get >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo -n apt-get update -qq && sudo -n apt-get install -y -qq python3-venv || true
    fi
    can_make_venv "$python" || stop "$python has no 'venv' and 'ensurepip'. On Debian or Ubuntu:
         sudo apt install python3-venv    and then run make again."
fi

# An environment of an unfit Python, of one that is gone, or of another than asked for is made anew.
version() { "$1" -c 'import sys; print(sys.version_info[:2])'; }
if [ -e "$venv/bin/python" ] || [ -L "$venv/bin/python" ]; then
    fits "$venv/bin/python" || rm -rf "$venv"
    [ -z "${PYTHON:-}" ] || [ ! -e "$venv" ] || [ "$(version "$venv/bin/python")" = "$(version "$python")" ] ||
        rm -rf "$venv"
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"

echo "mqttsec: installing into $venv ($("$venv/bin/python" --version)), about a minute and 550 MB"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[labs,test]' ||
    stop "pip could not install everything; its message stands above. Is the package index reachable?"
