# The guard, and the example service with it.
#
#   docker build --target guard   -t startup-guard .        the binary alone, FROM scratch, for COPY --from
#   docker build --target example -t intowork-backend .     the example service, as an image of yours could look
#
# The base images are arguments, for a registry of your own or another version.
ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
# The dependencies in a layer of their own, which a change of the guard's code leaves alone.
RUN mkdir src && echo 'fn main() {}' > src/main.rs && cargo build --release --locked --bins
COPY src src
# It is part of the binary.
COPY docs/required-vars.schema.json docs/
# The code is older than the stand-in that was just built: cargo goes by the time.
RUN touch src/main.rs && cargo build --release --locked --bins && cp target/*/release/startup-guard /startup-guard

FROM scratch AS guard
COPY --from=build /startup-guard /startup-guard
ENTRYPOINT ["/startup-guard"]

FROM ${PYTHON_IMAGE} AS packages
COPY examples/intowork-backend/requirements.txt /requirements.txt
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /requirements.txt

FROM ${PYTHON_IMAGE} AS example
RUN useradd --system --no-create-home --home-dir /srv --shell /usr/sbin/nologin app
COPY --from=packages /venv /venv
# From a registry it would be: COPY --from=startup-guard /startup-guard /usr/local/bin/
COPY --from=guard /startup-guard /usr/local/bin/
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
COPY required-vars.yaml ./
COPY examples/intowork-backend/ ./
USER app
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=6s --start-period=60s --retries=3 \
    CMD ["startup-guard", "healthcheck", "http://127.0.0.1:${PORT:-8000}/health"]
# The server's command is in required-vars.yaml; a command after the image's name replaces it.
ENTRYPOINT ["startup-guard", "run", "--"]
