//! The members of a cluster: who leads, as Patroni says it, and what Patroni is asked to do around a restore.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::config::{Config, Secret};
use crate::database::{DatabaseLogin, query_failed};
use crate::failure::{BackupFailure, Result, io};
use crate::secret::Hidden;

/// One answer. A member that takes longer is away.
const ANSWER: Duration = Duration::from_secs(5);
/// Patroni answers once the server runs again, which may have WAL to replay.
const RESTART: Duration = Duration::from_mins(10);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How root hands the operator's password to the server's account, which runs Patroni with it anyway.
pub(crate) const PASSWORD: &str = "SLIPWAY_BACKUP_OPERATOR_PASSWORD";

/// The cluster that this host's server is a member of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Members {
    pub(crate) name: String,
    /// This host's member.
    pub(crate) member: String,
    /// Where each member's Patroni answers, as `https://ADDRESS:PORT`.
    pub(crate) patroni: BTreeMap<String, String>,
    pub(crate) authority: PathBuf,
    /// Of this member; Patroni demands it, and the password, of those who change something.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) operator: String,
    pub(crate) operator_password_file: Secret,
}

/// What Patroni knows of the cluster.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct View {
    pub(crate) members: Vec<Seen>,
    #[serde(default, rename = "pause")]
    pub(crate) paused: bool,
}

/// What Patroni knows of a member.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) timeline: Option<u64>,
}

/// What this member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It leads, or there is no cluster.
    Leads,
    /// Another one leads, or nobody.
    Follows(Option<String>),
}

impl View {
    pub(crate) fn leader(&self) -> Option<&str> {
        let leader = self
            .members
            .iter()
            .find(|seen| matches!(seen.role.as_str(), "leader" | "standby_leader"));
        leader.map(|seen| seen.name.as_str())
    }

    pub(crate) fn seen(&self, member: &str) -> Option<&Seen> {
        self.members.iter().find(|seen| seen.name == member)
    }
}

impl Seen {
    /// Whether its server runs. Of a standby that streams Patroni may say `running` as long as nothing is written.
    pub(crate) fn runs(&self) -> bool {
        matches!(
            self.state.as_str(),
            "running" | "streaming" | "in archive recovery"
        )
    }
}

impl Place {
    /// For people: who leads.
    pub(crate) fn leader(&self) -> String {
        match self {
            Self::Leads => "this member leads".to_owned(),
            Self::Follows(Some(leader)) => format!("{leader} leads"),
            Self::Follows(None) => "no member leads".to_owned(),
        }
    }
}

/// Whether this host's server takes writes. Patroni is asked only for the name of who leads instead, or when the server does
/// not answer.
pub(crate) async fn place(config: &Config) -> Result<Place> {
    let Some(members) = &config.cluster else {
        return Ok(Place::Leads);
    };
    if matches!(in_recovery(config).await, Ok(false)) {
        return Ok(Place::Leads);
    }
    place_in(config, members.look().await).await
}

/// The same, where Patroni was asked already.
pub(crate) async fn place_in(config: &Config, seen: Result<View>) -> Result<Place> {
    let Some(members) = &config.cluster else {
        return Ok(Place::Leads);
    };
    let asked = in_recovery(config).await;
    match (&asked, seen) {
        (Ok(false), _) => Ok(Place::Leads),
        (_, Ok(view)) => match view.leader() {
            // It is about to take writes, or about to say that it does not.
            Some(leader) if leader == members.member => Ok(match asked {
                Ok(_) => Place::Follows(None),
                // The work itself says why the server does not answer.
                Err(_) => Place::Leads,
            }),
            leader => Ok(Place::Follows(leader.map(ToOwned::to_owned))),
        },
        (Ok(_), Err(_)) => Ok(Place::Follows(None)),
        (Err(failure), Err(_)) => Err(failure.clone().during(format!(
            "neither the server of {} nor any Patroni of the cluster {} answers",
            members.member, members.name
        ))),
    }
}

async fn in_recovery(config: &Config) -> Result<bool> {
    let mut connection = DatabaseLogin::of_server_as_self(config)?.connect().await?;
    sqlx::query_scalar("SELECT pg_is_in_recovery()")
        .fetch_one(&mut connection)
        .await
        .map_err(query_failed("ask whether this member leads"))
}

/// Fails on a member that does not lead, and names the one that does.
pub(crate) async fn need_leader(config: &Config, what: &str) -> Result<()> {
    let Some(members) = &config.cluster else {
        return Ok(());
    };
    match place(config).await? {
        Place::Leads => Ok(()),
        Place::Follows(Some(leader)) => Err(BackupFailure::new(format!(
            "{leader} leads the cluster {}, and {what} is for the member that leads; this one is {}",
            members.name, members.member
        ))
        .cure(format!("run it on {leader}"))),
        Place::Follows(None) => Err(BackupFailure::new(format!(
            "no member leads the cluster {} at the moment, and {what} is for the one that leads",
            members.name
        ))
        .cure("slipway-cluster status; docs/runbooks.md has what to do when nobody leads")),
    }
}

impl Members {
    /// Fails unless this host is one of them.
    pub(crate) fn check(&self) -> Result<()> {
        if self.patroni.contains_key(&self.member) {
            return Ok(());
        }
        Err(BackupFailure::new(format!(
            "`cluster.member` is {}, and `cluster.patroni` does not have it",
            self.member
        ))
        .cure("set `cluster.member` to this host's name among the members"))
    }

    fn url(&self, member: &str, path: &str) -> Result<String> {
        let base = self.patroni.get(member).ok_or_else(|| {
            BackupFailure::new(format!("the cluster {} has no member {member}", self.name))
                .cure("services.slipway.cluster.members names them")
        })?;
        Ok(format!("{base}{path}"))
    }

    fn client(&self, identity: bool) -> Result<reqwest::Client> {
        // The error means that another provider is installed, which works as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |error: reqwest::Error| {
            BackupFailure::new(format!(
                "cannot ask Patroni: {}",
                slipway_telemetry::error_chain(&error)
            ))
            .cure("see that the member's certificate is in place: journalctl -u slipway-cluster-certificate")
        };
        let read = |path: &PathBuf| std::fs::read(path).map_err(io("read", path));
        let authority = reqwest::Certificate::from_pem(&read(&self.authority)?).map_err(wrong)?;
        let mut client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .connect_timeout(ANSWER)
            .pool_max_idle_per_host(0);
        if identity {
            let mut both = read(&self.certificate)?;
            both.extend(read(&self.key)?);
            client = client.identity(reqwest::Identity::from_pem(&both).map_err(wrong)?);
        }
        client.build().map_err(wrong)
    }

    /// What a member's Patroni knows; this member's first.
    pub(crate) async fn look(&self) -> Result<View> {
        let client = self.client(false)?;
        let others = self.patroni.keys().filter(|name| **name != self.member);
        let mut why = None;
        for member in std::iter::once(&self.member).chain(others) {
            let url = self.url(member, "/cluster")?;
            let answer = async {
                client
                    .get(&url)
                    .send()
                    .await?
                    .error_for_status()?
                    .json::<View>()
                    .await
            };
            match timeout(ANSWER, answer).await {
                Ok(Ok(view)) => return Ok(view),
                Ok(Err(error)) => why.get_or_insert(slipway_telemetry::error_chain(&error)),
                Err(_) => why.get_or_insert(format!("{member} does not answer")),
            };
        }
        Err(BackupFailure::new(format!(
            "no Patroni of the cluster {} answers: {}",
            self.name,
            why.unwrap_or_default()
        ))
        .cure("systemctl status slipway-patroni, on each member"))
    }

    /// The members whose Patroni answers.
    pub(crate) async fn answering(&self) -> Result<Vec<String>> {
        let client = self.client(false)?;
        let mut found = Vec::new();
        for member in self.patroni.keys() {
            let asked = client.get(self.url(member, "/liveness")?).send();
            if matches!(timeout(ANSWER, asked).await, Ok(Ok(_))) {
                found.push(member.clone());
            }
        }
        Ok(found)
    }

    /// Looks until `done` says so. `done` returns what is missing otherwise.
    pub(crate) async fn until(
        &self,
        limit: Duration,
        done: impl Fn(&View) -> std::result::Result<(), String>,
    ) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let missing = match self.look().await {
                Ok(view) => match done(&view) {
                    Ok(()) => return Ok(()),
                    Err(missing) => missing,
                },
                Err(failure) => failure.summary(),
            };
            if Instant::now() > end {
                return Err(
                    BackupFailure::new(format!("after {}: {missing}", crate::text::duration(limit)))
                        .cure("slipway-cluster status; journalctl -u slipway-patroni"),
                );
            }
            sleep(PAUSE).await;
        }
    }

    /// Of who may change the cluster.
    pub(crate) fn password(&self) -> Result<Hidden> {
        #[expect(
            clippy::disallowed_methods,
            reason = "what this program itself hands on when root becomes the server's account"
        )]
        match std::env::var(PASSWORD) {
            Ok(password) => Ok(Hidden::new(password)),
            Err(_) => self.operator_password_file.read(),
        }
    }

    async fn change(
        &self,
        method: reqwest::Method,
        member: &str,
        path: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<()> {
        let what = format!("Patroni of {member} does not do {path}");
        let password = self.password()?;
        let request = self
            .client(true)?
            .request(method, self.url(member, path)?)
            .basic_auth(&self.operator, Some(password.expose()))
            .json(body);
        let sent = async {
            let answer = request.send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.text().await.unwrap_or_default()))
        };
        let cure = "slipway-cluster status; journalctl -u slipway-patroni, on that member";
        match timeout(limit, sent).await {
            Ok(Ok((status, _))) if status.is_success() => Ok(()),
            Ok(Ok((status, text))) => {
                Err(BackupFailure::new(format!("{what}: {status}, {}", text.trim())).cure(cure))
            }
            Ok(Err(error)) => Err(BackupFailure::new(format!(
                "{what}: {}",
                slipway_telemetry::error_chain(&error)
            ))
            .cure(cure)),
            Err(_) => {
                Err(BackupFailure::new(format!("{what} within {}", crate::text::duration(limit))).cure(cure))
            }
        }
    }

    /// Has all members leave their servers alone, or look after them again.
    pub(crate) async fn pause(&self, pause: bool) -> Result<()> {
        let body = json!({ "pause": pause.then_some(true) });
        self.change(reqwest::Method::PATCH, &self.member, "/config", &body, ANSWER * 6)
            .await
    }

    /// Whether a member acts on the pause already.
    pub(crate) async fn obeys_pause(&self, member: &str) -> bool {
        let Ok(client) = self.client(false) else {
            return false;
        };
        let Ok(url) = self.url(member, "/patroni") else {
            return false;
        };
        let asked = async { client.get(url).send().await?.json::<Value>().await };
        matches!(timeout(ANSWER, asked).await, Ok(Ok(said)) if said["pause"] == json!(true))
    }

    /// Starts this member's server, or starts it again.
    pub(crate) async fn restart(&self) -> Result<()> {
        self.change(
            reqwest::Method::POST,
            &self.member,
            "/restart",
            &json!({}),
            RESTART,
        )
        .await
    }

    /// Has a standby drop its data and copy the leader's.
    pub(crate) async fn copy_anew(&self, member: &str) -> Result<()> {
        let body = json!({ "force": true });
        self.change(reqwest::Method::POST, member, "/reinitialize", &body, ANSWER * 6)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> View {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn patronis_answer_is_understood() {
        let said = view(
            r#"{"members": [
                {"name": "ha-1", "role": "sync_standby", "state": "streaming", "timeline": 2, "lag": 0, "tags": {"x": true}},
                {"name": "ha-2", "role": "leader", "state": "running", "timeline": 2, "host": "10.1.0.22", "port": 5432},
                {"name": "ha-3", "role": "replica", "state": "start failed", "lag": "unknown"}
            ], "pause": true, "scope": "main"}"#,
        );
        assert_eq!(said.leader(), Some("ha-2"));
        assert!(said.paused && said.seen("ha-1").unwrap().runs() && !said.seen("ha-3").unwrap().runs());
        let none =
            view(r#"{"members": [{"name": "ha-1", "role": "replica", "state": "in archive recovery"}]}"#);
        assert!(none.leader().is_none() && !none.paused && none.members[0].runs());
    }

    #[test]
    fn people_are_told_who_leads() {
        assert_eq!(Place::Follows(Some("ha-2".to_owned())).leader(), "ha-2 leads");
        assert_eq!(Place::Follows(None).leader(), "no member leads");
    }
}
