//! The members' files as Nix renders them in deploy/cluster, with this run's addresses, folders and secrets.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::MEMBERS;
use super::network::{OWN, PREFIX};
use super::patroni_program::PatroniProgram;
use crate::postgres::random_password;
use crate::programs;
use crate::run::Run;
use crate::run_dir::write_private;
use crate::service_user::own_name;
use crate::tls::Authority;

/// Where the rendered files are in the checkout.
const RENDERED: &str = "deploy/cluster";
/// What runs before Redis and Sentinel.
pub(super) const PREPARE: &str = "redis-prepare.sh";
/// Has a leader hand over whose disk fills.
pub(super) const DISK_GUARD: &str = "disk-guard.sh";
/// Who may change the cluster by Patroni.
pub(super) const OPERATOR_PASSWORD: &str = "PATRONI_RESTAPI_PASSWORD";
/// The name that only members' certificates have, as nix/cluster derives it from the cluster's.
const CLUSTER_NAME: &str = "main.cluster.internal";
/// Each member has a network of its own, so ports are those of production.
const PORTS: [(&str, u16); 10] = [
    ("@POSTGRES_PORT@", POSTGRES),
    ("@PATRONI_PORT@", PATRONI),
    ("@ETCD_CLIENT_PORT@", ETCD),
    ("@ETCD_PEER_PORT@", ETCD_PEER),
    ("@ETCD_METRICS_PORT@", 2381),
    ("@LEADER_PORT@", LEADER),
    ("@READ_PORT@", 15433),
    ("@PROXY_METRICS_PORT@", 8405),
    ("@REDIS_PORT@", REDIS),
    ("@SENTINEL_PORT@", SENTINEL),
];
pub(super) const POSTGRES: u16 = 5432;
pub(super) const PATRONI: u16 = 8008;
pub(super) const ETCD: u16 = 2379;
pub(super) const ETCD_PEER: u16 = 2380;
/// Where `HAProxy` of a member leads to the leader.
pub(super) const LEADER: u16 = 15432;
pub(super) const REDIS: u16 = 6380;
pub(super) const SENTINEL: u16 = 26379;

/// What the members share.
#[derive(Debug)]
pub(super) struct Shared {
    /// A folder with one folder a member.
    pub(super) folder: PathBuf,
    /// The authority's certificate.
    pub(super) ca: PathBuf,
    /// A certificate and its key, PEM, for those who ask members.
    pub(super) identity: (String, String),
    /// The password of the stack's Redis.
    pub(super) redis_password: String,
    /// Passwords by the variable that Patroni reads.
    pub(super) passwords: Vec<(&'static str, String)>,
    pub(super) patroni: PatroniProgram,
    rendered: PathBuf,
    authority: Authority,
}

impl Shared {
    /// Makes the authority and the passwords.
    pub(super) fn create(run: &Run, checkout: &Path) -> Result<Self> {
        let rendered = checkout.join(RENDERED);
        ensure!(
            rendered.is_dir(),
            "{} is missing: start in the checkout",
            rendered.display()
        );
        let folder = run.dir.folder("cluster", run.user.as_ref())?;
        let authority = Authority::create()?;
        let ca = folder.join("authority.pem");
        write_private(&ca, &authority.pem, run.user.as_ref())?;
        let identity = authority.sign("slipway-dev", &[CLUSTER_NAME], None)?;
        let (redis_password, redis_cluster) = (random_password()?, random_password()?);
        for (file, password) in [("shop", &redis_password), ("cluster", &redis_cluster)] {
            write_private(
                &folder.join(format!("{file}.password")),
                password,
                run.user.as_ref(),
            )?;
        }
        // The account of the members need not reach the checkout.
        for script in [PREPARE, DISK_GUARD] {
            let text = fs::read_to_string(rendered.join(script))?;
            write_private(&folder.join(script), &text, run.user.as_ref())?;
        }
        let passwords = [
            "PATRONI_REPLICATION_PASSWORD",
            "PATRONI_REWIND_PASSWORD",
            OPERATOR_PASSWORD,
        ];
        let passwords = passwords.map(|variable| Ok((variable, random_password()?)));
        let shared = Self {
            ca,
            identity,
            redis_password,
            patroni: PatroniProgram::find(&folder, run.user.as_ref())?,
            passwords: passwords.into_iter().collect::<Result<_>>()?,
            folder,
            rendered,
            authority,
        };
        write_private(
            &shared.folder.join("operator.password"),
            shared.password(OPERATOR_PASSWORD),
            run.user.as_ref(),
        )?;
        Ok(shared)
    }

    /// Writes the files and certificates of one member into its folder.
    pub(super) fn write_member(&self, run: &Run, name: &str, address: &str) -> Result<PathBuf> {
        let user = run.user.as_ref();
        let folder = run.dir.folder(&format!("cluster/{name}"), user)?;
        for part in ["etcd", "disk", "run", "redis", "sentinel", "conf"] {
            run.dir.folder(&format!("cluster/{name}/{part}"), user)?;
        }
        let names = [CLUSTER_NAME, name, address, "localhost", "127.0.0.1"];
        let (certificate, key) = self.authority.sign(name, &names, None)?;
        let both = format!("{certificate}{key}");
        let pems = [
            ("authority.pem", &self.authority.pem),
            ("certificate.pem", &certificate),
            ("key.pem", &key),
            ("identity.pem", &both),
        ];
        for (file, pem) in pems {
            write_private(&folder.join(file), pem, user)?;
        }
        let rendered = self.rendered.join(name);
        let files = fs::read_dir(&rendered).with_context(|| format!("cannot read {}", rendered.display()))?;
        for file in files {
            let file = file?;
            let text = fs::read_to_string(file.path())?;
            write_private(&folder.join(file.file_name()), &self.fill_in(run, &text)?, user)?;
        }
        std::os::unix::fs::symlink("../patroni.yaml", folder.join("conf/10-patroni.yaml"))?;
        Ok(folder)
    }

    fn fill_in(&self, run: &Run, text: &str) -> Result<String> {
        let mut text = text.to_owned();
        for number in 1..=MEMBERS {
            text = text.replace(&format!("@ADDRESS_{number}@"), &format!("{PREFIX}{number}"));
            // Postgres has a disk of its own.
            text = text.replace(&format!("/ha-{number}/data"), &format!("/ha-{number}/disk/data"));
        }
        for (name, port) in PORTS {
            text = text.replace(name, &port.to_string());
        }
        let account = match &run.user {
            Some(user) => user.name.clone(),
            None => own_name()?,
        };
        let others = [
            ("@SOURCE@", OWN.to_owned()),
            ("@LISTEN@", "127.0.0.1".to_owned()),
            ("@ACCOUNT@", account),
            ("@FOLDER@", self.folder.display().to_string()),
            ("@PROGRAMS@", programs::postgres_bin()?.display().to_string()),
        ];
        for (name, value) in others {
            text = text.replace(name, &value);
        }
        Ok(text)
    }

    /// One of the passwords.
    pub(super) fn password(&self, variable: &str) -> &str {
        let found = self.passwords.iter().find(|(name, _)| *name == variable);
        found.map_or("", |(_, password)| password)
    }
}
