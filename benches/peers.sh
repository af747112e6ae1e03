#!/bin/sh
# Fetches the programs to which the guard is compared from Debian's packages, without installing anything.
#
#   benches/peers.sh DIRECTORY
#
# Each package is unpacked into DIRECTORY/PACKAGE; one that is already there is left alone. Prints one line per peer:
# its name, a tab, and its path; or its name, a tab, "-", a tab, and why it is missing. The exit code is 0 even then:
# the benchmark reports which peers it had to skip.
set -u

directory=$1
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)

# Unpacks PACKAGE, unless it is unpacked already. After an error, $reason has the reason.
unpack() {
    package=$1
    [ -d "$directory/$package" ] && return 0
    work=$(mktemp -d "$directory/.$package.XXXXXX") || { reason="no temporary directory"; return 1; }
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        reason="there is no apt-get or dpkg-deb"
    elif ! (cd "$work" && apt-get download "$package") >"$work/log" 2>&1; then
        reason="apt-get download: $(tail -n 1 "$work/log")"
    elif ! dpkg-deb -x "$work/${package}"_*.deb "$work/unpacked" 2>"$work/log"; then
        reason="dpkg-deb: $(tail -n 1 "$work/log")"
    else
        # Renamed at the end, so that an interrupted run leaves no folder that looks complete.
        mv "$work/unpacked" "$directory/$package"
        rm -rf "$work"
        return 0
    fi
    rm -rf "$work"
    return 1
}

# Prints the line of peer NAME, which is one of the PATHs (they moved with Debian's merged /usr) in PACKAGE.
peer() {
    name=$1 package=$2
    shift 2
    if ! unpack "$package"; then
        printf '%s\t-\t%s\n' "$name" "$reason"
        return
    fi
    for path in "$@"; do
        if [ -x "$directory/$package/$path" ]; then
            printf '%s\t%s\n' "$name" "$directory/$package/$path"
            return
        fi
    done
    printf '%s\t-\tpackage %s has no %s\n' "$name" "$package" "$1"
}

peer tini-static tini usr/bin/tini-static
peer dumb-init dumb-init usr/bin/dumb-init
peer gosu gosu usr/sbin/gosu usr/bin/gosu
peer dash dash usr/bin/dash bin/dash
peer bash bash usr/bin/bash bin/bash
