//! What hosts print, on the pages of their rollout.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use slipway_wire::route;
use sqlx::PgPool;
use tokio::time::timeout;
use tower::ServiceExt;

use super::Browser;
use crate::support::TestApp;

struct Printing {
    app: TestApp,
    token: String,
    attempt: String,
    known: usize,
}

impl Printing {
    async fn new(pool: PgPool) -> Self {
        let app = TestApp::new(pool).await;
        let token = app.fleet("prod", &["web-1", "web-2"]).await.remove(0);
        app.rollout("prod", &["web-1", "web-2"]).await;
        app.bring_steps(None, "activating").await;
        let attempt = sqlx::query_scalar(
            "SELECT attempt::text FROM steps WHERE host_id = (SELECT id FROM hosts WHERE name = 'web-1')",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap();
        Self {
            app,
            token,
            attempt,
            known: 0,
        }
    }

    async fn print(&mut self, text: &str) {
        let (start, end) = (self.known, self.known + text.len());
        let piece =
            json!({ "attempt": self.attempt, "job": "activate-1", "start": start, "end": end, "text": text });
        let call = self
            .app
            .call(Method::POST, route::AGENT_OUTPUT, &self.token, Some(piece));
        call.await.expect(200);
        self.known = end;
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn pages_show_output_as_plain_text_with_a_filter(pool: PgPool) {
    let mut printing = Printing::new(pool).await;
    let quiet = Browser::signed_in(&printing.app, &printing.app.admin).await;
    let none = quiet.get("/rollouts/1").await.text;
    assert!(!none.contains("What hosts print"), "{none}");
    let cookie = quiet.cookie.clone();
    for n in 1..=20 {
        printing.print(&format!("line {n} <b>\u{1b}[31mred</b>\n")).await;
    }
    let browser = Browser {
        app: &printing.app,
        cookie,
    };
    let page = browser.get("/rollouts/1").await.text;
    assert!(page.contains("What hosts print"), "{page}");
    assert!(
        page.contains("line 20 &lt;b&gt;red&lt;/b&gt;") && page.contains("line 9 &lt;b&gt;"),
        "{page}"
    );
    assert!(!page.contains("line 8 ") && !page.contains('\u{1b}'), "{page}");
    let all = browser.get("/rollouts/1/output").await.text;
    assert!(
        all.contains("line 1 &lt;b&gt;red") && all.contains("line 20 "),
        "{all}"
    );
    assert_eq!(all.matches("<pre").count(), 1, "pieces of one job are one text");
    let found = browser
        .get("/rollouts/1/output?host=web-1&search=LINE+13")
        .await
        .text;
    assert!(
        found.contains("line 13 ") && !found.contains("line 14 "),
        "{found}"
    );
    let none = browser
        .get("/rollouts/1/output?search=nothing+like+it")
        .await
        .text;
    assert!(none.contains("No line has this text."), "{none}");
    let none = browser.get("/rollouts/1/output?host=web-2").await.text;
    assert!(none.contains("Nothing was printed yet"), "{none}");
    for (path, status) in [
        ("/rollouts/1/output?host=web-9", 404),
        ("/rollouts/1/output?after=x", 400),
        ("/rollouts/9/output", 404),
    ] {
        assert_eq!(browser.get(path).await.status, status, "{path}");
    }
}

/// An open page hears of output, and of nothing that it shows already.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_open_page_hears_of_output(pool: PgPool) {
    let mut printing = Printing::new(pool).await;
    printing.print("before\n").await;
    let cookie = Browser::signed_in(&printing.app, &printing.app.admin)
        .await
        .cookie;
    let router = printing.app.router.clone();
    let page = {
        let browser = Browser {
            app: &printing.app,
            cookie: cookie.clone(),
        };
        browser.get("/rollouts/1").await.text
    };
    let live = page
        .split("data-live=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let live = live.replace("&amp;", "&");
    assert!(live.ends_with("&printed=1"), "{live}");
    let request = Request::get(&live).header("cookie", &cookie);
    let request = request.body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let mut next = async |within: u64| {
        let frame = timeout(Duration::from_secs(within), body.frame()).await.ok()?;
        Some(String::from_utf8(frame?.ok()?.into_data().ok()?.to_vec()).unwrap())
    };
    assert!(next(5).await.unwrap().contains("alive"));
    assert_eq!(next(2).await, None, "what is shown already is no news");
    printing.print("news\n").await;
    assert!(next(5).await.unwrap().contains("event: news"));
}
