# The guard, and the example service with it.
#
#   docker build --target guard   -t startup-guard .        the binary alone, FROM scratch, for COPY --from
#   docker build --target example -t intowork-backend .     the example service, as an image of yours could look
#
# It builds for the platform that it is asked for, whichever that is. The base images are arguments, for a registry of
# your own, another version, or musl: RUST_IMAGE=rust:1.95-alpine, PYTHON_IMAGE=python:3.11-alpine.
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
# `startup-guard --version` tells the commit and the target, if a release sets the commit.
ARG STARTUP_GUARD_COMMIT
# The code is older than the stand-in that was just built: cargo goes by the time.
RUN touch src/main.rs && STARTUP_GUARD_TARGET=$(basename target/*-linux-*) cargo build --release --locked --bins \
    && cp target/*/release/startup-guard /startup-guard

# It has no root certificates: the guard uses those of the image that it is copied to.
FROM scratch AS guard
ARG STARTUP_GUARD_VERSION
ARG STARTUP_GUARD_COMMIT
LABEL org.opencontainers.image.title="startup-guard" \
      org.opencontainers.image.description="Checks a container's environment, runs its migrations, then becomes its server" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/startup-guard/startup-guard" \
      org.opencontainers.image.version="${STARTUP_GUARD_VERSION}" \
      org.opencontainers.image.revision="${STARTUP_GUARD_COMMIT}"
COPY --from=build /startup-guard /startup-guard
ENTRYPOINT ["/startup-guard"]

FROM ${PYTHON_IMAGE} AS packages
COPY examples/intowork-backend/requirements.txt /requirements.txt
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /requirements.txt

FROM ${PYTHON_IMAGE} AS example
COPY --from=packages /venv /venv
# From the registry it would be: COPY --from=ghcr.io/startup-guard/startup-guard:0.1.0 /startup-guard /usr/local/bin/
COPY --from=guard /startup-guard /usr/local/bin/
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
COPY required-vars.yaml ./
COPY examples/intowork-backend/ ./
# COPY keeps the modes of the checkout, which only its owner may read with a umask of 077.
RUN chmod -R go+rX .
# A number needs no tool to add a user, and Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=6s --start-period=60s --retries=3 \
    CMD ["startup-guard", "healthcheck", "http://127.0.0.1:${PORT:-8000}/health"]
# The server's command is in required-vars.yaml; a command after the image's name replaces it.
ENTRYPOINT ["startup-guard", "run", "--"]
