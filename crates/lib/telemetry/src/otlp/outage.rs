//! Says once that a collector takes nothing, and once that it does again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter whose failures fill no log.
#[derive(Debug)]
pub(super) struct OutageLog<E> {
    exporter: E,
    is_away: AtomicBool,
}

impl<E> OutageLog<E> {
    pub(super) const fn new(exporter: E) -> Self {
        Self {
            exporter,
            is_away: AtomicBool::new(false),
        }
    }
}

impl<E: SpanExporter> SpanExporter for OutageLog<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        let was_away = self.is_away.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Ok(()) if was_away => {
                tracing::info!(target: "slipway_telemetry", "the collector takes traces again");
            }
            Err(error) if !was_away => tracing::warn!(
                target: "slipway_telemetry",
                spans,
                %error,
                "the collector takes no traces; they are lost until it does"
            ),
            _ => {}
        }
        // The caller would log every failure.
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use opentelemetry_sdk::error::OTelSdkError;
    use tracing::{Event, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::*;

    /// Takes what it is told to.
    #[derive(Debug)]
    struct Moody(Arc<AtomicBool>);

    impl SpanExporter for Moody {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            if self.0.load(Ordering::Relaxed) {
                Ok(())
            } else {
                Err(OTelSdkError::InternalFailure("refused".to_owned()))
            }
        }
    }

    struct Count(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_outage_is_one_line_and_its_end_another() {
        let (takes, lines) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let exporter = OutageLog::new(Moody(Arc::clone(&takes)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let subscriber = tracing_subscriber::registry().with(Count(Arc::clone(&lines)));
        tracing::subscriber::with_default(subscriber, || {
            for (mood, told) in [
                (true, 0),
                (false, 1),
                (false, 1),
                (false, 1),
                (true, 2),
                (true, 2),
                (false, 3),
            ] {
                takes.store(mood, Ordering::Relaxed);
                runtime.block_on(exporter.export(Vec::new())).unwrap();
                assert_eq!(lines.load(Ordering::Relaxed), told);
            }
        });
    }
}
