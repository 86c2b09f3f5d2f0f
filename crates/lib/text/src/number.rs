//! Numbers and lists for people.

/// `1 host`, `2 hosts`.
#[must_use]
pub fn count(n: usize, one: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {one}{s}")
}

/// `web-1, web-2 and 7 more`: at most so many by name.
#[must_use]
pub fn listed(names: &[&str], most: usize) -> String {
    let shown = names.get(..most).unwrap_or(names).join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1.4 GiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = bytes.saturating_mul(10);
    let mut unit = None;
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = Some(next);
    }
    match unit {
        None => format!("{bytes} bytes"),
        Some(unit) => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (n, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (3_435_973_837, "3.2 GiB"),
            (u64::MAX, "1677721.5 TiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn a_long_list_says_how_many_it_leaves_out() {
        assert_eq!(listed(&[], 2), "");
        assert_eq!(listed(&["web-1", "web-2"], 2), "web-1, web-2");
        assert_eq!(listed(&["web-1", "web-2", "web-3"], 2), "web-1, web-2 and 1 more");
    }
}
