//! The rows. To add a variable: a row here, a field in its section's struct, then `UPDATE_GENERATED=1` at the tests.

use super::Process::{Agent, Api, Worker};
use super::{Process, Section, Variable};
use crate::kind::Kind;

const ALL: &[Process] = &[Api, Worker, Agent];
const PLANE: &[Process] = &[Api, Worker];
const API: &[Process] = &[Api];
const AGENT: &[Process] = &[Agent];

/// A row with nothing set but what every row needs.
const fn row(name: &'static str, section: Section, kind: Kind, readers: &'static [Process]) -> Variable {
    Variable {
        name,
        section,
        kind,
        secret: false,
        required: false,
        default: None,
        example: "",
        in_example: false,
        production: None,
        readers,
        about: "",
    }
}

/// Every variable that any process reads.
pub static VARIABLES: &[Variable] = &[
    Variable {
        default: Some("development"),
        example: "development",
        in_example: true,
        production: Some("production"),
        about: "Where the process runs. In production empty, example and weak secrets are refused. \
                Also names the second settings file, `.env.$APP_ENV`.",
        ..row(
            "APP_ENV",
            Section::App,
            Kind::OneOf(&["development", "test", "production"]),
            ALL,
        )
    },
    Variable {
        secret: true,
        required: true,
        example: "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        in_example: true,
        production: Some(""),
        about: "Seals the event chain; the same in every replica. Change it only while no process runs; \
                keep the old one in `SECRET_KEY_EARLIER`, or the events before it no longer verify. \
                Make one with `openssl rand -hex 32`.",
        ..row("SECRET_KEY", Section::App, Kind::HexKey { digits: 64 }, PLANE)
    },
    Variable {
        secret: true,
        example: "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100",
        about: "Keys that `SECRET_KEY` was before, the oldest first. They check the seals of older events and seal nothing.",
        ..row(
            "SECRET_KEY_EARLIER",
            Section::App,
            Kind::HexKeys { digits: 64 },
            PLANE,
        )
    },
    Variable {
        default: Some("/nix/store"),
        example: "/nix/store",
        about: "The hosts' Nix store folder. A release with a closure outside it is refused.",
        ..row("STORE_DIR", Section::App, Kind::Path, PLANE)
    },
    Variable {
        secret: true,
        required: true,
        example: "slipway-development",
        in_example: true,
        production: Some(""),
        about: "What `slipway login` exchanges for the first token. At least 12 characters in production.",
        ..row("ADMIN_PASSWORD", Section::Admin, Kind::Text, API)
    },
    Variable {
        secret: true,
        example: "postgres://slipway:slipway@127.0.0.1:5432/slipway",
        in_example: true,
        about: "The whole connection in one. Give either this or the variables below, not both. \
                A socket: `postgres:///slipway?host=/run/postgresql&user=slipway`.",
        ..row("DATABASE_URL", Section::Database, Kind::DatabaseUrl, PLANE)
    },
    Variable {
        example: "/run/postgresql",
        production: Some("/run/postgresql"),
        about: "The server's name or address, or the folder of its socket.",
        ..row("DATABASE_HOST", Section::Database, Kind::HostOrFolder, PLANE)
    },
    Variable {
        default: Some("5432"),
        example: "5432",
        about: "The server's port; also part of a socket's name.",
        ..row("DATABASE_PORT", Section::Database, Kind::Port, PLANE)
    },
    Variable {
        default: Some("slipway"),
        example: "slipway",
        about: "The database.",
        ..row("DATABASE_NAME", Section::Database, Kind::Text, PLANE)
    },
    Variable {
        default: Some("slipway"),
        example: "slipway",
        about: "The role to log in as.",
        ..row("DATABASE_USER", Section::Database, Kind::Text, PLANE)
    },
    Variable {
        secret: true,
        example: "slipway",
        about: "The role's password. Not needed with peer authentication over the socket; required in production \
                over TCP.",
        ..row("DATABASE_PASSWORD", Section::Database, Kind::Text, PLANE)
    },
    Variable {
        example: "slipway",
        about: "For `slipway-api migrate` alone: the role that api and worker log in as, when migrations come as another one, \
                which owns the tables. It may then add events and read them, and cannot change or remove one. \
                docs/database.md has more.",
        ..row("DATABASE_PROCESS_ROLE", Section::Database, Kind::Text, API)
    },
    Variable {
        default: Some("prefer"),
        example: "verify-full",
        about: "How the connection is protected, with libpq's names. `prefer` protects from nobody who can interfere; \
                over a network use `verify-full`. `verify-ca` checks the server's name as well, unlike libpq's.",
        ..row(
            "DATABASE_SSL_MODE",
            Section::Database,
            Kind::OneOf(&[
                "disable",
                "allow",
                "prefer",
                "require",
                "verify-ca",
                "verify-full",
            ]),
            PLANE,
        )
    },
    Variable {
        example: "/etc/ssl/postgres-ca.pem",
        about: "A PEM file of authorities to trust instead of the system's. Only with `verify-ca` or `verify-full`.",
        ..row("DATABASE_SSL_ROOT_CERT", Section::Database, Kind::Path, PLANE)
    },
    Variable {
        default: Some("20"),
        example: "20",
        about: "Connections that a process keeps. Every replica has a pool of its own: keep the sum below the \
                server's `max_connections`.",
        ..row(
            "DATABASE_POOL_SIZE",
            Section::Database,
            Kind::number(3, 1000, "connections"),
            PLANE,
        )
    },
    Variable {
        default: Some("10"),
        example: "10",
        about: "Connections beyond the pool size under load.",
        ..row(
            "DATABASE_MAX_OVERFLOW",
            Section::Database,
            Kind::number(0, 1000, "connections"),
            PLANE,
        )
    },
    Variable {
        default: Some("5"),
        example: "5",
        about: "How long a caller waits for a connection before it fails.",
        ..row(
            "DATABASE_ACQUIRE_TIMEOUT_SECONDS",
            Section::Database,
            Kind::number(1, 300, "seconds"),
            PLANE,
        )
    },
    Variable {
        secret: true,
        example: "redis://:slipway@127.0.0.1:6379",
        about: "The whole connection in one: `redis://[user:password@]host[:port][/db]` or \
                `unix:///run/redis/redis.sock[?db=0]`. Without any of `REDIS_URL`, `REDIS_HOST` and `REDIS_SENTINELS` \
                Slipway runs without Redis: nothing is lost, wake-ups take up to 2 s.",
        ..row("REDIS_URL", Section::Redis, Kind::RedisUrl, PLANE)
    },
    Variable {
        example: "127.0.0.1",
        production: Some("/run/redis-slipway/redis.sock"),
        about: "The server's name or address, or the path of its socket.",
        ..row("REDIS_HOST", Section::Redis, Kind::HostOrFolder, PLANE)
    },
    Variable {
        default: Some("6379"),
        example: "6379",
        about: "The server's port.",
        ..row("REDIS_PORT", Section::Redis, Kind::Port, PLANE)
    },
    Variable {
        secret: true,
        example: "slipway",
        about: "The server's password.",
        ..row("REDIS_PASSWORD", Section::Redis, Kind::Text, PLANE)
    },
    Variable {
        example: "10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379",
        about: "Sentinels that know where the master is, instead of `REDIS_HOST`; the port defaults to 26379.",
        ..row("REDIS_SENTINELS", Section::Redis, Kind::Sentinels, PLANE)
    },
    Variable {
        default: Some("mymaster"),
        example: "mymaster",
        about: "The name that the sentinels know the master by.",
        ..row("REDIS_SENTINEL_MASTER", Section::Redis, Kind::Text, PLANE)
    },
    Variable {
        default: Some("10"),
        example: "10",
        about: "The most connections that a process of a stack opens. Slipway's own processes share one for commands \
                and have one for each subscription, which is always within it.",
        ..row(
            "REDIS_POOL_SIZE",
            Section::Redis,
            Kind::number(3, 1000, "connections"),
            PLANE,
        )
    },
    Variable {
        default: Some("127.0.0.1"),
        example: "127.0.0.1",
        about: "The address to listen on when systemd hands over no socket. In a container: `0.0.0.0`.",
        ..row("API_HOST", Section::Api, Kind::Address, API)
    },
    Variable {
        default: Some("8000"),
        example: "8000",
        about: "The port to listen on when systemd hands over no socket.",
        ..row("API_PORT", Section::Api, Kind::Port, API)
    },
    Variable {
        example: "2",
        about: "Runtime threads. Unset: one for each processor.",
        ..row("API_THREADS", Section::Api, Kind::number(1, 512, "threads"), API)
    },
    Variable {
        default: Some("120"),
        example: "120",
        about: "The longest that a request may take; long polls end before it.",
        ..row(
            "API_REQUEST_TIMEOUT_SECONDS",
            Section::Api,
            Kind::number(1, 3600, "seconds"),
            API,
        )
    },
    Variable {
        default: Some("5"),
        example: "5",
        about: "How long an idle connection is kept. Keep the proxy's own time below it.",
        ..row(
            "API_KEEPALIVE_SECONDS",
            Section::Api,
            Kind::number(1, 3600, "seconds"),
            API,
        )
    },
    Variable {
        default: Some("30"),
        example: "30",
        about: "How long requests may go on after SIGTERM before they are cut.",
        ..row(
            "API_SHUTDOWN_GRACE_SECONDS",
            Section::Api,
            Kind::number(1, 3600, "seconds"),
            API,
        )
    },
    Variable {
        default: Some("127.0.0.0/8,::1"),
        example: "10.0.0.0/24",
        about: "Networks of the proxies whose `X-Real-IP` is believed when failed logins are counted by client. A proxy \
                through a Unix socket always is. Without the networks of a proxy on another machine, all its clients \
                count as one.",
        ..row("API_TRUSTED_PROXIES", Section::Api, Kind::Networks, API)
    },
    Variable {
        example: "127.0.0.1",
        about: "The address of the metrics listener. Unset: `API_HOST` in the api, 127.0.0.1 elsewhere.",
        ..row("METRICS_HOST", Section::Metrics, Kind::Address, ALL)
    },
    Variable {
        example: "9100",
        about: "The port of the metrics listener. Unset: no listener. Processes on one host need different ones.",
        ..row("METRICS_PORT", Section::Metrics, Kind::Port, ALL)
    },
    Variable {
        default: Some("info"),
        example: "info,sqlx=warn",
        about: "A level (off, error, warn, info, debug, trace), or levels by target, separated by commas.",
        ..row("LOG_LEVEL", Section::Log, Kind::LogLevels, ALL)
    },
    Variable {
        default: Some("json"),
        example: "pretty",
        in_example: true,
        about: "`json` is one object a line, for machines; `pretty` is for people.",
        ..row("LOG_FORMAT", Section::Log, Kind::OneOf(&["json", "pretty"]), ALL)
    },
    Variable {
        example: "http://127.0.0.1:4318",
        about: "The base address of a collector that takes OTLP over HTTP (protobuf); traces are posted to \
                `/v1/traces` below it. Unset: no traces are sent.",
        ..row("OTEL_EXPORTER_OTLP_ENDPOINT", Section::Otel, Kind::Url, ALL)
    },
    Variable {
        secret: true,
        example: "https://0123456789abcdef@sentry.example.org/1",
        about: "The Sentry project that errors and panics are sent to. Unset: none are sent.",
        ..row("SENTRY_DSN", Section::Sentry, Kind::SentryDsn, ALL)
    },
    Variable {
        required: true,
        example: "https://slipway.example.org",
        about: "The control plane's address. In production it must be https, but for this machine itself.",
        ..row("AGENT_API_URL", Section::Agent, Kind::Url, AGENT)
    },
    Variable {
        secret: true,
        required: true,
        example: "slw_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        about: "The host's token, shown once by `slipway host create`.",
        ..row("AGENT_TOKEN", Section::Agent, Kind::Token, AGENT)
    },
    Variable {
        required: true,
        example: "web-1",
        about: "The host's name, as registered.",
        ..row("AGENT_HOST", Section::Agent, Kind::Host, AGENT)
    },
    Variable {
        example: "/etc/slipway/ca.pem",
        about: "A PEM file with a root certificate to trust besides the system's.",
        ..row("AGENT_CA_FILE", Section::Agent, Kind::Path, AGENT)
    },
    Variable {
        default: Some("/var/lib/slipway-agent"),
        example: "/var/lib/slipway-agent",
        about: "Where the journal lives; the agent makes it root-only. Must survive a reboot.",
        ..row("AGENT_STATE_DIR", Section::Agent, Kind::Path, AGENT)
    },
    Variable {
        default: Some("/nix/var/nix/profiles/system"),
        example: "/nix/var/nix/profiles/system",
        about: "The system profile, moved only at commit.",
        ..row("AGENT_PROFILE", Section::Agent, Kind::Path, AGENT)
    },
    Variable {
        default: Some("/run/current-system"),
        example: "/run/current-system",
        about: "The link that names what runs.",
        ..row("AGENT_LIVE_LINK", Section::Agent, Kind::Path, AGENT)
    },
    Variable {
        default: Some("/nix/var/nix/gcroots/slipway"),
        example: "/nix/var/nix/gcroots/slipway",
        about: "Where the agent protects closures from garbage collection.",
        ..row("AGENT_GCROOTS_DIR", Section::Agent, Kind::Path, AGENT)
    },
    Variable {
        default: Some("/nix/store"),
        example: "/nix/store",
        about: "The Nix store folder. The agent refuses a closure outside it.",
        ..row("AGENT_STORE_DIR", Section::Agent, Kind::Path, AGENT)
    },
    Variable {
        default: Some("auto"),
        example: "auto",
        about: "How to start what must outlive the agent: transient systemd units, or detached processes (for demos \
                and tests). `auto` is systemd where it runs and the agent is root.",
        ..row(
            "AGENT_RUNNER",
            Section::Agent,
            Kind::OneOf(&["auto", "systemd", "process"]),
            AGENT,
        )
    },
    Variable {
        default: Some("3"),
        example: "3",
        about: "How many committed releases stay protected from garbage collection.",
        ..row(
            "AGENT_KEEP_RELEASES",
            Section::Agent,
            Kind::number(1, 100, "releases"),
            AGENT,
        )
    },
];
