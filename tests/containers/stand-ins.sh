#!/usr/bin/env bash
# Builds stand-ins for the public base images from Debian's packages, for machines without access to an image registry.
#
#   stand-ins.sh DIRECTORY RUST_IMAGE PYTHON_IMAGE POSTGRES_IMAGE
#
# Keeps an existing image, unless it is a stand-in for another state of the project. Prints the names of the new images,
# one per line. Downloads and unpacked files stay in DIRECTORY for the next run. The packages that a Dockerfile fetches
# at build time (crates, wheels) are fetched here and added to the stand-ins, so that builds need no network.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
mkdir -p "$1"
directory=$(cd "$1" && pwd)
rust_image=$2 python_image=$3 postgres_image=$4
debian_image=startup-guard-stand-in-debian
label=startup-guard.stand-in
state=$(cat "$here/stand-ins.sh" "$here/postgres-entrypoint.sh" "$project/Cargo.lock" \
    "$project/examples/intowork-backend/requirements.txt" | sha256sum | cut -d' ' -f1)
exec 3>&1 >&2 # stdout is for the names alone

main() {
    local missing=()
    for image in "$rust_image" "$python_image" "$postgres_image"; do
        is_there "$image" || missing+=("$image")
    done
    [ ${#missing[@]} -eq 0 ] && return
    unpack_debian
    tar -C "$directory/root" -c . | docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        -c 'CMD ["bash"]' - "$debian_image"
    for image in "${missing[@]}"; do
        case $image in
        "$rust_image") make_rust ;;
        "$python_image") make_python ;;
        "$postgres_image") make_postgres ;;
        esac
        echo "$image" >&3
    done
    docker image rm --no-prune "$debian_image"
}

is_there() {
    local found
    found=$(docker image inspect --format "{{with .Config.Labels}}{{index . \"$label\"}}{{end}}" "$1" 2>/dev/null) &&
        [[ $found == '' || $found == "$state" ]]
}

# The root file system of all stand-ins, with the parts that they have in common with the public images.
unpack_debian() {
    [ -e "$directory/root/.complete" ] && return
    local root=$directory/root apt=$directory/apt
    rm -rf "$root"
    mkdir -p "$apt"/{state/lists/partial,cache/archives/partial} "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,usr/local/bin,var,tmp,proc,sys,dev,run}
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
    ln -s ../run "$root/var/run"
    chmod 1777 "$root/tmp"
    # With an empty status file, all dependencies are fetched, even those that are installed on this machine.
    : >"$apt/state/status"
    local options=(-o "Dir::State=$apt/state" -o "Dir::State::status=$apt/state/status" -o "Dir::Cache=$apt/cache"
        -o APT::Sandbox::User=root -o APT::Install-Recommends=0 -qq)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" --yes --download-only install base-files base-passwd bash dash coreutils grep sed procps \
        passwd login util-linux ca-certificates python3 python3-venv gcc libc6-dev postgresql-15 busybox-static
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -C "$root" -x --keep-directory-symlink \
            --exclude './usr/share/doc' --exclude './usr/share/locale' --exclude './usr/share/man' \
            --exclude '*/libLLVM*' --exclude '*/bitcode'
    done
    # Does what the packages' own scripts would do.
    cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
    echo 'postgres:x:999:999::/var/lib/postgresql:/bin/bash' >>"$root/etc/passwd"
    echo 'postgres:x:999:' >>"$root/etc/group"
    ln -sf gcc "$root/usr/bin/cc"
    ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
    mkdir -p "$root/var/lib/postgresql/data" "$root/run/postgresql"
    chown -R 999:999 "$root/var/lib/postgresql" "$root/run/postgresql"
    touch "$root/.complete"
}

# The toolchain of this machine and the crates of Cargo.lock.
make_rust() {
    local context=$directory/rust toolchain host
    toolchain=$(rustc --print sysroot)
    host=$(rustc -vV | sed -n 's/^host: //p')
    rm -rf "$context"
    mkdir -p "$context/rust/bin" "$context/rust/lib/rustlib" "$context/cargo"
    cp "$toolchain/bin/rustc" "$toolchain/bin/cargo" "$context/rust/bin/"
    cp -r "$toolchain/lib/"*.so* "$context/rust/lib/"
    cp -r "$toolchain/lib/rustlib/$host" "$context/rust/lib/rustlib/"
    (cd "$project" && cargo vendor --locked --quiet "$context/cargo/vendor" >/dev/null)
    cat >"$context/cargo/config.toml" <<'END'
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "/usr/local/cargo/vendor"
END
    docker build -q --label "$label=$state" -t "$rust_image" -f - "$context" <<END
FROM $debian_image
COPY rust /usr/local/rust
COPY cargo /usr/local/cargo
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
END
    rm -rf "$context"
}

# Python, and the wheels of the example service.
make_python() {
    local context=$directory/python
    mkdir -p "$context/wheels"
    "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --dest "$context/wheels" \
        --python-version 3.11 --implementation cp --only-binary :all: \
        --platform "manylinux_2_28_$(uname -m)" --platform "manylinux_2_17_$(uname -m)" --platform "manylinux2014_$(uname -m)" \
        -r "$project/examples/intowork-backend/requirements.txt"
    docker build -q --label "$label=$state" -t "$python_image" -f - "$context" <<END
FROM $debian_image
COPY wheels /wheels
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
END
}

# PostgreSQL with the part of the public image's entrypoint that these tests use.
make_postgres() {
    docker build -q --label "$label=$state" -t "$postgres_image" -f - "$here" <<END
FROM $debian_image
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
END
}

main
