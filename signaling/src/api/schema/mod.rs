//! What requests and answers look like.

mod message;
mod participant;
mod room;
mod server;

use serde::Deserialize;
use utoipa::IntoParams;

pub(in crate::api) use message::{Call, CallResult, Data, Line, LineList, LinePage, NewLine};
pub(in crate::api) use participant::{
    GrantsBody, Mute, Participant, ParticipantList, ParticipantUpdate, Removal, Track, TrackList,
};
pub(in crate::api) use room::{IdentityText, NewRoom, Room, RoomList, RoomText, RoomUpdate};
pub(in crate::api) use server::{Connections, Minted, NewToken, Node, Revocation, Status};

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Page {
    /// How many at most.
    #[param(minimum = 1, maximum = 200, nullable = false)]
    pub(in crate::api) limit: Option<u32>,
    /// Those behind this one: `next` of the page before.
    #[param(nullable = false)]
    pub(in crate::api) after: Option<String>,
}
