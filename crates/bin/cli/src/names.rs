//! Releases and rollouts as people say them: by number, with name and commit.

use slipway_domain::{ReleaseId, RolloutId};
use slipway_wire::release::ReleaseLabel;
use slipway_wire::rollout::{RolloutSummary, label};

use crate::text::clean;

/// `#12 v1.4.0 (4f2c1d9abc)`; the id where an API before numbers tells nothing else.
#[must_use]
pub fn release(id: ReleaseId, label: Option<&ReleaseLabel>) -> String {
    label.map_or_else(|| id.to_string(), |label| clean(&label.to_string()))
}

/// The same with the id, for a page of its own.
#[must_use]
pub fn release_and_id(id: ReleaseId, label: Option<&ReleaseLabel>) -> String {
    and_id(&release(id, label), &id.to_string())
}

/// `#34, 01939f2e-…`, for a page of its own.
#[must_use]
pub fn rollout_and_id(id: RolloutId, number: Option<u64>) -> String {
    and_id(&label(id, number), &id.to_string())
}

/// `#34 of release #12 v1.4.0 (4f2c1d9abc)`; the id alone where an API before numbers tells nothing else.
#[must_use]
pub fn rollout_of_release(rollout: &RolloutSummary) -> String {
    let of = rollout.release_label.as_ref();
    let of = of.map(|release| format!(" of release {}", clean(&release.to_string())));
    format!("{}{}", rollout.label(), of.unwrap_or_default())
}

fn and_id(words: &str, id: &str) -> String {
    if words.starts_with(id) {
        words.to_owned()
    } else {
        format!("{words}, {id}")
    }
}
