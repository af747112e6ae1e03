# The tasks of this project. `make demo` and `make test` only need a Rust toolchain, Python 3.11 and make.

PYTHON ?= python3
PORT ?= 8000
VENV := target/venv
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
# What the release binary is built for, and the full hash of its commit, which only a release gives:
# `make dist TARGET=x86_64-unknown-linux-musl COMMIT=…`. Then `startup-guard --version` prints both.
TARGET := $(HOST)
COMMIT := $(STARTUP_GUARD_COMMIT)
GUARD := target/$(TARGET)/release/startup-guard
ARCHIVE := startup-guard-$(TARGET)

.PHONY: demo demo-broken test test-containers soak bench lint picture guard dist wheel sdist venv clean

# A release has the same bytes wherever and whenever it is built from the same commit with the same compilers. Therefore
# the flags take the folders of this machine out of the binary, except a folder with a space in its name, at which cargo
# would split them. Cargo adds them to the flags of .cargo/config.toml, which RUSTFLAGS would replace. A build with other
# flags starts anew, so every rule that builds the release binary has them. It also starts anew with the variables that
# `cargo test` gives to tests, because ring's build depends on them. With CARGO_TARGET_DIR, an archive would get a binary
# that an earlier build has left in `target`. SOURCE_DATE_EPOCH is the time of all files of a release, the earliest that a
# wheel can hold: the beginning of 1980.
# The third folder holds the standard library's sources, if they are installed. Its other name is the one that rustc uses
# where they are not.
renamed = $(if $(word 2,$(1)),,--remap-path-prefix=$(1)=$(2))
RELEASES := guard bench soak dist wheel sdist
RUST_COMMIT := $(shell rustc -vV | sed -n 's/^commit-hash: //p')
FLAGS := CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_RUSTFLAGS
unexport RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR \
    $(filter CARGO_MANIFEST_% CARGO_PKG_%,$(.VARIABLES))
$(RELEASES): export $(FLAGS) := \
    $(call renamed,$(or $(CARGO_HOME),$(HOME)/.cargo),/cargo) $(call renamed,$(CURDIR),/src) \
    $(call renamed,$(shell rustc --print sysroot)/lib/rustlib/src/rust,/rustc/$(RUST_COMMIT))
$(RELEASES): export STARTUP_GUARD_COMMIT := $(COMMIT)
$(RELEASES): export STARTUP_GUARD_TARGET := $(TARGET)
$(RELEASES): export SOURCE_DATE_EPOCH := 315532800

# Runs the example service on a real PostgreSQL, started by the guard. Ctrl-C stops everything.
demo: guard venv
	@$(VENV)/bin/python examples/demo.py --guard $(GUARD) --port $(PORT)

# Shows the outage after which this tool was written: the service's variables were all set on another service.
demo-broken: guard
	@$(PYTHON) examples/demo.py --guard $(GUARD) --broken

# Runs all tests. At the end it lists the ignored tests, with the reasons.
test: venv
	@PYTHON="$(PYTHON)" tests/all.sh

# Runs only the tests that need a Docker engine. They are part of `make test` if an engine is running.
test-containers:
	cargo test --test containers

# Runs all tests with their full number of cases, which takes long.
soak: venv
	STARTUP_GUARD_SOAK=1 cargo test --release

# Compares the guard to other inits and a shell script.
bench: guard
	cargo bench

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

# Makes the picture in the README from the output of the program.
picture: guard
	$(PYTHON) tests/publish/picture.py $(GUARD) docs/report.svg

guard:
	cargo build --release --locked --target $(TARGET)

# Makes the archive of a release, target/dist/startup-guard-TARGET.tar.gz, and prints its SHA-256 sum.
dist: guard
	mkdir -p target/dist
	tar --format=ustar --mtime=@$$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
	    -cf target/dist/$(ARCHIVE).tar LICENSE-APACHE LICENSE-MIT README.md -C $(dir $(GUARD)) startup-guard
	gzip -9nf target/dist/$(ARCHIVE).tar
	cd target/dist && sha256sum $(ARCHIVE).tar.gz

# Builds the wheel for a target, in target/wheels. It needs no C library, but maturin only tags it for glibc. The wheels
# of other versions are removed, because pip selects the highest one.
wheel: ARCHITECTURE = $(firstword $(subst -, ,$(TARGET)))
wheel: venv
	rm -rf target/wheels/$(TARGET)
	$(VENV)/bin/maturin build --release --locked --target $(TARGET) --compatibility manylinux2014 --out target/wheels/$(TARGET)
	$(VENV)/bin/python -m wheel tags --remove \
		--platform-tag +musllinux_1_2_$(ARCHITECTURE) target/wheels/$(TARGET)/*.whl
	cd target/wheels && for old in *_$(ARCHITECTURE).whl; do [ -e "$(TARGET)/$$old" ] || rm -f "$$old"; done
	mv target/wheels/$(TARGET)/*.whl target/wheels
	rmdir target/wheels/$(TARGET)

# Packs the source distribution, from which pip builds where there is no wheel, into target/wheels.
sdist: venv
	rm -f target/wheels/*.tar.gz
	$(VENV)/bin/maturin sdist --out target/wheels

venv: $(VENV)/complete

$(VENV)/complete: examples/intowork-backend/requirements.txt examples/django-processes/requirements.txt tests/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name it with PYTHON=…")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(foreach file,$^,-r $(file))
	touch $@

clean:
	cargo clean
