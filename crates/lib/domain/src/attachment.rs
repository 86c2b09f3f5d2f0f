//! What may be attached to a release: a bill of materials, and a report of known vulnerabilities.

use crate::named::named;

named! {
    /// What is attached to a release.
    AttachmentKind, "kind of attachment", {
        /// What it is made of, as `CycloneDX` or SPDX.
        Sbom = "sbom",
        /// Known vulnerabilities of what it is made of, as a scanner reports them.
        Vulnerabilities = "vulnerabilities",
    }
}

impl AttachmentKind {
    /// What it is, for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Sbom => "bill of materials",
            Self::Vulnerabilities => "report of vulnerabilities",
        }
    }
}

named! {
    /// How bad a vulnerability is, the worst first, as the report says it.
    Severity, "severity", {
        /// Critical.
        Critical = "critical",
        /// High.
        High = "high",
        /// Medium.
        Medium = "medium",
        /// Low, or negligible.
        Low = "low",
        /// The report does not say, or says that it has none.
        Unknown = "unknown",
    }
}

impl Severity {
    /// Reads the word of a report.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "critical" => Self::Critical,
            "high" => Self::High,
            "medium" | "moderate" => Self::Medium,
            "low" | "negligible" | "info" | "informational" => Self::Low,
            _ => Self::Unknown,
        }
    }

    /// Of a score of CVSS 3 or 4, by the scale of its specification.
    #[must_use]
    pub fn of_score(score: f64) -> Self {
        match score {
            9.0.. => Self::Critical,
            7.0.. => Self::High,
            4.0.. => Self::Medium,
            0.1.. => Self::Low,
            _ => Self::Unknown,
        }
    }
}
