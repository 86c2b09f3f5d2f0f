//! The ways to a Redis, and what cannot work.

use std::path::PathBuf;

use slipway_settings::{ExposeSecret, RedisServer, RedisSettings};

use super::source;

fn redis(variables: &[(&str, &str)]) -> RedisSettings {
    RedisSettings::from_source(&source(variables)).unwrap().unwrap()
}

#[test]
fn redis_comes_in_every_form() {
    let settings = redis(&[
        ("REDIS_URL", "redis://app:p%40ss@cache:6380/2"),
        ("REDIS_POOL_SIZE", "4"),
    ]);
    assert_eq!(
        settings.server,
        RedisServer::Tcp {
            host: "cache".into(),
            port: 6380
        }
    );
    assert_eq!(
        (
            settings.username.as_deref(),
            settings.database,
            settings.pool_size
        ),
        (Some("app"), 2, 4)
    );
    assert_eq!(settings.password.unwrap().expose_secret(), "p@ss");

    let settings = redis(&[("REDIS_URL", "unix:///run/redis.sock?db=3&pass=p%26ss")]);
    assert_eq!(settings.server, RedisServer::Unix("/run/redis.sock".into()));
    assert_eq!(
        (settings.database, settings.password.unwrap().expose_secret()),
        (3, "p&ss")
    );

    let settings = redis(&[("REDIS_HOST", "::1"), ("REDIS_PASSWORD", "p")]);
    assert_eq!(
        settings.server,
        RedisServer::Tcp {
            host: "::1".into(),
            port: 6379
        }
    );
    assert_eq!(
        redis(&[("REDIS_HOST", "/run/r.sock")]).server,
        RedisServer::Unix("/run/r.sock".into())
    );

    let settings = redis(&[
        ("REDIS_SENTINELS", "a:1, [::1]:2,c"),
        ("REDIS_SENTINEL_MASTER", "m"),
    ]);
    let nodes = vec![("a".into(), 1), ("::1".into(), 2), ("c".into(), 26379)];
    assert_eq!(
        settings.server,
        RedisServer::Sentinels {
            master: "m".into(),
            nodes
        }
    );

    let settings = redis(&[
        ("REDIS_SENTINELS", "a"),
        ("REDIS_SENTINEL_PASSWORD", "s"),
        ("REDIS_USER", "shop"),
        ("REDIS_PASSWORD", "p"),
        ("REDIS_TLS", "on"),
        ("REDIS_TLS_CA", "/ca.pem"),
        ("REDIS_TLS_NAME", "redis.internal"),
        ("REDIS_TLS_CERTIFICATE", "/client.pem"),
        (
            "REDIS_TLS_KEY",
            "-----BEGIN PRIVATE KEY-----\r\nMC4C\n-----END PRIVATE KEY-----",
        ),
    ]);
    assert_eq!(settings.username.as_deref(), Some("shop"));
    assert_eq!(settings.sentinel_password.unwrap().expose_secret(), "s");
    let tls = settings.tls.unwrap();
    assert_eq!(tls.ca, Some("/ca.pem".into()));
    assert_eq!(tls.name.as_deref(), Some("redis.internal"));
    let (certificate, key) = tls.identity.unwrap();
    assert_eq!(certificate, PathBuf::from("/client.pem"));
    assert!(key.expose_secret().contains("\nMC4C\n"));
    let settings = redis(&[("REDIS_URL", "rediss://:p@cache:6380")]);
    let tls = settings.tls.unwrap();
    assert!(tls.ca.is_none() && tls.name.is_none() && tls.identity.is_none());
    assert!(redis(&[("REDIS_URL", "redis://:p@cache")]).tls.is_none());

    assert!(RedisSettings::from_source(&source(&[])).unwrap().is_none());
    assert!(
        RedisSettings::from_source(&source(&[("REDIS_URL", "")]))
            .unwrap()
            .is_none()
    );
}

#[test]
fn redis_settings_that_cannot_work_are_refused() {
    for (variables, problem) in [
        (
            vec![("REDIS_URL", "http://h")],
            "begins neither with redis:// or rediss:// nor with unix://",
        ),
        (
            vec![("REDIS_URL", "redis://h/x")],
            "has a database that is no number",
        ),
        (
            vec![("REDIS_URL", "redis://h?db=1")],
            "has parameters after a question mark",
        ),
        (
            vec![("REDIS_URL", "unix:///s?password=x")],
            "has a parameter that Slipway does not know",
        ),
        (vec![("REDIS_URL", "unix://")], "needs an absolute path"),
        (
            vec![("REDIS_URL", "redis://h"), ("REDIS_PASSWORD", "x")],
            "is set together with REDIS_URL",
        ),
        (
            vec![("REDIS_PASSWORD", "x")],
            "has no effect without REDIS_URL, REDIS_HOST or REDIS_SENTINELS",
        ),
        (
            vec![("REDIS_HOST", "h"), ("REDIS_SENTINEL_MASTER", "m")],
            "has no effect without REDIS_SENTINELS",
        ),
        (
            vec![("REDIS_SENTINELS", "a:1"), ("REDIS_HOST", "h")],
            "is set together with REDIS_SENTINELS",
        ),
        (
            vec![("REDIS_SENTINELS", "a:x")],
            "has a sentinel whose port is no number",
        ),
        (
            vec![("REDIS_SENTINELS", "a,,b")],
            "has a sentinel that is neither a name nor an address",
        ),
        (
            vec![("REDIS_HOST", "h"), ("REDIS_SENTINEL_PASSWORD", "x")],
            "has no effect without REDIS_SENTINELS",
        ),
        (
            vec![("REDIS_HOST", "h"), ("REDIS_USER", "x")],
            "Redis knows no user without a password",
        ),
        (
            vec![("REDIS_HOST", "h"), ("REDIS_TLS_CA", "/ca.pem")],
            "REDIS_TLS_CA=/ca.pem (from environment): has no effect, because TLS is off; set REDIS_TLS=on",
        ),
        (
            vec![("REDIS_URL", "redis://h"), ("REDIS_TLS_NAME", "redis.internal")],
            "begin it with rediss://",
        ),
        (
            vec![("REDIS_URL", "rediss://h"), ("REDIS_TLS", "on")],
            "is set together with REDIS_URL",
        ),
        (
            vec![("REDIS_HOST", "/run/redis.sock"), ("REDIS_TLS", "on")],
            "is on, and a socket has no TLS",
        ),
        (
            vec![
                ("REDIS_HOST", "h"),
                ("REDIS_TLS", "on"),
                ("REDIS_TLS_CERTIFICATE", "/c.pem"),
            ],
            "is set and REDIS_TLS_KEY is not",
        ),
        (
            vec![
                ("REDIS_URL", "rediss://h"),
                ("REDIS_TLS_CERTIFICATE", "/c.pem"),
                ("REDIS_TLS_KEY", "/etc/key.pem"),
            ],
            "is no private key in PEM",
        ),
        (
            vec![
                ("REDIS_URL", "rediss://h"),
                ("REDIS_TLS_CERTIFICATE", "/c.pem"),
                ("REDIS_TLS_KEY", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4C\n"),
            ],
            "is encrypted with a passphrase; decrypt it",
        ),
    ] {
        let complaint = complaint!(RedisSettings, &variables);
        assert!(complaint.contains(problem), "{complaint}");
    }
}
