//! Progress bars, for people.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use slipway_domain::StepState;
use slipway_wire::audit::Event;
use slipway_wire::rollout::{Rollout, Step};

use super::plain::sentence;
use super::printed::PrintedLine;
use super::wave_name;
use crate::text::clean;

/// With more hosts than this there is one line a wave, and none a host.
const MOST_HOST_LINES: usize = 24;

/// A bar of committed hosts, and below it a line for every host or wave. On stderr.
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    lines: BTreeMap<String, ProgressLine>,
    now: fn() -> DateTime<Utc>,
}

struct ProgressLine {
    bar: ProgressBar,
    shown: String,
}

/// What a line shows: its key, its text, and since when if it is still at work.
struct LineContent {
    key: String,
    text: String,
    since: Option<DateTime<Utc>>,
}

impl Bars {
    pub(super) fn new(now: fn() -> DateTime<Utc>) -> Self {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(0));
        // Nothing is known yet that a bar could show.
        total.set_style(style("{msg}"));
        total.set_message("asking the API");
        Self {
            all,
            total,
            lines: BTreeMap::new(),
            now,
        }
    }

    /// Only what the bars cannot show stays above them: changes of the rollout itself.
    pub(super) fn event(&self, event: &Event) {
        if event.event.step.is_none() && event.event.host.is_none() {
            self.at(event.at, &sentence(event));
        }
    }

    pub(super) fn printed(&self, line: &PrintedLine) {
        self.at(line.at.unwrap_or_else(self.now), &line.text);
    }

    fn at(&self, at: DateTime<Utc>, text: &str) {
        self.note(&format!("{} {text}", at.format("%H:%M:%SZ")));
    }

    pub(super) fn note(&self, text: &str) {
        // A terminal that cannot be written to any more changes nothing about the rollout.
        let _ = self.all.println(clean(text));
    }

    pub(super) fn rollout(&mut self, rollout: &Rollout) {
        let summary = &rollout.summary;
        let committed = rollout
            .steps
            .iter()
            .filter(|step| step.state == StepState::Committed);
        self.total.set_length(rollout.steps.len() as u64);
        if self.lines.is_empty() {
            let template = "{prefix} [{bar:24}] {pos}/{len} committed  {msg}  {elapsed_precise}";
            self.total.set_style(style(template));
            self.total.enable_steady_tick(Duration::from_millis(500));
        }
        self.total.set_position(committed.count() as u64);
        self.total.set_prefix(summary.environment.to_string());
        self.total.set_message(summary.state.as_str());
        let age = self.age(summary.created_at);
        self.total.set_elapsed(age);
        for content in lines(&rollout.steps) {
            self.line(content);
        }
    }

    fn line(&mut self, content: LineContent) {
        let age = content.since.map(|since| self.age(since));
        let line = self.lines.entry(content.key).or_insert_with(|| ProgressLine {
            bar: self.all.add(ProgressBar::no_length()),
            shown: String::new(),
        });
        if line.shown == content.text {
            return;
        }
        if let Some(age) = age {
            line.bar.set_style(style("{msg}  {elapsed}"));
            line.bar.set_elapsed(age);
            line.bar.enable_steady_tick(Duration::from_secs(1));
        } else {
            line.bar.disable_steady_tick();
            line.bar.set_style(style("{msg}"));
        }
        line.bar.set_message(content.text.clone());
        line.bar.tick();
        line.shown = content.text;
    }

    /// Different clocks must not lead to a negative time.
    fn age(&self, since: DateTime<Utc>) -> Duration {
        ((self.now)() - since).to_std().unwrap_or_default()
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for line in self.lines.values() {
            line.bar.finish_and_clear();
        }
        self.total.finish_and_clear();
        let _ = self.all.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are constants that the tests draw")
        .progress_chars("=> ")
}

fn lines(steps: &[Step]) -> Vec<LineContent> {
    if steps.len() <= MOST_HOST_LINES {
        return hosts(steps);
    }
    let mut waves: BTreeMap<(u32, bool), BTreeMap<&'static str, usize>> = BTreeMap::new();
    for step in steps {
        *waves
            .entry((step.wave, step.canary))
            .or_default()
            .entry(step.state.as_str())
            .or_default() += 1;
    }
    let line = |((wave, canary), states): ((u32, bool), BTreeMap<&str, usize>)| {
        let states: Vec<_> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
        LineContent {
            key: format!("{wave:06}"),
            text: format!("  {:>6}  {}", wave_name(wave, canary), states.join(", ")),
            since: None,
        }
    };
    waves.into_iter().map(line).collect()
}

fn hosts(steps: &[Step]) -> Vec<LineContent> {
    let width = steps
        .iter()
        .map(|step| step.host.as_str().len())
        .max()
        .unwrap_or(0);
    steps
        .iter()
        .map(|step| {
            let reason = step.why_with_time().map(|why| format!("  {}", clean(&why)));
            let at_work = !step.state.is_settled() && step.state != StepState::Waiting;
            LineContent {
                key: format!("{:06}-{}", step.wave, step.host),
                text: format!(
                    "  {:>6}  {:width$}  {:10}{}",
                    wave_name(step.wave, step.canary),
                    step.host,
                    step.state,
                    reason.unwrap_or_default()
                ),
                since: at_work.then_some(step.since),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(n: u32, state: StepState) -> Step {
        Step {
            host: format!("web-{n}").parse().unwrap(),
            wave: n / 10,
            group: 0,
            canary: n < 10,
            cluster: None,
            state,
            since: DateTime::UNIX_EPOCH,
            attempt: None,
            failures: 0,
            closure: "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap(),
            prior: None,
            reason: (state == StepState::Stuck).then(|| "broken\u{1b}[2J".to_owned()),
            hook: None,
            plan: None,
            checks: None,
            checks_seconds_left: None,
        }
    }

    #[test]
    fn a_small_fleet_has_a_line_a_host_and_only_work_has_a_clock() {
        let shown = lines(&[
            step(1, StepState::Committed),
            step(10, StepState::Verifying),
            step(11, StepState::Stuck),
        ]);
        let text: Vec<_> = shown.iter().map(|line| line.text.trim_end()).collect();
        assert_eq!(
            text,
            [
                "  canary  web-1   committed",
                "       1  web-10  verifying",
                "       1  web-11  stuck       broken\u{fffd}[2J"
            ]
        );
        let clocks: Vec<_> = shown.iter().map(|line| line.since.is_some()).collect();
        assert_eq!(clocks, [false, true, false]);
    }

    #[test]
    fn checks_that_fail_have_their_time_beside_them() {
        let failing = Step {
            checks: Some("the checks do not pass yet: web answered 500".to_owned()),
            checks_seconds_left: Some(38),
            ..step(1, StepState::Verifying)
        };
        let shown = lines(&[failing]).remove(0).text;
        assert!(
            shown.ends_with("38 s left: the checks do not pass yet: web answered 500"),
            "{shown}"
        );
    }

    #[test]
    fn a_large_fleet_has_a_line_a_wave() {
        let steps: Vec<_> = (0..40)
            .map(|n| {
                step(
                    n,
                    if n < 15 {
                        StepState::Committed
                    } else {
                        StepState::Waiting
                    },
                )
            })
            .collect();
        let shown: Vec<_> = lines(&steps).into_iter().map(|line| line.text).collect();
        assert_eq!(
            shown,
            [
                "  canary  10 committed",
                "       1  5 committed, 5 waiting",
                "       2  10 waiting",
                "       3  10 waiting"
            ]
        );
    }
}
