//! The names of metrics in expressions of `PromQL`, as alerts and dashboards have them.

use std::collections::BTreeSet;

/// Words between expressions.
const OPERATORS: [&str; 8] = ["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"];
/// Words before a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words before such a list, and before what they sum up.
const AGGREGATIONS: [&str; 12] = [
    "sum",
    "min",
    "max",
    "avg",
    "group",
    "stddev",
    "stdvar",
    "count",
    "count_values",
    "bottomk",
    "topk",
    "quantile",
];

/// The metrics that `expression` asks for.
pub(crate) fn metrics(expression: &str) -> BTreeSet<String> {
    selectors(expression)
        .into_iter()
        .map(|(metric, _)| metric.to_owned())
        .collect()
}

/// Each metric that `expression` asks for, with the matchers behind it.
pub(crate) fn selectors(expression: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' | '\'' | '`' => after_text(rest, first),
            '{' => after_matchers(rest),
            '[' => after(rest, ']'),
            '#' => after(rest, '\n'),
            // A variable of Grafana, or a number with its unit.
            '$' | '0'..='9' => rest[1..].trim_start_matches(is_word),
            letter if is_word(letter) => {
                let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                let (word, next) = rest.split_at(end);
                let lower = word.to_lowercase();
                if LISTS.contains(&lower.as_str()) {
                    after_list(next)
                } else {
                    let is_call = next.trim_start().starts_with('(');
                    if !is_call
                        && !OPERATORS.contains(&lower.as_str())
                        && !AGGREGATIONS.contains(&lower.as_str())
                    {
                        let matchers = next.trim_start();
                        let of_it = if matchers.starts_with('{') {
                            &matchers[..matchers.len() - after_matchers(matchers).len()]
                        } else {
                            ""
                        };
                        found.push((word, of_it));
                    }
                    next
                }
            }
            other => &rest[other.len_utf8()..],
        };
    }
    found
}

const fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

fn after_text(text: &str, quote: char) -> &str {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == quote && !is_escaped {
            return &text[at + 1..];
        }
        is_escaped = letter == '\\' && !is_escaped && quote != '`';
    }
    ""
}

/// Values of labels may hold braces.
fn after_matchers(text: &str) -> &str {
    let mut rest = &text[1..];
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '}' => return &rest[1..],
            '"' | '\'' | '`' => after_text(rest, first),
            other => &rest[other.len_utf8()..],
        };
    }
    rest
}

/// `group_left` may stand without a list.
fn after_list(text: &str) -> &str {
    if text.trim_start().starts_with('(') {
        after(text, ')')
    } else {
        text
    }
}

#[test]
fn the_metrics_of_an_expression_are_found() {
    for (expression, wanted) in [
        ("up", &["up"][..]),
        ("vector(1)", &[]),
        (
            r#"sum by (host, stack) (rate(a_total{x="}",y=~"b_total"}[5m])) > 1e3"#,
            &["a_total"],
        ),
        ("sum(a) without (b) / on (c) group_left d", &["a", "d"]),
        (
            "a and on () b unless ignoring (c) d offset 900s",
            &["a", "b", "d"],
        ),
        (
            r#"label_replace(a == 1, "b", "$1", "c", "(.+)") or absent(e)"#,
            &["a", "e"],
        ),
        ("increase(a[$__rate_interval]) * $scale # of b", &["a"]),
        ("topk(3, max by (x) (a:b)) < bool Inf", &["a:b"]),
        (r#"a{b="\"c"} - time()"#, &["a"]),
    ] {
        let found: Vec<String> = metrics(expression).into_iter().collect();
        assert_eq!(found, wanted, "{expression}");
    }
    let found = selectors(r#"a{b="}",job="c"} == 0 or rate(d[5m])"#);
    assert_eq!(found, [("a", r#"{b="}",job="c"}"#), ("d", "")]);
}
