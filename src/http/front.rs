//! The ingress' listener: Backstage's bus where it is configured, and the topics.

use std::net::IpAddr;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming as Body;

use super::bus::BusDoor;
use super::ingest::{Ingest, ThreadLane};
use super::reply::Answer;
use super::server::Service;

/// See the module.
#[derive(Debug)]
pub struct Front {
    /// The topics.
    pub ingest: Arc<Ingest>,
    /// The bus.
    pub bus: Option<Arc<BusDoor>>,
}

impl Service for Front {
    type Local = ThreadLane;

    fn local(&self) -> ThreadLane {
        self.ingest.local()
    }

    async fn answer(&self, local: &ThreadLane, request: Request<Body>, peer: Option<IpAddr>) -> Answer {
        let Some(bus) = &self.bus else { return self.ingest.answer(local, request, peer).await };
        match bus.take(request, &local.0, self.ingest.is_closed()).await {
            Ok(answer) => answer,
            Err(request) => self.ingest.answer(local, request, peer).await,
        }
    }

    fn connections(&self, change: i64) {
        self.ingest.connections(change);
    }

    fn unreadable(&self, status: u16) {
        self.ingest.unreadable(status);
    }
}
