# One container: the server and PostgreSQL's binaries, so that it needs nothing else.
FROM rust:1.95.0-slim-bookworm AS chef
RUN cargo install cargo-chef --locked --version 0.1.73
WORKDIR /build

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ make \
 && rm -rf /var/lib/apt/lists/*
ENV SQLX_OFFLINE=true
COPY --from=plan /build/recipe.json recipe.json
RUN cargo chef cook --release --locked --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --bin flamewarden

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates postgresql-15 \
 && rm -rf /var/lib/apt/lists/* /var/lib/postgresql \
 && groupadd --gid 10001 flamewarden && useradd --system --uid 10001 --gid 10001 --home-dir /data flamewarden \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /build/target/release/flamewarden /usr/local/bin/flamewarden
USER 10001
ENV HOST=0.0.0.0 PORT=8080 DATA_DIR=/data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["flamewarden"]
