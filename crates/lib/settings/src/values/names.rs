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
    let is_local = |local: &str| {
        (1..=64).contains(&local.len())
            && local
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
    };
    address
        .split_once('@')
        .is_some_and(|(local, domain)| is_local(local) && is_name(domain))
}

/// An absolute path that says where it leads.
pub(crate) fn is_plain_path(value: &str) -> bool {
    value.starts_with('/') && !value.split('/').any(|part| part == "..")
}
