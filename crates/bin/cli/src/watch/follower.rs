//! The events of a rollout, from the first one on, and where it stands.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use slipway_client::Client;
use slipway_domain::{RolloutId, RolloutState, StepState};
use slipway_wire::audit::{Event, EventQuery};
use slipway_wire::page::MAX_LIMIT;
use slipway_wire::rollout::{Rollout, Step};

use super::printed::{OutputFollower, PrintedLine};
use super::reach::{Reach, is_unknown};
use super::{POLL, POLL_OF_CHECKS, View};
use crate::{CliFailure, Exit};

/// Follows the events of one rollout.
pub(super) struct Follower<'a> {
    client: &'a Client,
    id: RolloutId,
    after: i64,
    until_paused: bool,
    /// As it was seen last.
    pub(super) last: Option<Rollout>,
    reach: Reach,
}

impl<'a> Follower<'a> {
    pub(super) fn new(client: &'a Client, id: RolloutId, until_paused: bool) -> Self {
        Self {
            client,
            id,
            after: 0,
            until_paused,
            last: None,
            reach: Reach::default(),
        }
    }

    /// Shows what happened and what hosts printed until now, by time.
    ///
    /// An API that is away is waited for with the events; what it does not tell of the output then comes later.
    pub(super) async fn catch_up(
        &mut self,
        printed: &mut OutputFollower,
        view: &RefCell<View>,
    ) -> Result<(), CliFailure> {
        let (mut events, mut lines) = (VecDeque::new(), VecDeque::new());
        let (mut more_events, mut more_lines) = (true, true);
        loop {
            while events.is_empty() && more_events {
                let page = self.events(view, None).await?;
                more_events = page.len() == MAX_LIMIT as usize;
                events.extend(page);
            }
            while lines.is_empty() && more_lines {
                let (page, more) = printed.kept().await.unwrap_or_default();
                more_lines = more;
                lines.extend(page);
            }
            let is_earlier = |line: &PrintedLine, event: &Event| line.at.is_some_and(|at| at < event.at);
            match (events.front(), lines.front()) {
                (None, None) => return Ok(()),
                (Some(event), Some(line)) if !is_earlier(line, event) => view.borrow_mut().event(event)?,
                (Some(event), None) => view.borrow_mut().event(event)?,
                (_, Some(line)) => {
                    view.borrow_mut().printed(line)?;
                    lines.pop_front();
                    continue;
                }
            }
            events.pop_front();
        }
    }

    pub(super) async fn follow(&mut self, view: &RefCell<View>) -> Result<Exit, CliFailure> {
        let mut wait = None;
        loop {
            let events = self.events(view, wait).await?;
            for event in &events {
                view.borrow_mut().event(event)?;
            }
            if events.len() == MAX_LIMIT as usize {
                // More are there already.
                wait = None;
                continue;
            }
            let rollout = self.rollout(view).await?;
            let state = rollout.summary.state;
            view.borrow_mut().rollout(&rollout)?;
            let verifies = |step: &Step| step.state == StepState::Verifying;
            wait = Some(if rollout.steps.iter().any(verifies) {
                POLL_OF_CHECKS
            } else {
                POLL
            });
            self.last = Some(rollout);
            if state.is_terminal() || (self.until_paused && self.waits_for_person(view).await?) {
                // What was written between the two questions.
                for event in &self.events(view, None).await? {
                    view.borrow_mut().event(event)?;
                }
                return Ok(Exit::of(state));
            }
        }
    }

    /// Whether a person could go on with it. No approval is taken while hosts fetch, so it does not wait for one then.
    async fn waits_for_person(&mut self, view: &RefCell<View>) -> Result<bool, CliFailure> {
        let Some(last) = &self.last else {
            return Ok(false);
        };
        match last.summary.state {
            RolloutState::Paused => return Ok(true),
            RolloutState::PendingApproval => {}
            _ => return Ok(false),
        }
        let fetches = |step: &Step| step.state.is_fetching();
        if !last.steps.iter().any(fetches) {
            return Ok(true);
        }
        // Of the others, only those that are online are waited for.
        let question = async || match self.client.rollout_host_plans(self.id).await {
            // An API from before plans asks for no approval of one.
            Err(error) if is_unknown(&error) => Ok(None),
            plans => plans.map(Some),
        };
        let plans = self
            .reach
            .ask(question, |text| view.borrow_mut().note(text))
            .await?;
        Ok(plans.is_none_or(|plans| plans.still_fetching().next().is_none()))
    }

    async fn events(
        &mut self,
        view: &RefCell<View>,
        wait: Option<Duration>,
    ) -> Result<Vec<Event>, CliFailure> {
        let query = EventQuery {
            after: Some(self.after),
            limit: Some(MAX_LIMIT),
            ..EventQuery::default()
        };
        let question = async || self.client.rollout_events(self.id, &query, wait).await;
        let page = self
            .reach
            .ask(question, |text| view.borrow_mut().note(text))
            .await?;
        self.after = page
            .items
            .last()
            .map_or(self.after, |last| last.number.max(self.after));
        Ok(page.items)
    }

    async fn rollout(&mut self, view: &RefCell<View>) -> Result<Rollout, CliFailure> {
        let question = async || self.client.rollout(self.id).await;
        self.reach
            .ask(question, |text| view.borrow_mut().note(text))
            .await
    }
}
