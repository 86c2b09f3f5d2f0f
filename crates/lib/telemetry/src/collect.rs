//! Metrics that are read when somebody scrapes.
//!
//! What is recorded stays for as long as the process. A [`Family`] has exactly the samples that its collector gives, so a
//! host or a rollout that is gone has no series any more.

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use metrics_exporter_prometheus::formatting::{sanitize_label_value, write_help_line, write_type_line};

/// A label and its value.
pub type Label<'a> = (&'static str, &'a str);

/// A metric with its samples of this moment.
#[derive(Debug, Clone)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    /// One line each, as Prometheus reads it.
    samples: String,
}

impl Family {
    /// A gauge without samples. Also an empty family is shown by name, so that it can be found.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            samples: String::new(),
        }
    }

    /// Adds a sample.
    pub fn push(&mut self, labels: &[Label<'_>], value: f64) {
        let text = &mut self.samples;
        text.push_str(self.name);
        for (number, (label, content)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            // Writing to a String cannot fail.
            let _ = write!(text, "{before}{label}=\"{}\"", sanitize_label_value(content));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(text, "{end} {value}");
    }

    fn render(&self, text: &mut String) {
        write_help_line(text, self.name, None, None, self.help);
        write_type_line(text, self.name, None, None, "gauge");
        text.push_str(&self.samples);
        text.push('\n');
    }
}

type Collector = Box<dyn Fn() -> Vec<Family> + Send + Sync>;

/// The collectors of a process.
#[derive(Clone, Default)]
pub(crate) struct Collectors(Arc<RwLock<Vec<Collector>>>);

impl Collectors {
    pub(crate) fn add(&self, collector: Collector) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.push(collector);
    }

    /// What all of them read now, as text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for family in all.iter().flat_map(|collector| collector()) {
            family.render(&mut text);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_sample() {
        let collectors = Collectors::default();
        collectors.add(Box::new(|| {
            let mut family = Family::gauge("seen", "When.");
            family.push(&[("name", "a\"} 1\nforged 2\\"), ("environment", "prod")], 0.5);
            family.push(&[], 3.0);
            vec![family, Family::gauge("empty", "Nothing yet.")]
        }));
        let expected = [
            "# HELP seen When.",
            "# TYPE seen gauge",
            r#"seen{name="a\"} 1\nforged 2\\",environment="prod"} 0.5"#,
            "seen 3",
            "",
            "# HELP empty Nothing yet.",
            "# TYPE empty gauge",
            "",
            "",
        ];
        assert_eq!(collectors.render(), expected.join("\n"));
    }
}
