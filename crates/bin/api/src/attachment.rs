//! Reads what is attached to releases: bills of materials, and what scanners report, as JSON.
//!
//! Whoever may register a release wrote the document. So it is bounded in size, in depth and in how much it names before
//! it is read, and what it says is text.

mod cvss;
mod cyclone;
mod scanners;
mod spdx;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use slipway_domain::{AttachmentKind, Severity};
use slipway_wire::attachment::{
    Component, MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ENTRIES, SeverityCount, Vulnerability,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use value::present;

/// Objects of a document. Each takes some memory while it is read; documents of the greatest length have fewer.
const MAX_OBJECTS: usize = 400_000;

/// The most documents that this process reads at once. One takes up to 100 MB of memory while it is read.
const MOST_READS: usize = 2;
/// How long a request waits for its turn before it is asked to come again.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(5);

/// Room for documents that are read at once.
#[derive(Debug)]
pub(crate) struct ReadRoom(Arc<Semaphore>);

impl Default for ReadRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_READS)))
    }
}

impl ReadRoom {
    /// Room to read a document, if there is some in time. Whoever reads it keeps the room to the end, also for a client
    /// that has gone.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        let room = Arc::clone(&self.0).acquire_owned();
        timeout(WAIT_FOR_ROOM, room).await.ok()?.ok()
    }
}

/// Why a document cannot be attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it has {0} bytes; attach at most {MAX_DOCUMENT_BYTES}")]
    TooLong(usize),
    #[error("its lists and objects are more than {MAX_DEPTH} deep; no tool writes such a document")]
    TooDeep,
    #[error("it has more than {MAX_OBJECTS} objects; attach a document of fewer parts")]
    TooManyObjects,
    #[error(
        "it names more than {MAX_ENTRIES} components or vulnerabilities; attach a document of fewer parts"
    )]
    TooManyEntries,
    #[error("it cannot be read as JSON: {0}")]
    NotRead(String),
    #[error("{0}")]
    Format(&'static str),
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// Its format and version.
    pub(crate) format: String,
    pub(crate) entries: Entries,
}

/// Its entries in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entries {
    Components(Vec<Component>),
    Vulnerabilities(Vec<Vulnerability>),
}

impl Entries {
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Components(all) => all.len(),
            Self::Vulnerabilities(all) => all.len(),
        }
    }

    /// How many vulnerabilities are how bad, the worst first, without those that are dismissed; and how many those are.
    pub(crate) fn severities(&self) -> (Vec<SeverityCount>, u32) {
        let Self::Vulnerabilities(all) = self else {
            return (Vec::new(), 0);
        };
        let count = |fits: &dyn Fn(&Vulnerability) -> bool| {
            u32::try_from(all.iter().filter(|one| fits(one)).count()).unwrap_or(u32::MAX)
        };
        let counts = Severity::ALL.iter().map(|severity| SeverityCount {
            severity: *severity,
            vulnerabilities: count(&|one| !one.dismissed && one.severity == *severity),
        });
        (counts.collect(), count(&|one| one.dismissed))
    }
}

/// The formats.
#[derive(Debug, Clone, Copy)]
enum Format {
    Cyclone,
    Spdx,
    Grype,
    Trivy,
    Vulnix,
    CargoAudit,
}

/// Reads a document of this kind.
pub(crate) fn read(kind: AttachmentKind, text: &str) -> Result<Read, Unreadable> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(Unreadable::TooLong(text.len()));
    }
    // Some programs write this mark at the beginning of a file.
    let text = text.trim_start_matches('\u{feff}');
    measure(text)?;
    let format = format_of(text)?;
    match kind {
        AttachmentKind::Sbom => sbom(format, text),
        AttachmentKind::Vulnerabilities => report(format, text),
    }
}

fn sbom(format: Option<Format>, text: &str) -> Result<Read, Unreadable> {
    let (format, all) = match format {
        Some(Format::Cyclone) => cyclone::components(json(text)?)?,
        Some(Format::Spdx) => spdx::components(json(text)?)?,
        Some(_) => {
            return Err(Unreadable::Format(
                "it is a report of vulnerabilities; attach it as one (`vulnerabilities`)",
            ));
        }
        None => {
            return Err(Unreadable::Format(
                "it is no bill of materials; give CycloneDX as JSON, whose `bomFormat` is `CycloneDX`, or SPDX 2 as JSON, \
                 which has `spdxVersion`",
            ));
        }
    };
    Ok(Read {
        format,
        entries: Entries::Components(in_order(all)),
    })
}

fn report(format: Option<Format>, text: &str) -> Result<Read, Unreadable> {
    let (format, all) = match format {
        Some(Format::Cyclone) => cyclone::vulnerabilities(json(text)?)?,
        Some(Format::Grype) => scanners::of_grype(&json(text)?)?,
        Some(Format::Trivy) => scanners::of_trivy(&json(text)?)?,
        Some(Format::Vulnix) => scanners::of_vulnix(&json::<Vec<_>>(text)?)?,
        Some(Format::CargoAudit) => scanners::of_cargo_audit(&json(text)?)?,
        Some(Format::Spdx) | None => {
            return Err(Unreadable::Format(
                "it is no report of vulnerabilities; give what a scanner writes: CycloneDX as JSON with `vulnerabilities`, \
                 `grype -o json`, `trivy -f json`, `vulnix --json` or `cargo audit --json`",
            ));
        }
    };
    Ok(Read {
        format,
        entries: Entries::Vulnerabilities(in_order(all)),
    })
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|error| Unreadable::NotRead(error.to_string()))
}

fn in_order<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all.dedup();
    all
}

/// As many entries as a document may have.
fn bounded<T>(entries: impl Iterator<Item = T>) -> Result<Vec<T>, Unreadable> {
    let all: Vec<T> = entries.take(MAX_ENTRIES + 1).collect();
    if all.len() > MAX_ENTRIES {
        return Err(Unreadable::TooManyEntries);
    }
    Ok(all)
}

/// Which format it is, by the keys that no other has.
fn format_of(text: &str) -> Result<Option<Format>, Unreadable> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    #[expect(clippy::struct_excessive_bools, reason = "each is a key that may be there")]
    struct Keys<'a> {
        #[serde(rename = "bomFormat", borrow)]
        bom_format: Option<Cow<'a, str>>,
        #[serde(rename = "spdxVersion", deserialize_with = "present")]
        spdx_version: bool,
        #[serde(rename = "@graph", deserialize_with = "present")]
        graph: bool,
        #[serde(deserialize_with = "present")]
        matches: bool,
        #[serde(rename = "SchemaVersion", deserialize_with = "present")]
        schema_version: bool,
        #[serde(rename = "ArtifactName", deserialize_with = "present")]
        artifact_name: bool,
        #[serde(deserialize_with = "present")]
        lockfile: bool,
        #[serde(deserialize_with = "present")]
        vulnerabilities: bool,
    }

    if text.trim_start().starts_with('[') {
        return Ok(Some(Format::Vulnix));
    }
    let keys: Keys<'_> = json(text)?;
    Ok(match keys {
        _ if keys.bom_format.as_deref() == Some("CycloneDX") => Some(Format::Cyclone),
        Keys {
            spdx_version: true, ..
        } => Some(Format::Spdx),
        Keys { graph: true, .. } => {
            return Err(Unreadable::Format(
                "it is SPDX 3 or another document of linked data; write SPDX 2.3 or CycloneDX, as JSON",
            ));
        }
        Keys { matches: true, .. } => Some(Format::Grype),
        Keys {
            schema_version: true,
            artifact_name: true,
            ..
        } => Some(Format::Trivy),
        Keys {
            lockfile: true,
            vulnerabilities: true,
            ..
        } => Some(Format::CargoAudit),
        _ => None,
    })
}

/// Refuses what is too deep or has too many parts. It needs no stack, however deep they are.
fn measure(text: &str) -> Result<(), Unreadable> {
    let (mut depth, mut objects) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                objects += 1;
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Unreadable::TooDeep);
        }
        if objects > MAX_OBJECTS {
            return Err(Unreadable::TooManyObjects);
        }
    }
    Ok(())
}
