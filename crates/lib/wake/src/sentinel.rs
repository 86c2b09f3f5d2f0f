//! Sentinels: servers that agree on where the primary is.
//!
//! One of them may be away, stale or wrong. So all are asked at once, and what most say is tried first. The server itself has
//! the last word on whether it is the primary. With TLS its certificate says whether it is ours.

use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisConnectionInfo, ServerErrorKind};

use crate::cause::ConnectError;
use crate::place::{Dialer, Place};

/// The Sentinels of one primary.
pub(crate) struct Sentinels {
    name: String,
    login: RedisConnectionInfo,
    nodes: Vec<Node>,
}

struct Node {
    place: Place,
    /// Kept, since it is used every few seconds.
    connection: Option<MultiplexedConnection>,
}

/// What one Sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    primary: Place,
    /// Grows with every change of the primary.
    epoch: u64,
}

/// Where the primary may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// At least one; the most likely first.
    pub(crate) places: Vec<Place>,
    /// Whether more than half of all Sentinels name the first.
    pub(crate) agreed: bool,
}

impl Sentinels {
    pub(crate) fn new(name: &str, nodes: &[(String, u16)], login: RedisConnectionInfo) -> Self {
        let nodes = nodes.iter().map(|(host, port)| Node {
            place: Place::Tcp {
                host: host.clone(),
                port: *port,
            },
            connection: None,
        });
        Self {
            name: name.to_owned(),
            login,
            nodes: nodes.collect(),
        }
    }

    /// Asks all at once, until more than half agree or each has answered or failed.
    pub(crate) async fn ask(&mut self, dialer: &Dialer) -> Result<Candidates, ConnectError> {
        let (name, login, count) = (&self.name, &self.login, self.nodes.len());
        let mut asked: FuturesUnordered<_> = self
            .nodes
            .iter_mut()
            .map(|node| node.ask(name, login, dialer))
            .collect();
        let (mut answers, mut trouble) = (Vec::new(), None);
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(answer) => answers.push(answer),
                // A name that is not known says more than a Sentinel that is away.
                Err(error @ ConnectError::UnknownPrimary { .. }) => trouble = Some(error),
                Err(error) => trouble = trouble.or(Some(error)),
            }
            if let Some(candidates) = weigh(&answers, count).filter(|candidates| candidates.agreed) {
                return Ok(candidates);
            }
        }
        weigh(&answers, count).ok_or_else(|| ConnectError::NoSentinel {
            count,
            name: name.clone(),
            source: trouble.map(Box::new),
        })
    }
}

impl Node {
    async fn ask(
        &mut self,
        name: &str,
        login: &RedisConnectionInfo,
        dialer: &Dialer,
    ) -> Result<Answer, ConnectError> {
        // A kept connection may be dead, and its Sentinel alive.
        if let Some(connection) = self.connection.take()
            && let Ok(answer) = self.ask_over(connection, name).await
        {
            return Ok(answer);
        }
        let connection = dialer.open(&self.place, login).await?;
        self.ask_over(connection, name).await
    }

    /// Keeps the connection if there was an answer: it is gone if this is cancelled.
    async fn ask_over(
        &mut self,
        mut connection: MultiplexedConnection,
        name: &str,
    ) -> Result<Answer, ConnectError> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(name);
        let facts: HashMap<String, String> = match command.query_async(&mut connection).await {
            Ok(facts) => facts,
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => {
                let place = self.place.clone();
                return Err(if error.to_string().contains("No such master") {
                    self.connection = Some(connection);
                    ConnectError::UnknownPrimary {
                        place,
                        name: name.to_owned(),
                    }
                } else {
                    ConnectError::NotSentinel(place)
                });
            }
            Err(error) => return Err(ConnectError::refused(&self.place, error, true)),
        };
        let answer = read(&facts).ok_or_else(|| ConnectError::NotSentinel(self.place.clone()))?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn read(facts: &HashMap<String, String>) -> Option<Answer> {
    Some(Answer {
        primary: Place::Tcp {
            host: facts.get("ip").filter(|host| !host.is_empty())?.clone(),
            port: facts.get("port")?.parse().ok().filter(|port| *port > 0)?,
        },
        epoch: facts
            .get("config-epoch")
            .and_then(|epoch| epoch.parse().ok())
            .unwrap_or_default(),
    })
}

/// What most say first; among those that as many say, what the newest says.
fn weigh(answers: &[Answer], sentinels: usize) -> Option<Candidates> {
    let mut votes: Vec<(usize, u64, &Place)> = Vec::new();
    for answer in answers {
        match votes.iter_mut().find(|(_, _, place)| *place == &answer.primary) {
            Some((count, epoch, _)) => (*count, *epoch) = (*count + 1, (*epoch).max(answer.epoch)),
            None => votes.push((1, answer.epoch, &answer.primary)),
        }
    }
    votes.sort_by_key(|(count, epoch, _)| std::cmp::Reverse((*count, *epoch)));
    let most = votes.first()?.0;
    Some(Candidates {
        agreed: most > sentinels / 2,
        places: votes.into_iter().map(|(_, _, place)| place.clone()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(host: &str, epoch: u64) -> Answer {
        let primary = Place::Tcp {
            host: host.to_owned(),
            port: 6380,
        };
        Answer { primary, epoch }
    }

    fn weighed(answers: &[(&str, u64)], sentinels: usize) -> Option<(Vec<String>, bool)> {
        let answers: Vec<_> = answers.iter().map(|(host, epoch)| answer(host, *epoch)).collect();
        let candidates = weigh(&answers, sentinels)?;
        let hosts = candidates.places.iter().map(|place| match place {
            Place::Tcp { host, .. } => host.clone(),
            Place::Unix(_) => unreachable!("a Sentinel names no socket"),
        });
        Some((hosts.collect(), candidates.agreed))
    }

    #[test]
    fn most_sentinels_are_believed_before_the_newest() {
        let hosts = |hosts: &[&str]| hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(weighed(&[], 3), None);
        // One that is stale, or that claims to know it better than anybody.
        for alone in [0, u64::MAX] {
            assert_eq!(
                weighed(&[("b", alone), ("a", 4), ("a", 4)], 3),
                Some((hosts(&["a", "b"]), true))
            );
        }
        // In the middle of a change, or with one away: the newest first, and nobody is driven away by it.
        assert_eq!(
            weighed(&[("a", 4), ("b", 5)], 3),
            Some((hosts(&["b", "a"]), false))
        );
        assert_eq!(weighed(&[("a", 4)], 3), Some((hosts(&["a"]), false)));
        assert_eq!(weighed(&[("a", 4)], 1), Some((hosts(&["a"]), true)));
        assert_eq!(
            weighed(&[("a", 1), ("a", 1)], 4),
            Some((hosts(&["a"]), false)),
            "half is not most"
        );
    }

    #[test]
    fn an_answer_without_a_place_is_none() {
        let facts = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()));
            read(&pairs.collect())
        };
        let good = [("ip", "10.0.0.1"), ("port", "6380"), ("config-epoch", "7")];
        assert_eq!(facts(&good), Some(answer("10.0.0.1", 7)));
        assert_eq!(facts(&good[..2]), Some(answer("10.0.0.1", 0)));
        for wrong in [
            [("ip", ""), ("port", "6380")],
            [("ip", "10.0.0.1"), ("port", "0")],
            [("ip", "10.0.0.1"), ("port", "x")],
        ] {
            assert_eq!(facts(&wrong), None, "{wrong:?}");
        }
        assert_eq!(facts(&good[1..]), None);
    }
}
