//! Names of destinations, looked up once: what was checked is what is connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use slipway_domain::message::address::is_public;

use super::Allowed;

/// Gives the addresses of a name that messages may go to, and fails when there is none.
pub(super) struct CheckedResolver {
    pub(super) allowed: Allowed,
    /// Whether public addresses are good: not for what is not encrypted.
    pub(super) public: bool,
}

/// The name leads nowhere that messages may go.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("its name leads to no address that messages may go to")]
pub(super) struct NotAllowed;

impl CheckedResolver {
    fn is_good(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        (self.allowed)(address) || self.public && is_public(address)
    }
}

/// What reqwest takes: it is shared by all requests.
pub(super) struct Shared(pub(super) Arc<CheckedResolver>);

impl Resolve for Shared {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good: Vec<SocketAddr> = found.filter(|found| resolver.is_good(found.ip())).collect();
            if good.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}
