//! A control plane with destinations, and an outbox that empties itself.

use std::time::Duration;

use secrecy::SecretString;
use slipway_domain::decide::decide;
use slipway_domain::event::Actor;
use slipway_domain::{AttemptId, DeliveryState, Strategy};
use slipway_messages::{Limits, Messenger, Outbox};
use slipway_settings::{MailPassword, MailSettings, MessageSettings, SettingsSource};
use slipway_store::messages::{Access, Lasting, NewDestination};
use slipway_store::{EventAuthor, Store};
use slipway_testkit::{Fleet, audit_key, wait_until};
use slipway_wire::message::Delivery;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::receiver::SOON;

/// The 32 bytes of it are no secret of anybody.
pub(crate) const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) store: Store,
    pub(crate) fleet: Fleet,
    stop: CancellationToken,
}

impl World {
    /// With a fleet whose rollouts wait for approval.
    pub(crate) async fn new(pool: PgPool) -> Self {
        let store = slipway_testkit::store(&pool);
        let fleet = Fleet::of(2)
            .strategy(Strategy::default())
            .approval_required()
            .seed(&store)
            .await;
        Self {
            store,
            fleet,
            pool,
            stop: CancellationToken::new(),
        }
    }

    /// An outbox that may send to this machine.
    pub(crate) fn start(&self) {
        self.start_with(&[("MESSAGES_NETWORKS", "127.0.0.0/8")]);
    }

    pub(crate) fn start_with(&self, settings: &[(&str, &str)]) {
        let source = SettingsSource::from_map(settings.iter().copied());
        let limits = Limits {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(3),
        };
        let messenger = Messenger::new(
            &MessageSettings::from_source(&source).unwrap(),
            Some(&Url::parse("https://slipway.example.org").unwrap()),
            (
                &MailSettings::from_source(&source).unwrap(),
                &MailPassword::from_source(&source).unwrap(),
            ),
            limits,
        );
        let lasting = Lasting {
            silent_seconds: None,
            remind_seconds: 0,
        };
        let outbox = Outbox::new(self.store.clone(), audit_key(), messenger.unwrap(), lasting);
        tokio::spawn(outbox.run(self.stop.clone()));
    }

    pub(crate) async fn destination(&self, name: &str, access: Access) {
        let key = audit_key();
        let new = NewDestination {
            name: name.parse().unwrap(),
            access,
            shown: "http://127.0.0.1/…".to_owned(),
            environments: Vec::new(),
            messages: Vec::new(),
        };
        let by = EventAuthor::new(Actor::Console, &key);
        self.store.create_destination(&new, &by).await.unwrap();
    }

    /// A webhook with [`SECRET`].
    pub(crate) async fn webhook(&self, name: &str, url: impl Into<String>) {
        let access = Access::Standard {
            url: SecretString::from(url.into()),
            secret: SECRET.to_owned().into(),
        };
        self.destination(name, access).await;
    }

    /// Decides and applies until there is nothing more to decide, as a worker does.
    pub(crate) async fn decide(&self) {
        let key = audit_key();
        for lease in self.store.claim_rollouts("test", 30, 10).await.unwrap() {
            loop {
                let (snapshot, now) = self.store.load_snapshot(&lease, &key).await.unwrap();
                let changes = decide(&snapshot, now, &mut AttemptId::random);
                if changes.is_empty() {
                    break;
                }
                self.store.apply(&lease, &changes, &key).await.unwrap();
            }
        }
    }

    /// Deliveries to a destination, the oldest first.
    pub(crate) async fn deliveries(&self, name: &str) -> Vec<Delivery> {
        let id = self
            .store
            .get_destination(&name.parse().unwrap())
            .await
            .unwrap()
            .id;
        let mut all = self.store.list_deliveries(id, None, None, 100).await.unwrap();
        all.reverse();
        all
    }

    /// The oldest delivery to a destination, once it has been tried and is not under way.
    pub(crate) async fn tried(&self, name: &str, attempts: u32) -> Delivery {
        wait_until("a try", SOON, async || {
            let first = self.deliveries(name).await.into_iter().next()?;
            let is_over = first.last_error.is_some() || first.state != DeliveryState::Waiting;
            let is_still = self.none_under_way().await && self.deliveries(name).await.first() == Some(&first);
            (first.attempts >= attempts && is_over && is_still).then_some(first)
        })
        .await
    }

    async fn none_under_way(&self) -> bool {
        let under_way = "SELECT count(*) FROM deliveries WHERE leased_until > now()";
        let count: i64 = sqlx::query_scalar(under_way).fetch_one(&self.pool).await.unwrap();
        count == 0
    }

    /// As if the wait before the next try were over.
    pub(crate) async fn let_time_pass(&self) {
        let sql = "UPDATE deliveries SET next_at = now() WHERE state = 'waiting'";
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }

    /// As if what waits had been tried for a day.
    pub(crate) async fn let_a_day_pass(&self) {
        let sql = "UPDATE deliveries SET until = now(), next_at = now() WHERE state = 'waiting'";
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
