//! What can only be said of several of the variables for Redis.

use crate::reader::SectionReader;

/// What a URL says as well.
const PARTS: [&str; 8] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_USER",
    "REDIS_PASSWORD",
    "REDIS_SENTINELS",
    "REDIS_SENTINEL_MASTER",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_TLS",
];
const TLS_PARTS: [&str; 4] = [
    "REDIS_TLS_CA",
    "REDIS_TLS_NAME",
    "REDIS_TLS_CERTIFICATE",
    "REDIS_TLS_KEY",
];

pub(super) fn check_redis(reader: &mut SectionReader<'_>) {
    reader.refuse_both("REDIS_URL", &PARTS);
    reader.refuse_both("REDIS_SENTINELS", &["REDIS_HOST", "REDIS_PORT"]);
    if ["REDIS_URL", "REDIS_SENTINELS", "REDIS_HOST"]
        .into_iter()
        .any(|name| reader.is_set(name))
    {
        check_sentinels(reader);
        check_user(reader);
        check_tls(reader);
        return;
    }
    // Somebody who sets a password means to use Redis; running without it would hide the mistake.
    let parts = PARTS.into_iter().chain(TLS_PARTS);
    for name in parts.chain(["REDIS_POOL_SIZE"]) {
        if reader.is_set(name) {
            reader.fail(
                name,
                "has no effect without REDIS_URL, REDIS_HOST or REDIS_SENTINELS",
                "set one of them, or remove it to run without Redis",
            );
        }
    }
}

fn check_sentinels(reader: &mut SectionReader<'_>) {
    if reader.is_set("REDIS_SENTINELS") || reader.is_set("REDIS_URL") {
        return;
    }
    for name in ["REDIS_SENTINEL_MASTER", "REDIS_SENTINEL_PASSWORD"] {
        if reader.is_set(name) {
            reader.fail(name, "has no effect without REDIS_SENTINELS", "remove it");
        }
    }
}

fn check_user(reader: &mut SectionReader<'_>) {
    if reader.is_set("REDIS_USER") && !reader.is_set("REDIS_PASSWORD") && !reader.is_set("REDIS_URL") {
        reader.fail(
            "REDIS_USER",
            "is set and REDIS_PASSWORD is not: Redis knows no user without a password",
            "set REDIS_PASSWORD_FILE, or remove it",
        );
    }
}

fn check_tls(reader: &mut SectionReader<'_>) {
    if reader.field("tls") != Some("on") {
        let parts: Vec<_> = TLS_PARTS.into_iter().filter(|name| reader.is_set(name)).collect();
        for name in parts {
            let cure = "set REDIS_TLS=on (with REDIS_URL: begin it with rediss://), or remove it";
            reader.fail(name, "has no effect, because TLS is off", cure);
        }
        return;
    }
    if reader.field("host").is_some_and(|host| host.starts_with('/')) {
        let cure = "set it to off, or REDIS_HOST to a name or an address";
        reader.fail("REDIS_TLS", "is on, and a socket has no TLS", cure);
    }
    for (name, other) in [
        ("REDIS_TLS_CERTIFICATE", "REDIS_TLS_KEY"),
        ("REDIS_TLS_KEY", "REDIS_TLS_CERTIFICATE"),
    ] {
        if reader.is_set(name) && !reader.is_set(other) {
            let problem = format!("is set and {other} is not: a certificate is shown with its key");
            reader.fail(name, &problem, "set both, or remove it");
        }
    }
}
