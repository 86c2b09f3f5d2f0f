//! The recorder, and the golden signals of HTTP: traffic, errors, latency and saturation.

use std::thread;
use std::time::{Duration, Instant};

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use http::Method;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::collect::{Collectors, Family};
use crate::{TelemetryError, process};

/// Requests answered, by `method`, `route` and `status` (traffic and errors).
const HTTP_REQUESTS_TOTAL: &str = "http_requests_total";
/// Seconds from a request's head to its answer's head, by `method` and `route` (latency).
const HTTP_REQUEST_DURATION_SECONDS: &str = "http_request_duration_seconds";
/// Requests under way (saturation).
const HTTP_REQUESTS_IN_FLIGHT: &str = "http_requests_in_flight";
/// Always 1; `service` and `version` say what runs.
const BUILD_INFO: &str = "build_info";

/// How often recorded durations are folded into buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// What counts a request that was cut before its answer: the client was gone, or the process stopped.
const STATUS_CUT: &str = "499";
/// Seconds; from a cached answer to a long poll at the request's time limit.
const BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];

/// Everything recorded in this process, as text for Prometheus.
#[derive(Clone)]
pub struct MetricsHandle {
    recorded: PrometheusHandle,
    collectors: Collectors,
}

impl MetricsHandle {
    /// The text form, with the process's own numbers brought up to date.
    #[must_use]
    pub fn render(&self) -> String {
        process::record();
        // Collectors may also record.
        let collected = self.collectors.render();
        self.recorded.render() + &collected
    }

    /// Calls `collector` at every scrape and shows what it gives. It must not wait.
    pub fn collect(&self, collector: impl Fn() -> Vec<Family> + Send + Sync + 'static) {
        self.collectors.add(Box::new(collector));
    }

    /// Calls `record` before every scrape, to bring recorded numbers up to date. It must not wait.
    pub fn before_scrape(&self, record: impl Fn() + Send + Sync + 'static) {
        self.collect(move || {
            record();
            Vec::new()
        });
    }
}

/// Installs the recorder of the whole process. To be called once, before anything is recorded.
///
/// Every histogram whose name ends in `_seconds` has buckets from 5 ms to 120 s. Recorded durations would pile up until
/// somebody scrapes them, so a thread folds them into their buckets, whether there is a listener or not.
pub fn install_metrics(service: &'static str) -> Result<MetricsHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(TelemetryError::Recorder)?;
    let own = handle.clone();
    let upkeep = move || {
        loop {
            thread::sleep(UPKEEP);
            own.run_upkeep();
        }
    };
    // It ends with the process: there is nothing to wait for.
    thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(upkeep)
        .map_err(TelemetryError::Upkeep)?;
    describe_counter!(HTTP_REQUESTS_TOTAL, "Requests answered.");
    describe_histogram!(
        HTTP_REQUEST_DURATION_SECONDS,
        Unit::Seconds,
        "Seconds from a request's head to its answer's head."
    );
    describe_gauge!(HTTP_REQUESTS_IN_FLIGHT, "Requests under way.");
    describe_gauge!(BUILD_INFO, "Always 1; the labels say what runs.");
    gauge!(BUILD_INFO, "service" => service, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    process::describe();
    Ok(MetricsHandle {
        recorded: handle,
        collectors: Collectors::default(),
    })
}

/// One request under way. Recorded when it is finished, or as cut (status 499) when it is dropped before.
#[must_use = "a request that is dropped at once counts as cut"]
pub struct HttpRequest {
    method: &'static str,
    route: String,
    start: Instant,
    status: Option<u16>,
}

impl HttpRequest {
    /// Begins to count. `route` is the pattern, such as `/api/v1/hosts/{name}`, never the path: each value is a time
    /// series of its own. For a path without a route pass something constant.
    pub fn begin(method: &Method, route: impl Into<String>) -> Self {
        gauge!(HTTP_REQUESTS_IN_FLIGHT).increment(1.0);
        Self {
            method: known(method),
            route: route.into(),
            start: Instant::now(),
            status: None,
        }
    }

    /// Records the answer's status, and returns how long it took.
    #[expect(
        clippy::must_use_candidate,
        reason = "it is called to record; the time is a by-product"
    )]
    pub fn finish(mut self, status: u16) -> Duration {
        self.status = Some(status);
        self.start.elapsed()
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        let status = self
            .status
            .map_or_else(|| STATUS_CUT.to_owned(), |status| status.to_string());
        let route = std::mem::take(&mut self.route);
        gauge!(HTTP_REQUESTS_IN_FLIGHT).decrement(1.0);
        histogram!(HTTP_REQUEST_DURATION_SECONDS, "method" => self.method, "route" => route.clone())
            .record(self.start.elapsed());
        counter!(HTTP_REQUESTS_TOTAL, "method" => self.method, "route" => route, "status" => status)
            .increment(1);
    }
}

/// A client may invent methods; labels must not grow with them.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
