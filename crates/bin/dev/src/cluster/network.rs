//! A network between the members: each has a namespace with an address of its own, and a bridge connects them.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::MEMBERS;
use super::files::{ETCD, ETCD_PEER};
use crate::programs;
use crate::run::Run;
use crate::spec::Spec;

/// The members' network; a member's number follows.
pub(super) const PREFIX: &str = "10.77.1.";
/// Where this program itself is in it.
pub(super) const OWN: &str = "10.77.1.254";
const BOUND: Duration = Duration::from_secs(30);
/// Namespaces end after everything in them.
const LAYER: u8 = 0;

/// A member's place in the network.
#[derive(Debug)]
pub(super) struct MemberNetwork {
    /// Its address.
    pub(super) address: String,
    /// The namespace, for those who are to run in it. It stays while this is open.
    pub(super) namespace: File,
    link: String,
    holder: String,
}

/// What is wrong with a member's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its link is down: nobody reaches it.
    Off,
    /// The other members are out of reach; others still reach it.
    Split,
    /// Only etcd is out of reach.
    Etcd,
}

/// Makes the bridge.
pub(super) async fn create(run: &Run) -> Result<()> {
    let script = "ip link set lo up; ip link add cluster type bridge; ip addr add \"$1/24\" dev cluster; \
                  ip link set cluster up";
    shell(run, "network-bridge", script, &[OWN]).await
}

impl MemberNetwork {
    /// Connects member `number` to the bridge.
    pub(super) async fn join(run: &Run, number: usize) -> Result<Self> {
        let (holder, link) = (format!("network-{number}"), format!("member-{number}"));
        let address = format!("{PREFIX}{number}");
        let spec = Spec::new(&holder, programs::find("unshare")?)
            .args([
                "--net",
                "/bin/sh",
                "-ec",
                "ip link set lo up; exec sleep infinity",
            ])
            .layer(LAYER);
        let pid = run.supervisor.spawn(spec)?;
        let path = format!("/proc/{pid}/ns/net");
        let own = std::fs::read_link("/proc/self/ns/net")?;
        let made = async || std::fs::read_link(&path).is_ok_and(|other| other != own);
        run.supervisor.wait_ready(&holder, BOUND, made).await?;
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        let script = "ip link add \"$1\" type veth peer name eth0 netns \"$2\"; \
                      ip link set \"$1\" master cluster up; \
                      nsenter --net=\"$4\" sh -ec 'ip addr add \"$1/24\" dev eth0; ip link set eth0 up' sh \"$3\"";
        let pid = pid.to_string();
        let arguments = [&link, &pid, &address, &path].map(String::as_str);
        shell(run, &format!("{holder}-link"), script, &arguments).await?;
        Ok(Self {
            address,
            namespace,
            link,
            holder,
        })
    }

    /// The file of the namespace, for programs that we start.
    pub(super) fn file(&self) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        let descriptor = self.namespace.as_raw_fd();
        PathBuf::from(format!("/proc/{}/fd/{descriptor}", std::process::id()))
    }

    /// Cuts it off.
    pub(super) async fn cut(&self, run: &Run, cut: Cut) -> Result<()> {
        if cut == Cut::Off {
            return self.set_link(run, "down").await;
        }
        let rules =
            self.rules(cut, "input", "saddr", "iifname") + &self.rules(cut, "output", "daddr", "oifname");
        let spec = Spec::new(format!("{}-cut", self.holder), programs::find("nft")?)
            .args(["-f", "-"])
            .stdin(format!("table inet faults {{\n{rules}}}\n"))
            .network(self.file());
        run.supervisor.run(spec, BOUND).await
    }

    fn rules(&self, cut: Cut, hook: &str, address: &str, interface: &str) -> String {
        let drop = if cut == Cut::Etcd {
            // Its own etcd stays in reach, over the loopback interface.
            let rule = |way: &str| format!("meta {interface} eth0 tcp {way} {{ {ETCD}, {ETCD_PEER} }} drop;");
            rule("dport") + &rule("sport")
        } else {
            let all = (1..=MEMBERS).map(|number| format!("{PREFIX}{number}"));
            let others: Vec<String> = all.filter(|other| *other != self.address).collect();
            format!("ip {address} {{ {} }} drop;", others.join(", "))
        };
        format!("chain {hook} {{ type filter hook {hook} priority 0; {drop} }}\n")
    }

    /// Connects it again.
    pub(super) async fn heal(&self, run: &Run) -> Result<()> {
        self.set_link(run, "up").await?;
        let spec = Spec::new(format!("{}-heal", self.holder), programs::find("nft")?)
            .args(["flush", "ruleset"])
            .network(self.file());
        run.supervisor.run(spec, BOUND).await
    }

    async fn set_link(&self, run: &Run, state: &str) -> Result<()> {
        let spec = Spec::new(format!("{}-{state}", self.holder), programs::find("ip")?)
            .args(["link", "set", &self.link, state]);
        run.supervisor.run(spec, BOUND).await
    }
}

async fn shell(run: &Run, name: &str, script: &str, arguments: &[&str]) -> Result<()> {
    for program in ["ip", "nft", "nsenter"] {
        programs::find(program)?;
    }
    let script = format!("PATH=$PATH:/usr/sbin:/sbin; {script}");
    let spec = Spec::new(name, "/bin/sh")
        .args(["-ec", &script, "sh"])
        .args(arguments);
    run.supervisor
        .run(spec, BOUND)
        .await
        .context("cannot make the members' network")
}
