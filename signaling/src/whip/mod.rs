//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): strangers' clients in the same rooms, over plain HTTP.
//!
//! A resource is a member of its room like a session, except that it hears no events. `POST` makes one, `PATCH` trickles
//! candidates and restarts ICE, `DELETE` ends it; it ends too when its transport fails. Publishers stand in the roster,
//! players are hidden, so that they don't fill it.

mod change;
mod create;
mod reply;
mod resource;
mod source;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{options, post};
use patchbay_protocol::limit;

pub(crate) use resource::{Resource, Resources};

use crate::app::App;

/// Media type of offers and answers.
const SDP: &str = "application/sdp";
/// Media type of trickled candidates (RFC 8840 §9).
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The client publishes.
    Whip,
    /// The client plays.
    Whep,
}

impl Kind {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Whip => "whip",
            Self::Whep => "whep",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Whip => "/whip",
            Self::Whep => "/whep",
        }
    }
}

/// The routes of both.
pub(crate) fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/whip/{room}", post(create::whip).options(reply::endpoint_options))
        .route("/whep/{room}", post(create::whep).options(reply::endpoint_options))
        .route(
            "/whip/{room}/{id}",
            options(reply::resource_options).patch(change::patch_whip).delete(change::delete_whip),
        )
        .route(
            "/whep/{room}/{id}",
            options(reply::resource_options).patch(change::patch_whep).delete(change::delete_whep),
        )
        .layer(DefaultBodyLimit::max(limit::SDP_BYTES))
        .layer(middleware::from_fn_with_state(app.clone(), reply::cors))
}
