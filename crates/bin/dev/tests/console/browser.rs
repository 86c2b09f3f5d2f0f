//! A real browser, driven by chromedriver over the W3C's protocol.
//!
//! The dozen calls that these tests need are plain JSON over HTTP. A library for them brings 20 crates, among them older
//! majors of two that we have.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use slipway_dev::programs;
use slipway_dev::run::Run;
use slipway_dev::spec::Spec;

/// The longest wait for something to appear on a page.
const BOUND: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// The name of the field that holds an element's id, by the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Flags of a browser that stays on this machine and needs neither screen nor sandbox.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// What kind of person looks.
#[derive(Clone, Copy)]
pub(crate) struct Eyes {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
    pub(crate) script: bool,
}

impl Default for Eyes {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 900,
            dark: false,
            script: true,
        }
    }
}

impl Eyes {
    /// A phone: a narrow screen, here without the script.
    pub(crate) fn phone() -> Self {
        Self {
            width: 320,
            height: 640,
            script: false,
            ..Self::default()
        }
    }
}

/// Keys that are no letters, as the standard names them.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";

/// A chromedriver, and what its browsers look at.
pub(crate) struct Driver {
    http: reqwest::Client,
    url: String,
    site: String,
}

impl Driver {
    /// Started in the run, which ends it.
    pub(crate) async fn start(run: &Run, site: String) -> Self {
        let port = run.ports.reserve().unwrap();
        let program = programs::find("chromedriver").unwrap();
        let folder = run.dir.path().join("browser");
        std::fs::create_dir(&folder).unwrap();
        let spec = Spec::new("chromedriver", program)
            .args([format!("--port={port}")])
            .env("HOME", &folder)
            .env("TMPDIR", &folder);
        run.supervisor.spawn(spec).unwrap();
        let driver = Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_mins(2))
                .build()
                .unwrap(),
            url: format!("http://127.0.0.1:{port}"),
            site,
        };
        let begin = Instant::now();
        while driver
            .http
            .get(format!("{}/status", driver.url))
            .send()
            .await
            .is_err()
        {
            assert!(begin.elapsed() < BOUND, "chromedriver does not answer");
            tokio::time::sleep(LOOK).await;
        }
        driver
    }

    /// A fresh browser, which knows no cookie.
    pub(crate) async fn open(&self, eyes: Eyes) -> Browser {
        let Eyes {
            width,
            height,
            dark,
            script,
        } = eyes;
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--window-size={width},{height}"));
        let mut options = json!({ "args": flags });
        if !script {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
        if let Ok(chromium) = programs::find("chromium") {
            options["binary"] = json!(chromium);
        }
        let wish = json!({ "capabilities": { "alwaysMatch": {
            // The run's own authority is in no browser's list.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let session = call(
            &self.http,
            reqwest::Method::POST,
            &format!("{}/session", self.url),
            wish,
        )
        .await;
        let session = session.unwrap();
        let browser = Browser {
            http: self.http.clone(),
            url: format!("{}/session/{}", self.url, session["sessionId"].as_str().unwrap()),
            site: self.site.clone(),
        };
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        browser.devtools("Emulation.setEmulatedMedia", media).await;
        browser.resize(width, height).await;
        browser
    }
}

/// One window of a browser.
pub(crate) struct Browser {
    http: reqwest::Client,
    url: String,
    site: String,
}

impl Browser {
    /// Opens a path of the console.
    pub(crate) async fn open(&self, path: &str) {
        let url = format!("{}{path}", self.site);
        self.post("url", json!({ "url": url })).await.unwrap();
    }

    /// The path that is open, with its query.
    pub(crate) async fn path(&self) -> String {
        let url = self.get("url").await.as_str().unwrap().to_owned();
        url.strip_prefix(&self.site).unwrap_or(&url).to_owned()
    }

    /// The text of the page, as it is shown.
    pub(crate) async fn text(&self) -> String {
        match self.find("body").await {
            Some(body) => self.text_of(&body).await,
            None => String::new(),
        }
    }

    /// Runs a script in the page, whatever its policy says of scripts.
    pub(crate) async fn eval(&self, script: &str) -> Value {
        let call = json!({ "script": script, "args": [] });
        self.post("execute/sync", call).await.unwrap()
    }

    pub(crate) async fn click(&self, css: &str) {
        let element = self.wait_for(css).await;
        self.post(&format!("element/{element}/click"), json!({}))
            .await
            .unwrap();
    }

    /// Presses the fold or button of this name.
    pub(crate) async fn press(&self, name: &str) {
        let path = format!(
            "//*[self::summary or self::button or self::a][normalize-space()='{name}'][not(ancestor::details[not(@open)]) or self::summary]"
        );
        let begin = Instant::now();
        loop {
            let found = self
                .post("element", json!({ "using": "xpath", "value": path }))
                .await;
            if let Ok(found) = found {
                let element = found[ELEMENT].as_str().unwrap().to_owned();
                // A part of the page that was just renewed is another element.
                let clicked = self.post(&format!("element/{element}/click"), json!({})).await;
                if clicked.is_ok() {
                    return;
                }
            }
            assert!(
                begin.elapsed() < BOUND,
                "nothing called {name:?} can be pressed: {}",
                self.text().await
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let element = self.wait_for(css).await;
        self.post(&format!("element/{element}/value"), json!({ "text": text }))
            .await
            .unwrap();
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn keys(&self, keys: &[&str]) {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        let call = json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] });
        self.post("actions", call).await.unwrap();
    }

    /// Presses the tabulator until the focus is on something of this text or value; how often that took.
    pub(crate) async fn tab_to(&self, wanted: &str) {
        for _ in 0..200 {
            self.keys(&[TAB]).await;
            let focused = self
                .eval("const e = document.activeElement; return (e.name || e.textContent || '').trim()")
                .await;
            if focused == wanted {
                return;
            }
        }
        panic!("the tabulator does not lead to {wanted:?}: {}", self.text().await);
    }

    /// Waits until the page shows this text.
    pub(crate) async fn see(&self, text: &str) {
        self.see_within(text, BOUND).await;
    }

    pub(crate) async fn see_within(&self, text: &str, bound: Duration) {
        self.until(bound, &format!("show {text:?}"), |shown| shown.contains(text))
            .await;
    }

    /// Waits until the page shows this text no longer.
    pub(crate) async fn see_no(&self, text: &str) {
        self.until(BOUND, &format!("lose {text:?}"), |shown| {
            !shown.is_empty() && !shown.contains(text)
        })
        .await;
    }

    async fn until(&self, bound: Duration, what: &str, is_there: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        loop {
            let shown = self.text().await;
            if is_there(&shown) {
                return;
            }
            assert!(begin.elapsed() < bound, "the page does not {what}: {shown}");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn wait_for(&self, css: &str) -> String {
        let begin = Instant::now();
        loop {
            if let Some(found) = self.find(css).await {
                return found;
            }
            assert!(
                begin.elapsed() < BOUND,
                "there is no {css} on the page: {}",
                self.text().await
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn find(&self, css: &str) -> Option<String> {
        let wish = json!({ "using": "css selector", "value": css });
        let found = self.post("element", wish).await.ok()?;
        found[ELEMENT].as_str().map(ToOwned::to_owned)
    }

    async fn text_of(&self, element: &str) -> String {
        let url = format!("{}/element/{element}/text", self.url);
        let text = call(&self.http, reqwest::Method::GET, &url, Value::Null).await;
        text.ok()
            .and_then(|text| text.as_str().map(ToOwned::to_owned))
            .unwrap_or_default()
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// A picture of what is shown, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let call = json!({ "cmd": "Page.captureScreenshot", "params": { "format": "png" } });
        let picture = self.post("goog/cdp/execute", call).await.unwrap();
        BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser complained of since the last look.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", json!({ "type": "browser" })).await.unwrap();
        let lines = log.as_array().unwrap().iter();
        lines
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Something that only the developer's tools can do.
    pub(crate) async fn devtools(&self, command: &str, params: Value) {
        let call = json!({ "cmd": command, "params": params });
        self.post("goog/cdp/execute", call).await.unwrap();
    }

    /// Another tab of the same browser, with the same cookies.
    pub(crate) async fn new_tab(&self) -> String {
        let tab = self.post("window/new", json!({ "type": "tab" })).await.unwrap();
        tab["handle"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn tab(&self) -> String {
        self.get("window").await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn switch_to(&self, tab: &str) {
        self.post("window", json!({ "handle": tab })).await.unwrap();
    }

    pub(crate) async fn sign_in(&self, token: &str) {
        self.open("/sign-in").await;
        self.fill("input[name=token]", token).await;
        self.press("Sign in").await;
        self.see("Sign out").await;
    }

    async fn get(&self, what: &str) -> Value {
        let url = format!("{}/{what}", self.url);
        call(&self.http, reqwest::Method::GET, &url, Value::Null)
            .await
            .unwrap()
    }

    async fn post(&self, what: &str, body: Value) -> Result<Value, String> {
        let url = format!("{}/{what}", self.url);
        call(&self.http, reqwest::Method::POST, &url, body).await
    }
}

/// One call of the standard; `Err` is what the driver said.
async fn call(
    http: &reqwest::Client,
    method: reqwest::Method,
    url: &str,
    body: Value,
) -> Result<Value, String> {
    let mut request = http.request(method, url);
    if !body.is_null() {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let is_good = answer.status().is_success();
    let text = answer.text().await.map_err(|error| error.to_string())?;
    let mut answer: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    let value = answer["value"].take();
    if is_good {
        Ok(value)
    } else {
        Err(value["message"].as_str().unwrap_or(&text).to_owned())
    }
}
