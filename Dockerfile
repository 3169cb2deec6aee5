# The one binary, built and then put on a small base, run without root.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /patchbay
COPY . .
RUN cargo build --release --locked --package patchbay

FROM debian:bookworm-slim
COPY --from=build /patchbay/target/release/patchbay /usr/local/bin/patchbay
USER 65532:65532
ENTRYPOINT ["patchbay"]
