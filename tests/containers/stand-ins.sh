#!/usr/bin/env bash
# Builds stand-ins for the public base images from Debian's packages, for machines without access to an image registry.
#
#   stand-ins.sh DIRECTORY RUST_IMAGE PYTHON_IMAGE POSTGRES_IMAGE [RUST_MUSL_IMAGE]
#
# Keeps an existing image, unless it is a stand-in for another state of the project. Prints the names of the new images,
# one per line. Downloads and unpacked files stay in DIRECTORY for the next run. The packages that a Dockerfile fetches
# at build time (crates, wheels) are fetched here and added to the stand-ins, so that builds need no network.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
mkdir -p "$1"
directory=$(cd "$1" && pwd)
rust_image=$2 python_image=$3 postgres_image=$4 rust_musl_image=${5-}
debian_image=startup-guard-stand-in-debian
toolchain_image=startup-guard-stand-in-toolchain
label=startup-guard.stand-in
path=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
state=$(cat "$here/stand-ins.sh" "$here/postgres-entrypoint.sh" "$project/Cargo.lock" \
    "$project/examples/intowork-backend/requirements.txt" | sha256sum | cut -d' ' -f1)
exec 3>&1 >&2 # stdout is for the names alone

main() {
    local image missing=()
    for image in "$rust_image" "$python_image" "$postgres_image" ${rust_musl_image:+"$rust_musl_image"}; do
        is_there "$image" || missing+=("$image")
    done
    [ ${#missing[@]} -eq 0 ] && return
    unpack_debian
    tar -C "$directory/root" -c . | docker import -c "LABEL $label=$state" -c "ENV $path" -c 'CMD ["bash"]' - "$debian_image"
    make_toolchain
    for image in "${missing[@]}"; do
        case $image in
        "$rust_image") docker tag "$toolchain_image" "$rust_image" ;;
        "$rust_musl_image") make_rust_musl ;;
        "$python_image") make_python ;;
        "$postgres_image") make_postgres ;;
        esac
        echo "$image" >&3
    done
    docker image rm --no-prune "$debian_image" "$toolchain_image"
}

is_there() {
    local found
    found=$(docker image inspect --format "{{with .Config.Labels}}{{index . \"$label\"}}{{end}}" "$1" 2>/dev/null) &&
        [[ $found == '' || $found == "$state" ]]
}

# Large packages on which others depend, but not in what these tests do.
unneeded='libllvm14|libz3-4|locales|perl|perl-modules-.*|libperl5.*|libasan.*|liblsan.*|libtsan.*|libubsan.*'

# The root file system of all stand-ins, with the parts that they have in common with the public images. What another
# version of this script has unpacked may lack a package.
unpack_debian() {
    local root=$directory/root apt=$directory/apt
    cmp -s "$here/stand-ins.sh" "$root/.complete" && return
    rm -rf "$root" "$apt"
    mkdir -p "$apt"/{state/lists/partial,cache/archives/partial} "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,usr/local/bin,var,tmp,proc,sys,dev,run}
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
    ln -s ../run "$root/var/run"
    chmod 1777 "$root/tmp"
    # With an empty status file, all dependencies are fetched, even those that are installed on this machine.
    : >"$apt/state/status"
    local options=(-o "Dir::State=$apt/state" -o "Dir::State::status=$apt/state/status" -o "Dir::Cache=$apt/cache"
        -o APT::Sandbox::User=root -o APT::Install-Recommends=0 -qq)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" --simulate install base-files base-passwd bash dash coreutils grep sed procps passwd login \
        util-linux ca-certificates python3 python3-venv gcc libc6-dev musl-tools postgresql-15 busybox-static |
        sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -vxE "$unneeded" >"$apt/names"
    (cd "$apt/cache/archives" && xargs apt-get "${options[@]}" download <../../names)
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -C "$root" -x --keep-directory-symlink \
            --exclude './usr/share/doc' --exclude './usr/share/locale' --exclude './usr/share/man' --exclude '*/bitcode'
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
    cp "$here/stand-ins.sh" "$root/.complete"
}

# The toolchain of this machine and the crates of Cargo.lock. It is imported at once, because copies of a toolchain take
# long. It does not optimise, which takes most of the time of a release.
make_toolchain() {
    local toolchain host
    toolchain=$(rustc --print sysroot)
    host=$(rustc -vV | sed -n 's/^host: //p')
    mkdir -p "$directory/cargo"
    (cd "$project" && cargo vendor --locked --quiet "$directory/cargo/vendor" >/dev/null)
    cat >"$directory/cargo/config.toml" <<'END'
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "/usr/local/cargo/vendor"
END
    (cd "$toolchain" && ls -d bin/rustc bin/cargo lib/*.so* "lib/rustlib/${host%-*}-"*) >"$directory/toolchain"
    tar -c --exclude 'cargo/vendor/windows*/lib/*' --transform 's,^\(cargo\|bin\|lib\)/,usr/local/&,S' \
        -C "$directory/root" . -C "$directory" cargo -C "$toolchain" -T "$directory/toolchain" |
        docker import -c "LABEL $label=$state" -c "ENV $path CARGO_HOME=/usr/local/cargo" \
            -c 'ENV CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16' \
            - "$toolchain_image"
}

# A toolchain that builds for musl, with BusyBox as its only shell and tools: an image of Alpine, as far as there can be
# one without Alpine's packages. Its compilers themselves run with glibc.
make_rust_musl() {
    local machine
    machine=$(uname -m)
    docker build -q -t "$rust_musl_image" - <<END
FROM $toolchain_image
RUN mkdir /applets && busybox --install -s /applets && ln -sf /applets/sh /bin/sh && rm /usr/bin/bash /usr/bin/dash && \
    for tool in cc gcc ar as ld musl-gcc $machine-linux-gnu-gcc; do ln -sf /usr/bin/\$tool /applets/; done
ENV PATH=/usr/local/bin:/applets CARGO_BUILD_TARGET=$machine-unknown-linux-musl
END
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
