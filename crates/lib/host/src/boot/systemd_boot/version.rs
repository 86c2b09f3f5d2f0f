//! The order of versions.

use std::cmp::Ordering;

/// Versions, as the UAPI group's specification compares them: numbers by value, a pre-release (`~`) before its release.
///
/// Other characters are passed over, also after a separator. systemd does not do that, so that its order has circles, which no
/// list can be sorted by.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(&byte);
    'parts: loop {
        a = skip(a, |byte| !is_part(byte));
        b = skip(b, |byte| !is_part(byte));
        // Each separator sorts before everything that comes after it in this list, and before more text.
        for separator in [b'~', b'\0', b'-', b'^', b'.'] {
            let of = |text: &[u8]| match separator {
                b'\0' => text.is_empty(),
                separator => text.first() == Some(&separator),
            };
            match (of(a), of(b)) {
                (true, true) if separator == b'\0' => return Ordering::Equal,
                (true, true) => {
                    (a, b) = (&a[1..], &b[1..]);
                    continue 'parts;
                }
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                (false, false) => {}
            }
        }
        let numbers = |byte: u8| byte.is_ascii_digit();
        let letters = |byte: u8| byte.is_ascii_alphabetic();
        let starts = |text: &[u8]| text.first().is_some_and(|byte| numbers(*byte));
        let order = if starts(a) || starts(b) {
            let (left, right) = (take(&mut a, numbers), take(&mut b, numbers));
            let (left, right) = (skip(left, |byte| byte == b'0'), skip(right, |byte| byte == b'0'));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        } else {
            take(&mut a, letters).cmp(take(&mut b, letters))
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn skip(text: &[u8], what: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !what(*byte)).unwrap_or(text.len());
    &text[end..]
}

fn take<'a>(text: &mut &'a [u8], what: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|byte| !what(*byte)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sorting by anything else may panic, and then nobody hears of the host any more.
    #[test]
    fn versions_of_any_characters_have_one_order() {
        let mut names = vec![String::new()];
        for from in [0, 1, 6] {
            let longer = names[from..]
                .iter()
                .flat_map(|name| "0b_-.".chars().map(move |c| format!("{name}{c}")));
            let longer: Vec<String> = longer.collect();
            names.extend(longer);
        }
        let mut names: Vec<String> = names.iter().map(|name| format!("-{name}.conf")).collect();
        names.sort_by(|one, other| compare(other, one));
        for (at, one) in names.iter().enumerate() {
            let later = &names[at..];
            assert!(
                later.iter().all(|other| compare(one, other) != Ordering::Less),
                "{one}"
            );
        }
    }

    #[test]
    fn versions_go_by_their_numbers() {
        for (less, more) in [
            ("Generation 9 x", "Generation 10 x"),
            ("nixos-generation-2.conf", "nixos-generation-10.conf"),
            ("1~rc1", "1"),
            ("1", "1.1"),
            ("1-1", "1.1"),
            ("1.1a", "1.1b"),
            ("", "1"),
        ] {
            assert_eq!(compare(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare(more, less), Ordering::Greater, "{less} {more}");
            assert_eq!(compare(more, more), Ordering::Equal);
        }
        assert_eq!(compare("007", "7"), Ordering::Equal);
    }
}
