//! Patterns of names, as `loader.conf` and the firmware's variables have them.

/// The longest pattern in bytes, several times as long as a name. It is held against each name.
const MAX_BYTES: usize = 1024;

/// Whether a name fits a pattern with `*`, `?` and `[…]`. The file system of entries knows no capital letters.
///
/// A longer pattern than any that makes sense fits nothing.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if pattern.len() > MAX_BYTES {
        return false;
    }
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    fits(&lower(pattern), &lower(name))
}

/// With one place to go back to, the last `*`, so that no pattern takes long.
fn fits(mut pattern: &[char], mut name: &[char]) -> bool {
    let mut back: Option<(&[char], &[char])> = None;
    loop {
        if let ['*', rest @ ..] = pattern {
            pattern = rest;
            back = Some((rest, name));
        } else if let Some((rest, left)) = name
            .split_first()
            .and_then(|(c, left)| Some((taken(pattern, *c)?, left)))
        {
            (pattern, name) = (rest, left);
        } else if pattern.is_empty() && name.is_empty() {
            return true;
        } else if let Some((rest, [_, left @ ..])) = back {
            back = Some((rest, left));
            (pattern, name) = (rest, left);
        } else {
            return false;
        }
    }
}

/// The rest of a pattern whose beginning fits this character.
fn taken(pattern: &[char], c: char) -> Option<&[char]> {
    match pattern {
        ['?', rest @ ..] => Some(rest),
        ['[', rest @ ..] if rest.iter().skip(1).any(|end| *end == ']') => {
            let end = rest.iter().skip(1).position(|end| *end == ']')? + 1;
            is_in(&rest[..end], c).then_some(&rest[end + 1..])
        }
        [own, rest @ ..] if *own == c => Some(rest),
        _ => None,
    }
}

/// Whether a set such as `a-z_` has this character.
fn is_in(set: &[char], c: char) -> bool {
    match set {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || is_in(rest, c),
        [one, rest @ ..] => *one == c || is_in(rest, c),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Another system of the machine writes them too, and they are looked at with each report.
    #[test]
    fn a_pattern_of_any_length_takes_no_time_and_no_stack() {
        let name = "b".repeat(255);
        let before = Instant::now();
        for pattern in ["*[".repeat(500_000), format!("[{}]", "a".repeat(1_000_000))] {
            // So many entries may be there.
            for _ in 0..1000 {
                assert!(!matches(&pattern, &name));
            }
        }
        let took = before.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    #[test]
    fn patterns_fit_as_those_of_shells() {
        for (pattern, name, fit) in [
            ("nixos-generation-1.conf", "nixos-generation-1.conf", true),
            ("NixOS-*.conf", "nixos-generation-12.conf", true),
            ("nixos-generation-?.conf", "nixos-generation-12.conf", false),
            ("nixos-generation-[0-9]?.conf", "nixos-generation-12.conf", true),
            ("nixos-generation-[a1].conf", "nixos-generation-1.conf", true),
            ("nixos-[.conf", "nixos-[.conf", true),
            ("*", "", true),
            ("", "x", false),
            ("*a*b?", "xaxxbx", true),
            ("*a*b?", "xaxxb", false),
            // It would take years if each star were tried at each place.
            (&"*a".repeat(30), &"a".repeat(200), true),
            (&format!("{}!", "*a".repeat(30)), &"a".repeat(200), false),
        ] {
            assert_eq!(matches(pattern, name), fit, "{pattern} and {name}");
        }
    }
}
