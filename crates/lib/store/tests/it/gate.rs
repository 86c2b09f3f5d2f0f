//! A gate before Postgres that can be shut: to the program it looks as if the server went away. Or as if its machine lost power,
//! and another one took its place.

use std::net::Ipv4Addr;
use std::sync::Arc;

use slipway_testkit::free_port;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Gate {
    pub(crate) port: u16,
    target: Arc<str>,
    shut: Option<watch::Sender<()>>,
    /// How often the machine was replaced.
    machine: watch::Sender<u32>,
}

impl Gate {
    /// A gate to this address, open.
    pub(crate) async fn open(target: String) -> Self {
        let mut gate = Self {
            port: free_port(),
            target: target.into(),
            shut: None,
            machine: watch::channel(0).0,
        };
        gate.reopen().await;
        gate
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn shut(&mut self) {
        self.shut = None;
    }

    /// From now on no connection of before passes anything on, and neither end is told. New ones pass.
    pub(crate) fn replace_machine(&self) {
        self.machine.send_modify(|machine| *machine += 1);
    }

    pub(crate) async fn reopen(&mut self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        let (send, mut receive) = watch::channel(());
        let (target, machine) = (Arc::clone(&self.target), self.machine.subscribe());
        self.shut = Some(send);
        tokio::spawn(async move {
            loop {
                let mut client = tokio::select! {
                    client = listener.accept() => client.unwrap().0,
                    _ = receive.changed() => return,
                };
                let (target, mut shut) = (Arc::clone(&target), receive.clone());
                let mut machine = machine.clone();
                machine.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(&*target).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = machine.changed() => drop(shut.changed().await),
                        _ = shut.changed() => {}
                    }
                });
            }
        });
    }
}
