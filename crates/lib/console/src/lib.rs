//! The console: pages to watch rollouts, decide and look back, served by `slipway-api` at `/`.
//!
//! A page is a client of the API within the same process. It asks the API's own router, with the token of the person who
//! looks. So every page shows what the API shows, and every button does what a route does, with the same checks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`mod@api`] | requests to the API's router |
//! | `session` | the cookie, and the secret of forms |
//! | `guard` | headers of answers, and forms from elsewhere |
//! | `ui` | who looks, and what the pages share |
//! | `form`, `draft` | what forms send, and forms as they are shown |
//! | `query` | paths with a query |
//! | `layout`, `table`, `view` | the frame of every page, its tables and its small parts |
//! | `pages` | the pages, one file a subject |
//! | `live`, `places` | news for pages that are open, and room for them |
//! | `assets` | the style sheet, the script and the icon |
//!
//! Pages are written with maud: it escapes every value, and the compiler checks the markup. The pages work without the
//! script; with it they follow what happens.

pub mod api;
mod assets;
#[cfg(test)]
mod contrast;
mod draft;
mod form;
mod guard;
mod layout;
mod live;
mod pages;
mod places;
mod query;
mod session;
mod table;
mod ui;
mod view;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use chrono::{DateTime, Utc};
use slipway_domain::RolloutId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use places::Places;

/// The most pages that one process keeps up to date. Those beyond are asked to try again.
const MAX_STREAMS: usize = 2000;
/// The most of them of one person, in however many sessions: nobody takes the places of all others.
pub const MAX_STREAMS_EACH: usize = 100;

/// Tells of the number of the newest event.
pub type News = Box<dyn Fn() -> watch::Receiver<i64> + Send + Sync>;

/// Tells of the number of a rollout's newest piece of output.
pub type PrintedNews = Box<dyn Fn(RolloutId) -> watch::Receiver<i64> + Send + Sync>;

/// Tells the time.
pub type Clock = fn() -> DateTime<Utc>;

/// What the pages need of the process that serves them.
pub struct Console {
    /// The API's router, with all its checks.
    api: Router,
    /// Subscribes to news of events.
    news: News,
    /// Subscribes to news of what a rollout's hosts print.
    printed: PrintedNews,
    /// The time, for ages on pages.
    clock: Clock,
    /// Ends the streams of news: the process stops.
    draining: CancellationToken,
    /// Room for streams of news.
    streams: Places,
}

impl Console {
    /// A console before this API.
    #[must_use]
    pub fn new(
        api: Router,
        news: News,
        printed: PrintedNews,
        clock: Clock,
        draining: CancellationToken,
    ) -> Self {
        Self {
            api,
            news,
            printed,
            clock,
            draining,
            streams: Places::new(MAX_STREAMS, MAX_STREAMS_EACH),
        }
    }

    /// All pages, and the one for a path that no page has.
    pub fn router(self) -> Router {
        pages::router(Arc::new(self))
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

pub use guard::CONTENT_SECURITY_POLICY;
