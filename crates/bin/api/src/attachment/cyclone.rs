//! `CycloneDX` as JSON, of any version: a bill of materials, a report of vulnerabilities, or both.

use std::collections::HashMap;

use serde::Deserialize;
use slipway_domain::Severity;
use slipway_wire::attachment::{Component, Vulnerability};

use super::value::{cut, named, or_nothing, some};
use super::{Found, Unreadable, bounded};

/// What an analysis says of vulnerabilities that need no more thought.
const DISMISSED: [&str; 4] = [
    "resolved",
    "resolved_with_pedigree",
    "false_positive",
    "not_affected",
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cyclone {
    #[serde(rename = "specVersion")]
    spec_version: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_nothing")]
    components: Vec<Part>,
    vulnerabilities: Option<Vec<Known>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    component: Option<Part>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    group: Option<String>,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    #[serde(rename = "bom-ref")]
    bom_ref: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    components: Vec<Part>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Known {
    id: String,
    #[serde(deserialize_with = "or_nothing")]
    ratings: Vec<Rating>,
    #[serde(deserialize_with = "or_nothing")]
    affects: Vec<Affects>,
    #[serde(deserialize_with = "or_nothing")]
    analysis: Analysis,
    recommendation: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rating {
    severity: Option<String>,
    score: Option<f64>,
    method: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Affects {
    #[serde(rename = "ref")]
    of: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Analysis {
    state: Option<String>,
}

impl Part {
    /// Its name, with the group that tells it from others of this name.
    fn name(&self) -> String {
        match self.group.as_deref().filter(|group| !group.is_empty()) {
            Some(group) => cut(&format!("{}/{}", cut(group), cut(&self.name))),
            None => cut(&self.name),
        }
    }
}

impl Known {
    /// The worst that somebody says of it. A score counts where nobody says a word, if it is one of CVSS.
    fn severity(&self) -> Severity {
        let words = self
            .ratings
            .iter()
            .filter_map(|rating| rating.severity.as_deref());
        let word = words.map(Severity::of).min().unwrap_or(Severity::Unknown);
        if word != Severity::Unknown {
            return word;
        }
        let of_cvss = |rating: &&Rating| {
            let method = rating.method.as_deref().unwrap_or_default();
            method.starts_with("CVSSv3") || method.starts_with("CVSSv4")
        };
        let scores = self
            .ratings
            .iter()
            .filter(of_cvss)
            .filter_map(|rating| rating.score);
        scores.map(Severity::of_score).min().unwrap_or(Severity::Unknown)
    }

    fn said(&self) -> Option<String> {
        let state = self.analysis.state.as_ref().map(|state| state.replace('_', " "));
        some(state.as_ref()).or_else(|| some(self.recommendation.as_ref()))
    }
}

fn format_of(document: &Cyclone) -> String {
    let version = document.spec_version.as_deref().unwrap_or("without a version");
    cut(&format!("CycloneDX {version}"))
}

/// All components, also those within others.
fn flat(components: Vec<Part>) -> Vec<Part> {
    let (mut all, mut rest) = (Vec::new(), components);
    while let Some(mut one) = rest.pop() {
        rest.append(&mut one.components);
        all.push(one);
    }
    all
}

pub(super) fn components(document: Cyclone) -> Found<Component> {
    let format = format_of(&document);
    let all = flat(document.components);
    let all = bounded(all.iter().map(|one| Component {
        name: one.name(),
        version: some(one.version.as_ref()),
        purl: some(one.purl.as_ref()),
    }));
    Ok((format, all?))
}

pub(super) fn vulnerabilities(mut document: Cyclone) -> Found<Vulnerability> {
    let format = format_of(&document);
    let Some(found) = document.vulnerabilities.take() else {
        return Err(Unreadable::Format(
            "it is CycloneDX without `vulnerabilities`; attach it as a bill of materials (`sbom`), or have a scanner read it",
        ));
    };
    document.components.extend(document.metadata.component);
    let all = flat(document.components);
    // Each once: thousands may name the same.
    let names: HashMap<&str, String> = all
        .iter()
        .filter_map(|one| {
            Some((
                one.bom_ref.as_deref()?,
                named(&one.name(), one.version.as_deref()),
            ))
        })
        .collect();
    let component = |of: &str| {
        // A component of another document: `urn:cdx:SERIAL/VERSION#REF`.
        let local = of.strip_prefix("urn:cdx:").and_then(|link| link.split_once('#'));
        let reference = local.map_or(of, |(_, reference)| reference);
        names.get(reference).cloned().unwrap_or_else(|| cut(reference))
    };
    let entries = found.iter().flat_map(|one| {
        let (severity, state) = (one.severity(), one.said());
        let dismissed = one
            .analysis
            .state
            .as_deref()
            .is_some_and(|state| DISMISSED.contains(&state));
        let nothing = one.affects.is_empty().then_some(None);
        let affects = one.affects.iter().map(|of| Some(of.of.as_str())).chain(nothing);
        affects.map(move |of| Vulnerability {
            dismissed,
            severity,
            id: cut(&one.id),
            component: of.map(component),
            fixed_in: None,
            state: state.clone(),
        })
    });
    let entries = bounded(entries);
    Ok((format, entries?))
}
