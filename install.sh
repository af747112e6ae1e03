#!/bin/sh
# Installs a release of startup-guard, a single static binary for Linux. Needs no root and no sudo.
#
#   curl -fsSL https://github.com/startup-guard/startup-guard/releases/latest/download/install.sh | sh
#   curl -fsSL https://github.com/startup-guard/startup-guard/releases/latest/download/install.sh |
#       sh -s -- --version 0.1.0 --to /usr/local/bin
#
# A shell runs nothing of a group in braces before it has read the closing brace. A script that was cut off during the
# download therefore does nothing.
{
set -eu

usage() {
    cat <<'END'
Usage: install.sh [--version VERSION] [--to FOLDER]

Downloads a release of startup-guard for this machine, checks its SHA-256 sum, and installs the program.
If any step fails, the program that was installed before remains as it was.

  --version VERSION  the release to install, such as 0.1.0 (default: the latest)
  --to FOLDER        where to install it (default: /usr/local/bin for root, else $HOME/.local/bin)
  --help             print this text

Environment:
  STARTUP_GUARD_BASE_URL  where the releases are, if they are on a mirror
                          (default: https://github.com/startup-guard/startup-guard/releases)
  STARTUP_GUARD_TIMEOUT   the seconds that each of the two downloads may take (default: 300)

Exit codes: 0 installed, 1 not installed, 64 wrong usage, 128+n stopped by signal n.
END
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

wrong_usage() {
    echo "install.sh: $* (see install.sh --help)" >&2
    exit 64
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Sets `version` (empty: the latest) and `folder` (empty: the default) from the arguments.
parse_arguments() {
    version='' folder=''
    while [ $# -gt 0 ]; do
        case $1 in
            --version | --to)
                [ -n "${2-}" ] || wrong_usage "$1 needs a value"
                if [ "$1" = --to ]; then folder=$2; else version=${2#v}; fi
                shift 2
                ;;
            --help | -h)
                usage
                exit 0
                ;;
            *) wrong_usage "unknown argument '$1'" ;;
        esac
    done
    # The version becomes a part of a URL.
    case $version in
        '') ;;
        [!0-9]* | *[!0-9A-Za-z.-]*) wrong_usage "'$version' is not a version such as 0.1.0" ;;
        *) ;;
    esac
}

# Sets `target` to the target of the release's archive for this machine.
find_target() {
    machine=$(uname -sm)
    case $machine in
        'Linux x86_64' | 'Linux amd64') target=x86_64-unknown-linux-musl ;;
        'Linux aarch64' | 'Linux arm64') target=aarch64-unknown-linux-musl ;;
        'Linux '*) fail "there is no binary for $machine: build it with 'cargo install startup-guard --locked'" ;;
        *) fail "there is no binary for $machine: startup-guard runs on Linux; run this script in the image or container" ;;
    esac
}

# Makes `folder` absolute, and creates it, and in it the temporary folder `work`. The last step of the installation is
# then a rename within one file system, and the new program can be tried even if /tmp admits no programs.
make_folders() {
    if [ -z "$folder" ]; then
        if [ "$(id -u)" -eq 0 ]; then
            folder=/usr/local/bin
        else
            [ -n "${HOME-}" ] || fail "HOME is not set: name a folder with --to"
            folder=$HOME/.local/bin
        fi
    fi
    case $folder in
        /*) ;;
        *) folder=$PWD/$folder ;;
    esac
    folder=${folder%/}
    program=$folder/startup-guard
    [ ! -d "$program" ] || fail "$program is a folder: move it away, or name another folder with --to"
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # A program may print a warning and succeed.
    work=$(make_work 2>/dev/null) || {
        reason=$(make_work 2>&1) || :
        work=''
        fail "$folder/ cannot be written to ($reason): name another folder with --to, such as --to \"\$HOME/.local/bin\""
    }
    # As it may be in PATH: without `./`, `..` and repeated slashes.
    folder=$(CDPATH='' cd "$folder/" && pwd)
    program=${folder%/}/startup-guard
}

make_work() {
    mkdir -p "$folder/" && mktemp -d "$folder/.startup-guard.XXXXXX"
}

# shellcheck disable=SC2317,SC2329 # The trap calls it. Older versions of shellcheck have the first number for that.
clean_up() {
    # `$!`, because a signal can arrive before the next command of `fetch` has begun. The timeout of the GNU core
    # utilities leads a process group, and ends without its child if it is stopped just after it has started it.
    if [ "${!-}" != "$ended" ]; then
        { { kill -TERM "-$!" || kill "$!"; } && wait "$!"; } 2>/dev/null || :
    fi
    if [ -n "$work" ]; then
        rm -rf "$work"
    fi
}

# Downloads the file $1 of the release into `work`.
fetch() {
    url=$base/$1
    # The user and the password of a mirror are not shown.
    rest=${url#*://}
    host=${rest%%/*}
    shown=${url%"$rest"}${rest#"${host%"${host##*@}"}"}
    echo "downloading $shown"
    # In the background, because a shell handles a signal only after a program in the foreground has ended.
    if has curl; then
        # A redirect may not leave TLS either.
        case $url in
            https:*) protocols='=https' ;;
            *) protocols='=http,https' ;;
        esac
        timeout "$limit" curl --fail --silent --show-error --location --proto "$protocols" --tlsv1.2 \
            --connect-timeout 20 --retry 3 --output "$work/$1" "$url" 2>"$work/log" &
    else
        # busybox's wget ignores -t, and can have been built without -T.
        timeout "$limit" wget -nv -t 3 -O "$work/$1" "$url" 2>"$work/log" &
    fi
    code=0
    # Some shells report on standard error that the program was stopped.
    wait "$!" 2>/dev/null || code=$?
    ended=$!
    # What busybox's own TLS prints. It would accept the certificate of any server.
    if grep -q 'certificate validation not implemented' "$work/log"; then
        fail "this wget does not check the certificates of servers: install curl"
    fi
    case $code in
        0) ;;
        # 124: timeout of the GNU core utilities. 143: timeout of busybox.
        124 | 143) fail "$shown was not downloaded within $limit s" ;;
        # The signal XFSZ.
        153) fail "$shown was not downloaded: it is too large" ;;
        *)
            reason=$(tail -n 1 "$work/log")
            # wget begins with the URL if it cannot parse it.
            reason=${reason#"$url: "}
            fail "$shown was not downloaded: ${reason:-exit code $code}"
            ;;
    esac
}

# Prints the SHA-256 sum of its input.
sum_of() {
    if has sha256sum; then
        sha256sum
    elif has shasum; then
        shasum -a 256
    else
        busybox sha256sum
    fi
}

# Compares the sum of the archive $1 with its only entry in SHA256SUMS.
check_sum() {
    expected='' entries=0
    while read -r sum name || [ -n "$sum" ]; do
        # An asterisk says that the sum is of the file's bytes.
        if [ "${name#\*}" = "$1" ]; then
            expected=$sum entries=$((entries + 1))
        fi
    done <"$work/SHA256SUMS"
    [ "$entries" -eq 1 ] || fail "SHA256SUMS has $entries entries for $1 instead of one: nothing was installed"
    actual=$(sum_of <"$work/$1")
    [ "${actual%% *}" = "$expected" ] ||
        fail "the SHA-256 sum of $1 is ${actual%% *}, and not $expected as SHA256SUMS says: nothing was installed"
}

# Unpacks the program from the archive $1, tries it, and moves it to its place.
install_program() {
    # To standard output, so that no member of the archive can choose where it goes or what it is.
    tar -xzOf "$work/$1" startup-guard >"$work/startup-guard" ||
        fail "startup-guard cannot be unpacked from $1: nothing was installed"
    chmod 755 "$work/startup-guard"
    printed=$("$work/startup-guard" --version 2>&1) || fail "the program in $1 does not run here: $printed"
    case "$version/$printed " in
        '/startup-guard '[0-9]* | "$version/startup-guard $version "*) ;;
        *) fail "the program in $1 is '$printed', and not startup-guard${version:+ $version}: nothing was installed" ;;
    esac
    mv -f "$work/startup-guard" "$program"
    echo "installed $printed as $program"
    case ":$PATH:" in
        *":$folder:"* | *":$folder/:"*) ;;
        *) echo "$folder is not in PATH; to add it: export PATH=\"$folder:\$PATH\"" ;;
    esac
}

main() {
    work=''
    # The last download that has ended; so far none. zsh sets `$!` to 0 until there is one.
    ended=${!-}
    parse_arguments "$@"
    limit=${STARTUP_GUARD_TIMEOUT:-300}
    case $limit in
        0* | *[!0-9]*) wrong_usage "STARTUP_GUARD_TIMEOUT is '$limit', and not a number of seconds" ;;
        *) ;;
    esac
    find_target
    has curl || has wget || fail "curl or wget is needed"
    has sha256sum || has shasum || has busybox || fail "sha256sum, shasum or busybox is needed to check the download"
    for tool in tar gzip timeout mktemp; do
        has "$tool" || fail "$tool is needed"
    done
    base=${STARTUP_GUARD_BASE_URL:-https://github.com/startup-guard/startup-guard/releases}
    if [ -n "$version" ]; then
        base=${base%/}/download/v$version
    else
        base=${base%/}/latest/download
    fi
    # The program and its folder are for everyone.
    umask 022
    # No server can fill the disk: no file that is downloaded or unpacked grows beyond 64 MiB (128 MiB in some shells, which
    # count in other blocks). A limit that is lower already remains.
    ulimit -f 131072 2>/dev/null || :
    make_folders
    archive=startup-guard-$target.tar.gz
    fetch SHA256SUMS
    fetch "$archive"
    check_sum "$archive"
    install_program "$archive"
}

main "$@"
exit
}
