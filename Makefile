# The tasks of this project. `make demo` and `make test` only need a Rust toolchain, Python 3.11 and make.

PYTHON ?= python3
PORT ?= 8000
VENV := target/venv
TEST_LOG := target/tests.log
GUARD := target/$(shell rustc -vV | sed -n 's/^host: //p')/release/startup-guard

.PHONY: demo demo-broken test test-containers soak bench lint guard venv clean

# Runs the example service on a real PostgreSQL, started by the guard. Ctrl-C stops everything.
demo: guard venv
	@$(VENV)/bin/python examples/demo.py --guard $(GUARD) --port $(PORT)

# Shows the outage after which this tool was written: the service's variables were all set on another service.
demo-broken: guard
	@$(PYTHON) examples/demo.py --guard $(GUARD) --broken

# Runs all tests. At the end it lists the ignored tests, with the reasons.
test: venv
	@bash -o pipefail -c '{ cargo test && cargo test --no-default-features --test guard --test tidy; } 2>&1 | tee $(TEST_LOG)'; \
	code=$$?; $(PYTHON) tests/ignored.py $(TEST_LOG) && exit $$code

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

guard:
	cargo build --release

venv: $(VENV)/complete

$(VENV)/complete: examples/intowork-backend/requirements.txt examples/django-processes/requirements.txt tests/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name it with PYTHON=…")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(foreach file,$^,-r $(file))
	touch $@

clean:
	cargo clean
