# Everything one does with this project; `just` alone lists it.
set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes
default:
    @just --list --unsorted

# Run the server on embedded defaults
run *ARGS:
    cargo run -- {{ARGS}}

# All tests, SORs in process (the README's test command)
test:
    cargo test

# The api suite once more, every SOR behind real HTTP
test-split:
    FLAMEWARDEN_TEST_SORS=remote cargo test --test it -- api:: cli

# One test is left out: how long a database counts as away is for PgBouncer to say.
# The api suite and the systems of record once more, behind PgBouncer in transaction mode (needs pgbouncer)
test-pooler:
    FLAMEWARDEN_TEST_POOLER=transaction cargo test --lib -- --include-ignored storage::pooler sor:: --skip a_database_that_is_away
    FLAMEWARDEN_TEST_POOLER=transaction cargo test --test it -- api::

# What needs a database once more, on the newest PostgreSQL served (downloaded once), whatever the system has
test-newest-postgres:
    FLAMEWARDEN_TEST_POSTGRES=newest cargo test --lib sor::
    FLAMEWARDEN_TEST_POSTGRES=newest cargo test --test it

# Format
fmt:
    cargo fmt

# Format check, clippy with warnings as errors, documentation links, whether fuzz targets still build
lint:
    cargo fmt --check
    cargo clippy -- -D warnings
    cargo clippy --all-targets -- -D warnings -A clippy::pedantic # tests may be plain
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
    cargo check --locked --quiet --manifest-path fuzz/Cargo.toml --target-dir target/fuzz
    hadolint Dockerfile

# Licences, bans and sources of dependencies
deny:
    cargo deny --log-level error check bans licenses sources

# Known vulnerabilities of dependencies (needs the advisory database)
audit:
    cargo deny check advisories

# Rewrite every generated file: OpenAPI document, protobuf types, snapshots of .sqlx
gen: prepare
    UPDATE_GENERATED=1 cargo test --quiet --lib generated
    UPDATE_GENERATED=1 cargo test --quiet --test it openapi

# Describe all SQL against the migrated schema: rewrites .sqlx on a throwaway cluster
prepare:
    scripts/prepare

# Fails where .sqlx is stale
prepare-check:
    scripts/prepare --check

# Migrate a database: up, down, status or sql
migrate *ARGS:
    cargo run --quiet -- migrate {{ARGS}}

# Migrations up, down and up again on a private cluster
migrations:
    scripts/migrations-up-down-up

# The served document against the server, by random requests
schemathesis:
    scripts/schemathesis

# Benchmarks
bench *ARGS:
    cargo bench {{ARGS}}

# Random bytes into one reader of profiles (pprof, folded, flamebearer, jfr); needs cargo-fuzz and a nightly toolchain
fuzz TARGET *ARGS:
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time=300 -max_len=65536 -rss_limit_mb=1024 {{ARGS}}

# Triage under load against a bare proxy, several processes of the release build
load:
    cargo bench --bench load

# Hotspots over 100 and 1,000 apps against a bare client, several processes of the release build
fleet:
    cargo bench --bench fleet

# Alert rounds of 1,000 rules over 100 apps, and triages beside them, several processes of the release build
alerts:
    cargo bench --bench alerts

# Ten million operations: recording beside a plain INSERT and a COPY, reading beside the same from rows, and what a server pays for recording itself; about twelve minutes
bench-perf:
    cargo bench --bench operations

# The embedded store against a real Pyroscope: AGAINST=URL AGAINST_PID=… AGAINST_DATA=… (alone without them)
against:
    cargo bench --bench against

# The expected volumes for ten minutes: nothing fails, nothing is lost, memory stays
soak:
    cargo bench --bench soak

# The same for a few seconds, of the build that tests use
soak-short:
    SOAK_SECONDS=6 cargo bench --profile dev --bench soak

# Two servers on one database with 50 rules for ten minutes, the one that leads killed every 20 s: no incident and no message twice or missed
replicas:
    REPLICA_MINUTES=10 cargo test --test it -- --nocapture faults::replicas::killed::two_replicas

# The leader stopped, and the database away, for a minute
outages:
    FAULT_OUTAGE_SECONDS=60 cargo test --test it -- faults::replicas::away faults::database faults::operations

# Exactly what CI runs
ci: lint deny test test-split test-pooler test-newest-postgres prepare-check migrations schemathesis soak-short
