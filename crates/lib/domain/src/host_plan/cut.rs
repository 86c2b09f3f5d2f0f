//! Bounds of what is sent and stored of a plan.

use super::{CutRest, HostPlan, PlanSection};

/// The most entries of one section that are sent.
pub const MAX_ENTRIES: usize = 300;
/// The most bytes of a plan that are sent, as JSON.
pub const MAX_PLAN_BYTES: usize = 192 * 1024;
/// The longest text in an entry, in characters.
const MAX_TEXT: usize = 300;

impl HostPlan {
    /// Cuts texts to a bounded length. The digest covers them as they are after it.
    pub fn bound_texts(&mut self) {
        for entry in self
            .sections
            .values_mut()
            .flat_map(|section| &mut section.entries)
        {
            let texts = [&mut entry.before, &mut entry.after, &mut entry.why];
            for text in texts.into_iter().flatten().chain([&mut entry.name]) {
                bound(text);
            }
        }
    }

    /// The plan with lists short enough to be sent. Its digest stays the same.
    #[must_use]
    pub fn cut(mut self) -> Self {
        let mut most = MAX_ENTRIES;
        loop {
            for section in self.sections.values_mut() {
                section.cut_to(most);
            }
            let size = serde_json::to_vec(&self).map_or(0, |json| json.len());
            if size <= MAX_PLAN_BYTES || most == 0 {
                return self;
            }
            most /= 2;
        }
    }
}

impl PlanSection {
    fn cut_to(&mut self, most: usize) {
        if self.entries.len() <= most {
            return;
        }
        let digest = self.digest_from(most);
        let before = self.cut.as_ref().map_or(0, |cut| cut.entries);
        let entries = before.saturating_add((self.entries.len() - most) as u64);
        self.entries.truncate(most);
        self.cut = Some(CutRest { entries, digest });
    }
}

fn bound(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(at);
        text.push('…');
    }
}
