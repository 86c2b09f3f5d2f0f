//! Whether the colours of the style sheet are far enough apart to be read.

use std::collections::BTreeMap;

const STYLE: &str = include_str!("../assets/console.css");
/// The least ratio for text: WCAG 2.2, success criterion 1.4.3.
const LEAST: f64 = 4.5;
/// What stands on what. `soft` are the grounds of badges and of tiles with names.
const PAIRS: [(&[&str], &[&str]); 4] = [
    (&["text", "faint", "link"], &["page", "surface", "raised"]),
    (&["text"], &["warn-soft", "bad-soft", "busy-soft"]),
    (&["bad"], &["page", "surface"]),
    (&["on-tone"], &["busy", "bad"]),
];
const TONES: [&str; 6] = ["good", "busy", "waits", "warn", "bad", "idle"];

/// The tokens of the first block after this text.
fn tokens(after: &str) -> BTreeMap<&'static str, [u8; 3]> {
    let (_, rest) = STYLE.split_once(after).unwrap();
    let block = rest.split('}').next().unwrap();
    let lines = block.lines().filter_map(|line| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
        let bytes = hex::decode(value.trim_end_matches(';')).unwrap();
        Some((name, bytes.try_into().unwrap()))
    });
    lines.collect()
}

fn luminance(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn ratio(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn the_ratio_is_that_of_the_standard() {
    assert!((ratio([0; 3], [255; 3]) - 21.0).abs() < 0.001);
    assert!((ratio([0x77; 3], [255; 3]) - 4.478).abs() < 0.001);
}

#[test]
fn everything_can_be_read_in_light_and_dark() {
    let light = tokens(":root {");
    let dark = tokens("prefers-color-scheme: dark) {\n  :root {");
    for (scheme, tokens) in [("light", &light), ("dark", &dark)] {
        let softs = TONES.map(|tone| (tone.to_owned(), format!("{tone}-soft")));
        let pairs = PAIRS.iter().flat_map(|(texts, grounds)| {
            let of = move |text: &&str| {
                let text = (*text).to_owned();
                grounds
                    .iter()
                    .map(move |ground| (text.clone(), (*ground).to_owned()))
            };
            texts.iter().flat_map(of)
        });
        for (text, ground) in pairs.chain(softs) {
            let ratio = ratio(tokens[text.as_str()], tokens[ground.as_str()]);
            assert!(ratio >= LEAST, "{scheme}: {text} on {ground} is {ratio:.2}:1");
        }
    }
}
