//! What the journal holds.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slipway_domain::agent::{ActivationPlan, AttemptReport, ManifestRef, RebootReport, Verdict};
use slipway_domain::{AttemptId, AttemptOrigin, AttemptPhase, PlanReport, StorePath, Timestamp};
use slipway_host::clock::BootMs;
use slipway_host::text::one_line;
use slipway_release::Committed;

use super::{HooksProgress, RebootProgress};

/// Settled attempts that are remembered, so that a late instruction for one is not carried out again.
const PAST_ATTEMPTS: usize = 32;
/// Characters of a settled attempt's message that are kept.
const PAST_MESSAGE_CHARS: usize = 300;

/// The phase of an attempt. It has one phase more than the control plane's: a begun commit, which is always
/// finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalPhase {
    /// Fetching.
    Staging,
    /// Fetched and fit.
    Staged,
    /// Not fetched, or unfit; nothing was touched.
    StageFailed,
    /// The switch script was, or is about to be, started.
    Activating,
    /// The checks run.
    Verifying,
    /// The checks passed; waits for the word to commit.
    Verified,
    /// The profile and the boot default are being moved.
    Committing,
    /// They were moved.
    Committed,
    /// The prior is being put back.
    Reverting,
    /// The prior is live and the boot default.
    Reverted,
    /// The prior could not be put back yet.
    Stuck,
}

impl fmt::Display for JournalPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl JournalPhase {
    /// As the control plane knows it.
    #[must_use]
    pub const fn reported(self) -> AttemptPhase {
        match self {
            Self::Staging => AttemptPhase::Staging,
            Self::Staged => AttemptPhase::Staged,
            Self::StageFailed => AttemptPhase::StageFailed,
            Self::Activating => AttemptPhase::Activating,
            Self::Verifying => AttemptPhase::Verifying,
            Self::Verified | Self::Committing => AttemptPhase::Verified,
            Self::Committed => AttemptPhase::Committed,
            Self::Reverting => AttemptPhase::Reverting,
            Self::Reverted => AttemptPhase::Reverted,
            Self::Stuck => AttemptPhase::Stuck,
        }
    }

    /// Whether an activation has begun and is neither committed nor reverted.
    #[must_use]
    pub const fn is_unsettled(self) -> bool {
        matches!(self, Self::Committing | Self::Reverting | Self::Stuck) || self.is_unproven()
    }

    /// Whether nothing more is done but what its hooks do.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::StageFailed | Self::Committed | Self::Reverted)
    }

    /// Whether the dead-man may put the prior back.
    #[must_use]
    pub const fn deadman_applies(self) -> bool {
        matches!(self, Self::Reverting | Self::Stuck) || self.is_unproven()
    }

    /// Whether the closure was begun and not yet told to stay.
    #[must_use]
    pub const fn is_unproven(self) -> bool {
        matches!(self, Self::Activating | Self::Verifying | Self::Verified)
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The new closure. For a revert of an attempt that this host never heard of: what was live when it was told.
    pub closure: StorePath,
    /// How far it is.
    pub phase: JournalPhase,
    /// The live system when the activation began. A revert only goes to this one.
    pub prior: Option<StorePath>,
    /// Whether this host recorded the prior itself, as what was live when the activation began; not somebody's word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_prior: bool,
    /// The units that had failed before the activation began; `None` where nobody could say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_before: Option<BTreeSet<String>>,
    /// The bounds, once told to activate.
    pub plan: Option<ActivationPlan>,
    /// When it was begun, for people.
    pub begun_at: Timestamp,
    /// When it was last written, for people.
    pub updated_at: Timestamp,
    /// The boot in which the marks below were set. In another boot they are past.
    pub boot_id: String,
    /// When fetching ends.
    pub stage_by: Option<BootMs>,
    /// How long fetching may take, for a start after a reboot.
    #[serde(default)]
    pub stage_seconds: u32,
    /// When the dead-man puts the prior back.
    pub deadline: Option<BootMs>,
    /// When the activation ended and the checks began.
    pub verify_from: Option<BootMs>,
    /// When the checks had passed as often as asked.
    pub bake_from: Option<BootMs>,
    /// How long going back may take before it is called stuck.
    pub revert_seconds: Option<u32>,
    /// Whether the profile was, or was about to be, moved to the closure.
    #[serde(default)]
    pub profile_moved: bool,
    /// How the switch script ended, for people.
    pub activation: Option<String>,
    /// The checks' last word.
    pub verdict: Option<Verdict>,
    /// Why it goes, or went, back.
    pub reason: Option<String>,
    /// What happened, in one line.
    pub message: Option<String>,
    /// Hooks that are still to be run. Agents from before hooks leave it out, and run none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<HooksProgress>,
    /// The hooks that failed without keeping anything from its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_trouble: Option<String>,
    /// The rollout that it is part of, for logs and traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<AttemptOrigin>,
    /// The signed manifest that the control plane named for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestRef>,
    /// What the door found in that manifest, once the activation began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Committed>,
    /// Whether it was committed before it went back: then going back is the control plane's wish and no rescue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_committed: bool,
    /// What the switch would change, as it was reported. Agents from before plans leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlanReport>,
    /// What the closure means for reboots, as it was reported. Agents from before reboots leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboots: Option<RebootReport>,
    /// Its one boot, where it makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<RebootProgress>,
}

impl Attempt {
    /// A new attempt that fetches.
    #[must_use]
    pub fn new(id: AttemptId, closure: StorePath, now: Timestamp, boot_id: &str) -> Self {
        Self {
            id,
            closure,
            phase: JournalPhase::Staging,
            prior: None,
            own_prior: false,
            failed_before: None,
            plan: None,
            begun_at: now,
            updated_at: now,
            boot_id: boot_id.to_owned(),
            stage_by: None,
            stage_seconds: 0,
            deadline: None,
            verify_from: None,
            bake_from: None,
            revert_seconds: None,
            profile_moved: false,
            activation: None,
            verdict: None,
            reason: None,
            message: None,
            hooks: None,
            hook_trouble: None,
            origin: None,
            manifest: None,
            signed: None,
            was_committed: false,
            planned: None,
            reboots: None,
            reboot: None,
        }
    }

    /// The longest run of its switch script; none where it was never told to activate.
    #[must_use]
    pub fn activation_bound(&self) -> Duration {
        let seconds = self.plan.as_ref().map_or(0, |plan| plan.activate_seconds);
        Duration::from_secs(seconds.into())
    }

    /// How long going back may take, as the control plane says; `None` where it never did.
    #[must_use]
    pub fn whole_revert_seconds(&self) -> Option<u32> {
        let planned = self.plan.as_ref().and_then(|plan| plan.revert_seconds);
        self.revert_seconds.or(planned)
    }

    fn report(&self) -> AttemptReport {
        AttemptReport {
            attempt: self.id,
            phase: self.phase.reported(),
            // Whoever has a prior was touched; before the switch nothing was.
            prior: self.prior.clone().filter(|_| !self.awaits_hooks()),
            verdict: self.verdict,
            message: self.told(),
            hooks: self.hooks_report(),
            plan: self.planned.clone(),
            reboot: self.reboots.clone(),
        }
    }

    /// Whether the dead-man's deadline has come.
    #[must_use]
    pub fn is_overdue(&self, now: BootMs) -> bool {
        self.deadline.is_none_or(|deadline| deadline <= now)
    }

    /// Whether its prior is this host's own word. Only an activation begins with a plan, also in a journal from before
    /// this was noted.
    #[must_use]
    pub const fn vouches(&self) -> bool {
        self.own_prior || self.plan.is_some()
    }
}

/// An attempt that is over: enough to refuse it, to report it, and to take a committed one back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Its id.
    pub id: AttemptId,
    /// Its closure.
    pub closure: StorePath,
    /// How it ended.
    pub phase: JournalPhase,
    /// What it went, or would go, back to.
    pub prior: Option<StorePath>,
    /// Whether this host recorded the prior itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_prior: bool,
    /// What the door found in its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Committed>,
    /// When it was last written.
    pub at: Timestamp,
    /// The checks' last word.
    pub verdict: Option<Verdict>,
    /// What happened.
    pub message: Option<String>,
    /// Its one boot, if it made one: then going back takes another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<RebootProgress>,
}

impl From<Attempt> for PastAttempt {
    fn from(attempt: Attempt) -> Self {
        let message = attempt.told();
        Self {
            id: attempt.id,
            own_prior: attempt.vouches(),
            signed: attempt.signed,
            closure: attempt.closure,
            phase: attempt.phase,
            prior: attempt.prior,
            at: attempt.updated_at,
            verdict: attempt.verdict,
            message: message.map(|text| one_line(&text, PAST_MESSAGE_CHARS)),
            reboot: attempt.reboot,
        }
    }
}

impl PastAttempt {
    fn report(&self) -> AttemptReport {
        AttemptReport {
            attempt: self.id,
            phase: self.phase.reported(),
            prior: self.prior.clone(),
            verdict: self.verdict,
            message: self.message.clone(),
            hooks: None,
            plan: None,
            reboot: None,
        }
    }

    /// Whether its prior is this host's own word. Only an activation ends with a commit, also in a journal from before
    /// this was noted.
    #[must_use]
    pub fn vouches(&self) -> bool {
        self.own_prior || self.phase == JournalPhase::Committed
    }
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The attempt under way, or the last one.
    pub current: Option<Attempt>,
    /// A stuck attempt that the current one will be activated over: until then its prior is still to be put back.
    pub unsettled: Option<Attempt>,
    /// Attempts before the current one, the newest last.
    #[serde(default)]
    pub past: Vec<PastAttempt>,
    /// Why an earlier journal could not be read, and where it is kept; until the next commit.
    pub lost: Option<String>,
    /// The signed release that was committed last: no lower number is activated again. It moves with the commit, in the
    /// same write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Committed>,
    /// When attempts had this host reboot, the newest last. Agents from before this bound leave it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reboots: Vec<Timestamp>,
}

/// What a journal knows of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalEntry<'a> {
    /// It is the current one.
    Current(&'a Attempt),
    /// It is stuck, and another one is being staged.
    Unsettled(&'a Attempt),
    /// It is over.
    Past(&'a PastAttempt),
    /// Nothing.
    Unknown,
}

impl Journal {
    /// Looks an attempt up.
    #[must_use]
    pub fn entry(&self, id: AttemptId) -> JournalEntry<'_> {
        if let Some(attempt) = self.current.as_ref().filter(|attempt| attempt.id == id) {
            return JournalEntry::Current(attempt);
        }
        if let Some(attempt) = self.unsettled.as_ref().filter(|attempt| attempt.id == id) {
            return JournalEntry::Unsettled(attempt);
        }
        self.past
            .iter()
            .rfind(|past| past.id == id)
            .map_or(JournalEntry::Unknown, JournalEntry::Past)
    }

    /// The report for the control plane: about the attempt that it asked for, if known, or else the current one.
    #[must_use]
    pub fn report(&self, requested: Option<AttemptId>) -> Option<AttemptReport> {
        let entry = requested.map_or(JournalEntry::Unknown, |id| self.entry(id));
        match (entry, &self.current) {
            (JournalEntry::Past(past), _) => Some(past.report()),
            (JournalEntry::Current(of) | JournalEntry::Unsettled(of), _)
            | (JournalEntry::Unknown, Some(of)) => Some(of.report()),
            (JournalEntry::Unknown, None) => None,
        }
    }

    /// The attempt that has begun and is neither committed nor reverted; meanwhile the host is out.
    #[must_use]
    pub fn unsettled_id(&self) -> Option<AttemptId> {
        let current = self
            .current
            .as_ref()
            .filter(|attempt| attempt.phase.is_unsettled());
        current.or(self.unsettled.as_ref()).map(|attempt| attempt.id)
    }

    /// The attempt that does something on this host just now. One whose closure only waits for the word does not.
    #[must_use]
    pub fn under_way(&self) -> Option<AttemptId> {
        let current = self.current.as_ref().filter(|attempt| {
            let waits = attempt.phase == JournalPhase::Staged || attempt.phase.is_over();
            !waits || attempt.hooks_after().is_some()
        });
        self.unsettled.as_ref().or(current).map(|attempt| attempt.id)
    }

    /// Whether this host ran or recorded the closure itself, by this journal: as the release of an activation that was
    /// begun, or as its prior.
    #[must_use]
    pub fn vouches_for(&self, path: &StorePath) -> bool {
        let begun = self.current.iter().chain(&self.unsettled);
        begun.filter(|attempt| attempt.vouches()).any(|attempt| {
            attempt.prior.as_ref() == Some(path) || (attempt.plan.is_some() && attempt.closure == *path)
        }) || self.past.iter().filter(|past| past.vouches()).any(|past| {
            past.prior.as_ref() == Some(path)
                || (past.phase == JournalPhase::Committed && past.closure == *path)
        })
    }

    /// Puts a new attempt in the current one's place. A stuck one is kept aside; any other must be settled.
    pub fn begin(&mut self, attempt: Attempt) {
        if let Some(old) = self.current.replace(attempt) {
            if old.phase.is_unsettled() && self.unsettled.is_none() {
                self.unsettled = Some(old);
            } else {
                self.archive(old);
            }
        }
    }

    /// Puts an attempt among those that are over.
    pub fn archive(&mut self, attempt: Attempt) {
        self.past.retain(|past| past.id != attempt.id);
        self.past.push(attempt.into());
        let extra = self.past.len().saturating_sub(PAST_ATTEMPTS);
        self.past.drain(..extra);
    }

    /// The closures of the last so many committed attempts, the newest first, each once.
    #[must_use]
    pub fn committed(&self, most: usize) -> Vec<StorePath> {
        let current = self.current.as_ref().map(|now| (now.phase, &now.closure));
        let past = self.past.iter().rev().map(|past| (past.phase, &past.closure));
        let mut kept: Vec<StorePath> = Vec::new();
        for (phase, closure) in current.into_iter().chain(past) {
            if phase == JournalPhase::Committed && !kept.contains(closure) && kept.len() < most {
                kept.push(closure.clone());
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests;
