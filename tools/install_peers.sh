#!/bin/sh
# The programs from elsewhere that the tests talk to: mosquitto, tshark, chromium.   sh tools/install_peers.sh
# Installs those that are missing where that is possible (apt-get, and root or a password-less sudo);
# otherwise says loudly which tests will be skipped, or fails where CI=true.
set -eu
PATH=$PATH:/usr/sbin:/sbin

missing() {
    for pair in mosquitto:mosquitto mosquitto_sub:mosquitto-clients tshark:tshark chromium:chromium; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || printf '%s ' "${pair#*:}"
    done
}

packages=$(missing)
[ -z "$packages" ] && exit 0

if command -v apt-get >/dev/null 2>&1; then
    as_root=
    if [ "$(id -u)" = 0 ]; then as_root=env; elif sudo -n true 2>/dev/null; then as_root='sudo -n env'; fi
    if [ -n "$as_root" ]; then
        echo "mqttsec: installing $packages"
        # $packages and $as_root are lists of words.
        # shellcheck disable=SC2086
        { $as_root apt-get update -qq &&
            $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } \
            >/dev/null || echo "mqttsec: apt-get failed, its message stands above" >&2
    fi
fi

packages=$(missing)
[ -z "$packages" ] && exit 0
{
    echo "============================================================================================"
    echo "mqttsec: MISSING: $packages"
    echo "The tests that need them will be SKIPPED. On Debian: sudo apt install $packages"
    echo "============================================================================================"
} >&2
[ "${CI:-}" = true ] && { echo "CI=true: a missing program is a failure." >&2; exit 1; }
exit 0
