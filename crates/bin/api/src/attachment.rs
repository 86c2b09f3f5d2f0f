//! Reads what is attached to releases: bills of materials, and what scanners report, as JSON.
//!
//! Whoever may register a release wrote the document. So it is bounded in size, in depth and in how much it names before
//! it is read, and what it says is text.

mod cyclone;
mod scanners;
mod spdx;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use slipway_domain::{AttachmentKind, Severity};
use slipway_store::{Document, NewAttachment};
use slipway_wire::attachment::{
    Component, MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ENTRIES, SeverityCount, Vulnerability,
};

use crate::number::number_of;
use crate::room::Room;

use scanners::VulnixPackage;
use value::present;

/// Objects of a document. Each takes some memory while it is read; documents of the greatest length have fewer.
const MAX_OBJECTS: usize = 400_000;

/// The most documents that this process holds at once while they are received, kept or sent.
pub const MOST_HELD: usize = 4;
/// The most documents that this process reads at once.
const MOST_READ: usize = 2;
/// How long a request waits for its turn before it is asked to come again.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(5);

/// Room for documents. Each takes some megabytes, and more while it is read.
#[derive(Debug)]
pub(crate) struct Documents {
    /// For those that are received, kept or sent.
    pub(crate) held: Room,
    /// For those that are read. Whoever reads one keeps the place to the end, also for a client that has gone.
    pub(crate) read: Room,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            held: Room::new(MOST_HELD, WAIT_FOR_ROOM),
            read: Room::new(MOST_READ, WAIT_FOR_ROOM),
        }
    }
}

/// What to attach as a bill of materials.
const SBOMS: &str =
    "give CycloneDX as JSON, whose `bomFormat` is `CycloneDX`, or SPDX 2 as JSON, which has `spdxVersion`";
/// What to attach as a report.
const REPORTS: &str = "give what a scanner writes: CycloneDX as JSON with `vulnerabilities`, `grype -o json`, `trivy -f json`, \
                       `vulnix --json` or `cargo audit --json`";

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
    #[error("it is no bill of materials; {SBOMS}")]
    NoSbom,
    #[error("it is no report of vulnerabilities; {REPORTS}")]
    NoReport,
    #[error(
        "it is a list, but its entries are not those of `vulnix --json`, which have a `name` and a list `affected_by` ({0}); {REPORTS}"
    )]
    NoVulnix(String),
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self::NotRead(error.to_string())
    }
}

/// The format of a document, for people, and its entries.
type Found<T> = Result<(String, Vec<T>), Unreadable>;

/// What documents of one kind name, ordered as it is shown.
pub(crate) trait Entry: Ord + Send + 'static {
    /// The kind.
    const KIND: AttachmentKind;

    /// Reads a document of this format.
    fn of(format: Option<Format>, text: &str) -> Found<Self>
    where
        Self: Sized;

    /// What is searched for words.
    fn parts(&self) -> impl Iterator<Item = &str>;
}

impl Entry for Component {
    const KIND: AttachmentKind = AttachmentKind::Sbom;

    fn of(format: Option<Format>, text: &str) -> Found<Self> {
        match format {
            Some(Format::Cyclone) => cyclone::components(serde_json::from_str(text)?),
            Some(Format::Spdx) => spdx::components(serde_json::from_str(text)?),
            Some(Format::List) if serde_json::from_str::<Vec<VulnixPackage>>(text).is_err() => {
                Err(Unreadable::NoSbom)
            }
            Some(_) => Err(Unreadable::Format(
                "it is a report of vulnerabilities; attach it as one (`vulnerabilities`)",
            )),
            None => Err(Unreadable::NoSbom),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let parts = [Some(&self.name), self.version.as_ref(), self.purl.as_ref()];
        parts.into_iter().flatten().map(String::as_str)
    }
}

impl Entry for Vulnerability {
    const KIND: AttachmentKind = AttachmentKind::Vulnerabilities;

    fn of(format: Option<Format>, text: &str) -> Found<Self> {
        match format {
            Some(Format::Cyclone) => cyclone::vulnerabilities(serde_json::from_str(text)?),
            Some(Format::Grype) => scanners::of_grype(&serde_json::from_str(text)?),
            Some(Format::Trivy) => scanners::of_trivy(&serde_json::from_str(text)?),
            Some(Format::List) => match serde_json::from_str::<Vec<_>>(text) {
                Err(error) if error.is_data() => Err(Unreadable::NoVulnix(error.to_string())),
                read => scanners::of_vulnix(&read?),
            },
            Some(Format::CargoAudit) => scanners::of_cargo_audit(&serde_json::from_str(text)?),
            Some(Format::Spdx) | None => Err(Unreadable::NoReport),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let parts = [Some(&self.id), self.component.as_ref(), self.state.as_ref()];
        let parts = parts.into_iter().flatten().map(String::as_str);
        parts.chain([self.severity.as_str()])
    }
}

/// The formats.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Cyclone,
    Spdx,
    Grype,
    Trivy,
    CargoAudit,
    /// Only vulnix writes one.
    List,
}

/// What is to be kept of a document.
pub(crate) fn new_attachment(kind: AttachmentKind, text: String) -> Result<NewAttachment, Unreadable> {
    let (format, entries, severities, dismissed) = match kind {
        AttachmentKind::Sbom => {
            let (format, all) = read::<Component>(&text)?;
            (format, all.len(), Vec::new(), 0)
        }
        AttachmentKind::Vulnerabilities => {
            let (format, all) = read(&text)?;
            let (severities, dismissed) = severities(&all);
            (format, all.len(), severities, dismissed)
        }
    };
    Ok(NewAttachment {
        kind,
        format,
        entries: number_of(entries),
        severities,
        dismissed,
        document: Document::new(text),
    })
}

/// How many vulnerabilities are how bad, the worst first, without those that are dismissed; and how many those are.
fn severities(all: &[Vulnerability]) -> (Vec<SeverityCount>, u32) {
    let count = |fits: &dyn Fn(&Vulnerability) -> bool| number_of(all.iter().filter(|one| fits(one)).count());
    let counts = Severity::ALL.iter().map(|severity| SeverityCount {
        severity: *severity,
        vulnerabilities: count(&|one| !one.dismissed && one.severity == *severity),
    });
    (counts.collect(), count(&|one| one.dismissed))
}

/// Reads a document.
pub(crate) fn read<T: Entry>(text: &str) -> Found<T> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(Unreadable::TooLong(text.len()));
    }
    // Some programs write this mark at the beginning of a file.
    let text = text.trim_start_matches('\u{feff}');
    measure(text)?;
    let (format, mut all) = T::of(format_of(text)?, text)?;
    all.sort();
    all.dedup();
    Ok((format, all))
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
        return Ok(Some(Format::List));
    }
    let keys: Keys<'_> = serde_json::from_str(text)?;
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
