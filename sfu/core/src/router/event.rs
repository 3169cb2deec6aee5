//! What a router tells signaling.

use patchbay_protocol::{Mid, ParticipantNumber, SlotState, TransportId};

use crate::{ChannelKey, TransportKey};

/// Something signaling should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterEvent {
    /// What flows in a slot changed.
    SlotChanged {
        /// Whose slot.
        transport: TransportId,
        /// The slot.
        mid: Mid,
        /// What flows now, or will as soon as it can be decoded.
        state: SlotState,
    },
    /// Who speaks now, loudest first. Said when the set of them changes, at most every 300 ms.
    Speakers(Vec<ParticipantNumber>),
    /// A data channel is no longer on its topic, and is to be closed.
    ChannelCut {
        /// Whose it is.
        transport: TransportKey,
        /// The channel.
        channel: ChannelKey,
        /// Why, for a person.
        reason: &'static str,
    },
    /// A data channel that was held because its message could not be taken may go on.
    ChannelReleased {
        /// Whose it is.
        transport: TransportKey,
        /// The channel.
        channel: ChannelKey,
    },
}
