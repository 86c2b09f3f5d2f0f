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

/// An absolute path that says where it leads.
pub(crate) fn is_plain_path(value: &str) -> bool {
    value.starts_with('/') && !value.split('/').any(|part| part == "..")
}
