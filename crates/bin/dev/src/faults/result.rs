//! How it went, for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::kind::FaultKind;

/// One fault and what came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FaultResult {
    pub(super) fault: String,
    pub(super) alert: &'static str,
    /// Seconds from the fault to the message about its alert.
    pub(super) detected: Option<f64>,
    /// Seconds from its end to the message that the alert is over.
    pub(super) resolved: Option<f64>,
    /// Alerts that should not have been.
    pub(super) others: Vec<String>,
    /// Why it could not be tried here.
    pub(super) skipped: Option<String>,
}

impl FaultResult {
    pub(super) fn of(fault: FaultKind) -> Self {
        Self {
            fault: fault.name(),
            alert: fault.expected().alert,
            detected: None,
            resolved: None,
            others: Vec::new(),
            skipped: None,
        }
    }

    fn is_good(&self) -> bool {
        self.skipped.is_some()
            || (self.detected.is_some() && self.resolved.is_some() && self.others.is_empty())
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        if let Some(reason) = &self.skipped {
            return format!("not tried: {reason}");
        }
        let seconds = |time: Option<f64>| time.map_or("never".to_owned(), |time| format!("{time:.1} s"));
        let mut line = format!(
            "{} after {}, over after {}",
            self.alert,
            seconds(self.detected),
            seconds(self.resolved)
        );
        if !self.others.is_empty() {
            let _ = write!(line, "; also {}", self.others.join(", "));
        }
        line
    }
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// What each alert's waiting time was divided by.
    pub(super) faster: u32,
    pub(super) faults: Vec<FaultResult>,
    /// Each program: its memory in MiB, and its per cent of a core over the last five minutes.
    pub(super) figures: Vec<(String, f64, f64)>,
}

impl Report {
    pub(super) const fn new(faster: u32) -> Self {
        Self {
            faster,
            faults: Vec::new(),
            figures: Vec::new(),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.faults.iter().all(FaultResult::is_good)
    }

    /// A table for people.
    pub(super) fn table(&self) -> String {
        let mut text = String::from("\nfault         alert                detected  resolved  besides\n");
        for result in &self.faults {
            let seconds = |time: Option<f64>| time.map_or("NEVER".to_owned(), |time| format!("{time:.1} s"));
            let (detected, resolved) = match &result.skipped {
                Some(_) => ("-".to_owned(), "-".to_owned()),
                None => (seconds(result.detected), seconds(result.resolved)),
            };
            let besides = match (&result.skipped, result.others.is_empty()) {
                (Some(reason), _) => format!("not tried: {reason}"),
                (None, true) => "nothing".to_owned(),
                (None, false) => format!("NOT EXPECTED: {}", result.others.join(", ")),
            };
            let _ = writeln!(
                text,
                "{:<13} {:<20} {detected:>8}  {resolved:>8}  {besides}",
                result.fault, result.alert
            );
        }
        let _ = writeln!(
            text,
            "\nprocess                               memory      of a core, last 5 min"
        );
        for (process, memory, cpu) in &self.figures {
            let _ = writeln!(text, "{process:<33} {memory:>6.1} MiB  {cpu:>6.2} %");
        }
        text
    }
}
