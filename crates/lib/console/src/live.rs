//! News for pages that are open: server-sent events over the event feed.
//!
//! A stream says that something happened, and the page asks for itself again. So what is shown always comes from the
//! database, and a page that was away for a while misses nothing.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Path;
use axum::http::HeaderName;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderValue, StatusCode};
use slipway_domain::RolloutId;
use slipway_wire::access::Whoami;
use slipway_wire::audit;
use slipway_wire::page::Page;
use slipway_wire::{problem, route};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::{Refused, escape, plain};
use crate::form::Fields;
use crate::places::Place;
use crate::query::Query;
use crate::ui::{Reply, Ui};

/// The least time between two pieces of news of one rollout.
const PACE: Duration = Duration::from_millis(700);
/// The same for pages that show everything.
const SLOW_PACE: Duration = Duration::from_secs(3);
/// How often the session is looked at again while nothing happens. It also tells proxies that the stream lives.
const LOOK: Duration = Duration::from_secs(20);

/// News of one rollout.
pub(crate) async fn rollout(ui: Ui, Path(id): Path<String>, query: Fields) -> Reply {
    let number = |name| query.text(name).parse().unwrap_or(0);
    let (after, heard) = (number("after"), number("printed"));
    // Whichever number or id the page has. To read the rollout itself, with all its hosts, would cost a page each time.
    let newest = Query::of(route::fill(route::ROLLOUT_EVENTS, escape(&id)))
        .with("newest_first", true)
        .with("limit", 1);
    let newest: Page<audit::Event> = ui.api.get(&newest).await?;
    let Some(id) = newest.items.first().and_then(|event| event.event.rollout) else {
        let detail = "no event tells of this rollout";
        return Err(plain(problem::kind::NOT_FOUND, StatusCode::NOT_FOUND, detail).into());
    };
    let printed = Heard {
        news: (ui.console.printed)(id),
        number: heard,
    };
    Ok(open(ui, Some((id, printed)), after, PACE))
}

/// News of everything.
pub(crate) async fn all(ui: Ui) -> Reply {
    Ok(open(ui, None, 0, SLOW_PACE))
}

/// How far a page shows what a rollout's hosts print.
struct Heard {
    /// The number of the newest piece, whichever replica took it.
    news: watch::Receiver<i64>,
    number: i64,
}

impl Heard {
    fn look(&mut self) -> bool {
        let newest = *self.news.borrow_and_update();
        let is_new = newest > self.number;
        self.number = newest.max(self.number);
        is_new
    }
}

struct Stream {
    ui: Ui,
    of: Option<(RolloutId, Heard)>,
    after: i64,
    pace: Duration,
    news: watch::Receiver<i64>,
    told: Instant,
    /// Nothing was sent yet.
    first: bool,
    _place: Place,
}

fn open(ui: Ui, of: Option<(RolloutId, Heard)>, after: i64, pace: Duration) -> Response {
    let Some(room) = ui.principal().and_then(|of| ui.console.streams.take(of)) else {
        let said = (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pages are open; this one asks again by itself",
        );
        return said.into_response();
    };
    let news = (ui.console.news)();
    let state = Stream {
        ui,
        of,
        after,
        pace,
        news,
        told: Instant::now(),
        first: true,
        _place: room,
    };
    let events = stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.next().await {
            Next::News => Some((
                Ok::<_, Infallible>(Event::default().event("news").data(state.after.to_string())),
                Some(state),
            )),
            Next::Alive => Some((Ok(Event::default().comment("alive")), Some(state))),
            Next::Over => Some((
                Ok(Event::default().event("over").data("the session is over")),
                None,
            )),
            Next::Stop => None,
        }
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(LOOK))
        .into_response();
    // nginx would hold the news back otherwise.
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

enum Next {
    News,
    Alive,
    Over,
    Stop,
}

impl Stream {
    async fn next(&mut self) -> Next {
        if std::mem::take(&mut self.first) {
            // The browser learns at once that the stream is open.
            return Next::Alive;
        }
        let draining = self.ui.console.draining.clone();
        let since = Instant::now();
        loop {
            // What happened while the page was being made counts too.
            match self.look().await {
                Ok(true) => {
                    self.told = Instant::now();
                    return Next::News;
                }
                Ok(false) if since.elapsed() >= LOOK => return Next::Alive,
                Ok(false) => {}
                Err(StatusCode::UNAUTHORIZED) => return Next::Over,
                // The database is away, say: the stream ends, and the browser opens another one.
                Err(_) => return Next::Stop,
            }
            let printed = async {
                match &mut self.of {
                    Some((_, heard)) => drop(heard.news.changed().await),
                    None => std::future::pending().await,
                }
            };
            let wait = timeout(LOOK, self.news.changed());
            tokio::select! {
                () = draining.cancelled() => return Next::Stop,
                () = printed => {}
                // Nothing happened, or the feed is gone with the process.
                _ = wait => {}
            }
            sleep_until(self.told + self.pace).await;
        }
    }

    /// Whether there is news, for whoever may still see it.
    async fn look(&mut self) -> Result<bool, StatusCode> {
        let status = |refused: Refused| {
            StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        };
        let Some((of, heard)) = &mut self.of else {
            let _: Whoami = self.ui.api.get(route::WHOAMI).await.map_err(status)?;
            let newest = *self.news.borrow_and_update();
            let is_new = self.after != 0 && newest > self.after;
            self.after = newest.max(self.after);
            return Ok(is_new);
        };
        let printed = heard.look();
        let events = route::fill(route::ROLLOUT_EVENTS, &of);
        self.news.borrow_and_update();
        let found: Page<audit::Event> = self
            .ui
            .api
            .get(&format!("{events}?after={}&limit=500", self.after))
            .await
            .map_err(status)?;
        let newest = found.items.last().map(|event| event.number);
        self.after = newest.unwrap_or(self.after);
        Ok(newest.is_some() || printed)
    }
}
