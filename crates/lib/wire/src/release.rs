//! Releases.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use slipway_domain::digest::Digest;
use slipway_domain::{
    EnvironmentName, HostName, PrincipalName, ReleaseId, ReleaseName, ReleaseRef, StorePath,
};

use crate::kept::KeptRelease;

/// Characters of a commit that are enough for people.
const SHORT_REV_CHARS: usize = 10;

/// Where a release's closures came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Source {
    /// The flake reference that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake_ref: Option<String>,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// The hash of the source tree, as in `flake.lock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_hash: Option<String>,
}

/// `POST /releases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateRelease {
    /// What each host is to run; at least one host.
    ///
    /// Text here and not a parsed path, so that every wrong one can be told at once.
    pub closures: BTreeMap<String, String>,
    /// Where the closures came from.
    #[serde(default, deserialize_with = "strict_source")]
    pub source: Source,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its name for people, such as `v1.4.0`. No other release has it, and it never moves to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ReleaseName>,
}

/// A source as people send it. A release shows one too, which may come from a newer program.
#[derive(Deserialize)]
#[serde(remote = "Source", deny_unknown_fields, default = "Source::default")]
struct StrictSource {
    flake_ref: Option<String>,
    rev: Option<String>,
    nar_hash: Option<String>,
}

fn strict_source<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
    StrictSource::deserialize(deserializer)
}

/// A release in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseSummary {
    /// Its id.
    pub id: ReleaseId,
    /// How many hosts it has a closure for.
    #[serde(default)]
    pub hosts: u32,
    /// Always empty: `GET /releases/{id}` has them. Earlier clients cannot do without the field.
    #[serde(default)]
    pub closures: BTreeMap<HostName, StorePath>,
    /// Where the closures came from.
    pub source: Source,
    /// What it is, for people.
    pub message: Option<String>,
    /// Who registered it.
    pub author: PrincipalName,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Its number, by which people name it: `#12`. Releases of the whole control plane are numbered in the order of their
    /// registration, and some numbers may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Its name, if it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ReleaseName>,
}

impl ReleaseSummary {
    /// It as people say it.
    #[must_use]
    pub fn label(&self) -> ReleaseLabel {
        ReleaseLabel {
            id: self.id,
            number: self.number,
            name: self.name.clone(),
            rev: self.source.rev.clone(),
        }
    }

    /// How many hosts it has a closure for, also as an earlier server tells it.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.closures.len().max(self.hosts as usize)
    }
}

/// `POST /drafts`: a release whose closures come page by page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateDraft {
    /// Where the closures came from.
    #[serde(default, deserialize_with = "strict_source")]
    pub source: Source,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its name for people, such as `v1.4.0`. No other release has it, and it never moves to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ReleaseName>,
}

/// `POST /drafts/{id}/closures`: a page of closures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DraftPage {
    /// What each host is to run; at least one host. A page that is sent again changes nothing.
    pub closures: BTreeMap<String, String>,
}

/// `POST /drafts/{id}/seal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SealDraft {
    /// How many hosts the draft must hold, so that a page that was lost is told.
    pub hosts: u32,
}

/// A release that is still being written. It is nothing that can be rolled out, and nobody but its author sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Draft {
    /// Its id, and the release's once it is sealed.
    pub id: ReleaseId,
    /// Hosts in it so far.
    pub hosts: u32,
}

/// An immutable map from host to closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// What each host is to run.
    pub closures: BTreeMap<HostName, StorePath>,
    /// Where the closures came from.
    pub source: Source,
    /// What it is, for people.
    pub message: Option<String>,
    /// Who registered it.
    pub author: PrincipalName,
    /// When.
    pub created_at: DateTime<Utc>,
    /// What its signed manifest says; none where it was registered without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestSummary>,
    /// That somebody keeps it, so that no cache collects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptRelease>,
    /// Its number, by which people name it: `#12`. Releases of the whole control plane are numbered in the order of their
    /// registration, and some numbers may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Its name, if it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ReleaseName>,
}

impl Release {
    /// It as people say it.
    #[must_use]
    pub fn label(&self) -> ReleaseLabel {
        ReleaseLabel {
            id: self.id,
            number: self.number,
            name: self.name.clone(),
            rev: self.source.rev.clone(),
        }
    }
}

/// A release as people say it, wherever something names one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseLabel {
    /// Its id.
    pub id: ReleaseId,
    /// Its number. Programs before numbers do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Its name, if it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ReleaseName>,
    /// The commit that it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
}

impl ReleaseLabel {
    /// The first characters of the commit.
    #[must_use]
    pub fn short_rev(&self) -> Option<String> {
        self.rev.as_deref().map(short_rev)
    }

    /// How a command or a path names it: by its number, or else by its id.
    #[must_use]
    pub fn reference(&self) -> ReleaseRef {
        self.number.map_or(ReleaseRef::Id(self.id), ReleaseRef::Number)
    }
}

/// The first characters of a commit.
#[must_use]
pub fn short_rev(rev: &str) -> String {
    rev.chars().take(SHORT_REV_CHARS).collect()
}

impl fmt::Display for ReleaseLabel {
    /// `#12 v1.4.0 (4f2c1d9abc)`, with what is known of it. The commit is what its author wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "#{number}")?,
            None => write!(f, "{}", self.id)?,
        }
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        self.short_rev().map_or(Ok(()), |rev| write!(f, " ({rev})"))
    }
}

/// `POST /signed-releases`: everything of the release is in its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateSignedRelease {
    /// The manifest's text, byte for byte as it was signed.
    pub manifest: String,
    /// What the signing tools wrote, one text a signature; at least one.
    pub signatures: Vec<String>,
    /// What it is, for people. It is not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its name for people, such as `v1.4.0`. No other release has it, and it never moves to another one. It is not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ReleaseName>,
}

/// A manifest as it was signed. Whether it counts is for the reader to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseManifest {
    /// The manifest's text, byte for byte as it was signed.
    pub manifest: String,
    /// What the signing tools wrote, one text a signature.
    pub signatures: Vec<String>,
}

/// What a signed manifest says, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ManifestSummary {
    /// The only environment that it is for.
    pub environment: EnvironmentName,
    /// Its number there.
    pub number: u64,
    /// No host activates it from then on.
    pub expires: DateTime<Utc>,
    /// The SHA-256 of the manifest's bytes.
    pub digest: Digest,
    /// Its signatures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<SignatureSummary>,
}

/// A signature of a manifest. Each host finds out by its own keys whether it counts there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignatureSummary {
    /// The key as its tool names it: `SHA256:…` of `ssh-keygen -l`, or the id of minisign.
    pub key: String,
    /// `ssh-ed25519` or `minisign`.
    pub algorithm: String,
    /// Whether this key made it for these bytes. A signature of minisign only names its key, so the control plane cannot check it
    /// and leaves this out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// How many hosts of the environment trust the key, by the last reports of their agents.
    pub trusted_by: u32,
}

impl SignatureSummary {
    /// What is known of it, for people. Anybody can write a trusted key's name, so only a checked signature counts as trusted.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.fits, self.trusted_by) {
            (Some(false), _) => "does not fit the manifest".to_owned(),
            (_, 0) => "unknown key: no host reports that it trusts this key".to_owned(),
            (None, 1) => "names a key that 1 host trusts; only that host can check it".to_owned(),
            (None, hosts) => format!("names a key that {hosts} hosts trust; only they can check it"),
            (Some(true), 1) => "trusted by 1 host".to_owned(),
            (Some(true), hosts) => format!("trusted by {hosts} hosts"),
        }
    }
}
