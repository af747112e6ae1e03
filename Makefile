# Everything that is done with this project, by name. On a fresh machine with a Rust toolchain, Python 3.11 and
# make, `make demo` and `make test` need nothing else.

PYTHON ?= python3
PORT ?= 8000
VENV := target/venv
TEST_LOG := target/tests.log
GUARD := target/$(shell rustc -vV | sed -n 's/^host: //p')/release/startup-guard

.PHONY: demo demo-broken test test-containers soak bench lint guard venv clean

# The example service on a real PostgreSQL, started by the guard; Ctrl-C stops all of it.
demo: guard venv
	@$(VENV)/bin/python examples/demo.py --guard $(GUARD) --port $(PORT)

# The outage that this tool was written after: the service whose variables were all set on another one.
demo-broken: guard
	@$(PYTHON) examples/demo.py --guard $(GUARD) --broken

# At its end it says which tests were ignored, and why.
test: venv
	@bash -o pipefail -c '{ cargo test && cargo test --no-default-features --test guard --test tidy; } 2>&1 | tee $(TEST_LOG)'; \
	code=$$?; $(PYTHON) tests/ignored.py $(TEST_LOG) && exit $$code

# Only what needs a Docker engine; part of `make test` where one answers.
test-containers:
	cargo test --test containers

# The same with the full counts; takes its time.
soak: venv
	STARTUP_GUARD_SOAK=1 cargo test --release

# Ratios against other inits and a shell script, in one run.
bench: guard
	cargo bench

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

guard:
	cargo build --release

venv: $(VENV)/complete

$(VENV)/complete: examples/intowork-backend/requirements.txt tests/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name it with PYTHON=…")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(foreach file,$^,-r $(file))
	touch $@

clean:
	cargo clean
