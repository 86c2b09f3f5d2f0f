//! Counts in answers.

/// A count as answers have it.
pub(crate) fn number_of(count: impl TryInto<u32>) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}
