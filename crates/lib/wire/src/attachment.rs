//! What is attached to a release: its bill of materials, and a report of known vulnerabilities.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use slipway_domain::digest::Digest;
use slipway_domain::{AttachmentKind, PrincipalName, Severity};

/// The most bytes of a document. Some thousand components of a system have so many.
pub const MAX_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;
/// How deep its lists and objects may be within each other.
pub const MAX_DEPTH: usize = 64;
/// The most components or vulnerabilities of a document.
pub const MAX_ENTRIES: usize = 20_000;
/// So many versions of each kind are kept besides the first: the newest.
pub const KEPT_VERSIONS: u32 = 20;

/// `POST /releases/{id}/attachments`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AttachDocument {
    /// What it is.
    pub kind: AttachmentKind,
    /// The document as it was written: JSON in a text. A newer one becomes another version, and none is ever changed.
    pub document: String,
}

/// A document that is attached to a release, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// 1 is the first of its kind; the last counts.
    pub version: u32,
    /// Its format, such as `CycloneDX 1.6`.
    pub format: String,
    /// Of its text; the audit log has it too.
    pub digest: Digest,
    /// Bytes of its text.
    pub bytes: u32,
    /// Its components, or its vulnerabilities.
    pub entries: u32,
    /// Of a report: how many vulnerabilities are how bad, the worst first, without those that it dismisses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<SeverityCount>,
    /// Of a report: how many vulnerabilities it dismisses, since they do not affect the release or are fixed in it.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub dismissed: u32,
    /// Who attached it.
    pub by: PrincipalName,
    /// When.
    pub at: DateTime<Utc>,
}

/// The query of `GET /releases/{id}/document`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct DocumentQuery {
    /// What is wanted.
    pub kind: AttachmentKind,
    /// Which version; the last when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// A document as it was attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttachedDocument {
    /// What is known of it.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// Its text.
    pub document: String,
}

/// Which entries of the last document are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct EntriesQuery {
    /// At most 10 words; each must be part of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Passes over so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<u32>,
    /// 1 to 500; 50 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What a release is made of, by the last bill of materials that was attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseComponents {
    /// The document.
    pub attachment: Attachment,
    /// How many components there are of what was asked for.
    pub total: u32,
    /// Those of this page, by name.
    pub items: Vec<Component>,
}

/// A part of a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

/// Known vulnerabilities of a release, by the last report that was attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseVulnerabilities {
    /// The report.
    pub attachment: Attachment,
    /// How many there are of what was asked for.
    pub total: u32,
    /// Those of this page: the worst first, and those that the report dismisses last.
    pub items: Vec<Vulnerability>,
}

/// How many vulnerabilities are so bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeverityCount {
    /// How bad.
    pub severity: Severity,
    /// How many.
    pub vulnerabilities: u32,
}

/// A known vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Vulnerability {
    /// Whether the report dismisses it, since it does not affect the release or is fixed in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dismissed: bool,
    /// How bad it is.
    pub severity: Severity,
    /// Its id, such as `CVE-2026-1234`.
    pub id: String,
    /// What it is in, with the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The versions in which it is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<String>,
    /// What the report says of it besides, such as `not affected` or `will not fix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}
