# A static binary on nothing: no shell, no user but a number, one volume.
FROM rust:1.95-alpine3.23 AS build
# There is no repository in here to ask: `docker build --build-arg FOREBAY_COMMIT="$(git rev-parse --short=12 HEAD)" .`
ARG FOREBAY_COMMIT=
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY tests tests
COPY src src
# This image compiles for musl, which Rust links statically; gcc and musl-dev, for SQLite, ring and mimalloc, are in it.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    FOREBAY_COMMIT="$FOREBAY_COMMIT" cargo build --release --locked --bin forebay \
    && install -D target/release/forebay /image/forebay \
    && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && install -d /image/etc/forebay \
    && install -d -m 700 -o 65532 -g 65532 /image/var/lib/forebay

FROM scratch
COPY --from=build /image /
# Where certificates of receivers are looked up.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
VOLUME ["/var/lib/forebay"]
# Ingress and admin listener. Both listen on loopback unless the configuration says otherwise.
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# The configuration is /etc/forebay/forebay.toml. There is no HEALTHCHECK, which would run something in here: probe
# `GET /readyz` on the admin listener from outside.
ENTRYPOINT ["/forebay"]
CMD ["serve"]
