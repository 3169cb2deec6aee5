# The one binary, built, then put on a base that has a C library and nothing else: no shell, no package manager, no root.
# `tests/run containers` runs the commands below without an engine.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /patchbay
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
COPY . .
RUN cargo build --release --locked --package patchbay

# Debian 12, as the stage above is: the C library must not be older than the one that was linked.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /patchbay/target/release/patchbay /usr/local/bin/patchbay
# A number, so that an engine can see that it is not root.
USER 65532:65532
# The port of HTTP; media has UDP and TCP 7882, and one more for each further worker (--media-port, --workers).
EXPOSE 8080/tcp 7882/tcp 7882/udp
# It stops calls in good order at SIGTERM.
STOPSIGNAL SIGTERM
# Where HTTP listens it learns from the environment (PATCHBAY_LISTEN, PATCHBAY_TLS_CERT), as the server does: set them there,
# and not by flags. A node alone (`patchbay sfu`) has no HTTP: switch the check off for it.
HEALTHCHECK --interval=15s --timeout=8s --start-period=20s --retries=3 CMD ["/usr/local/bin/patchbay", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/patchbay"]
