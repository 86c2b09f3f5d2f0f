//! The place of a piece of work in a trace that several processes write.

use serde::{Deserialize, Deserializer, Serialize};

use crate::RolloutId;
use crate::checked::checked_text;

/// Hex digits of a trace's id, and of a span's.
const ID_DIGITS: (usize, usize) = (32, 16);

/// Text that is no W3C `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a traceparent: give 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, with ids that are not all zeros"
)]
pub struct TraceParentError;

checked_text! {
    /// A span that others hang below, as the header `traceparent` of W3C Trace Context names it.
    TraceParent, TraceParentError, check
}

/// Version 00. Later versions may say more, which would be guessed at.
fn check(text: &str) -> Result<(), TraceParentError> {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else {
        return Err(TraceParentError);
    };
    let digits = |part: &str, count| {
        part.len() == count
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let id = |part: &str, count| digits(part, count) && part.bytes().any(|b| b != b'0');
    let is_sound = *version == "00" && id(trace, ID_DIGITS.0) && id(span, ID_DIGITS.1) && digits(flags, 2);
    if is_sound { Ok(()) } else { Err(TraceParentError) }
}

impl TraceParent {
    /// The beginning of a new trace that is to be recorded.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "ids of traces are random, as attempts' ids are"
    )]
    pub fn begin() -> Self {
        let (trace, span) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        let span = &span.simple().to_string()[..ID_DIGITS.1];
        Self(format!("00-{}-{span}-01", trace.simple()))
    }

    /// The trace's id, as 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.0.split('-').nth(1).unwrap_or_default()
    }
}

/// Where an attempt comes from, so that its host's logs and spans can be found by the rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttemptOrigin {
    /// The rollout.
    pub rollout: RolloutId,
    /// Where its spans hang, as a W3C `traceparent`; left out for rollouts of release 0.1.0.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub traceparent: Option<TraceParent>,
}

/// A later version's form is no reason to do nothing: only the trace is lost.
fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TraceParent>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_specification_has_is_a_traceparent() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parsed: TraceParent = good.parse().unwrap();
        assert_eq!(
            (parsed.as_str(), parsed.trace_id()),
            (good, "0af7651916cd43dd8448eb211c80319c")
        );
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_trace_begins_anew() {
        let (one, two) = (TraceParent::begin(), TraceParent::begin());
        assert_eq!(one.as_str().parse(), Ok(one.clone()));
        assert_ne!(one.trace_id(), two.trace_id());
    }

    #[test]
    fn a_later_form_costs_the_trace_and_nothing_else() {
        let rollout = RolloutId::generate();
        let json = serde_json::json!({"rollout": rollout, "traceparent": "cc-new", "more": 1});
        let origin: AttemptOrigin = serde_json::from_value(json).unwrap();
        assert_eq!(
            origin,
            AttemptOrigin {
                rollout,
                traceparent: None
            }
        );
    }
}
