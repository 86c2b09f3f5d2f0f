//! The forms of names and paths.

/// A host's name in Slipway: a lower-case DNS label.
pub(crate) fn is_label(value: &str) -> bool {
    is_name(value) && !value.contains(|c: char| c.is_ascii_uppercase() || c == '.' || c == '_')
}

/// A DNS name, loosely: what the resolver might know.
pub(crate) fn is_name(value: &str) -> bool {
    let is_part = |part: &str| {
        (1..=63).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    value.len() <= 253 && value.split('.').all(is_part)
}

/// An address of e-mail, alone or as `Name <address>`.
pub(crate) fn is_mailbox(value: &str) -> bool {
    let address = match value.strip_suffix('>').and_then(|rest| rest.split_once('<')) {
        Some((name, address)) if !name.contains(['<', '>', '@', '"', ',']) => address,
        Some(_) => return false,
        None => value,
    };
    is_address(address)
}

/// An address of e-mail by itself.
#[must_use]
pub fn is_address(value: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    value
        .split_once('@')
        .is_some_and(|(local, domain)| local.len() <= 64 && local.split('.').all(is_part) && is_name(domain))
}

/// An absolute path that says where it leads.
pub(crate) fn is_plain_path(value: &str) -> bool {
    value.starts_with('/') && !value.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_alone_and_with_a_name() {
        for good in ["ops@example.org", "a.b+c@example", "o'neil@ex-ample.org"] {
            assert!(
                is_address(good) && is_mailbox(good) && is_mailbox(&format!("Ops <{good}>")),
                "{good}"
            );
        }
        for bad in [
            "",
            "ops",
            "@example.org",
            "ops@",
            "a..b@example.org",
            ".a@example.org",
            "a@b@c",
            "a@-x.org",
            "a b@c.org",
        ] {
            assert!(
                !is_address(bad) && !is_mailbox(bad) && !is_mailbox(&format!("Ops <{bad}>")),
                "{bad}"
            );
        }
        assert!(!is_address("Ops <ops@example.org>"));
        assert!(!is_address(&format!("{}@example.org", "a".repeat(65))));
    }
}
