//! Channels as the establishment protocol has them (RFC 8832), as signaling has them, and as SCTP has them.

use patchbay_protocol::ChannelDeclaration;
use rtc_datachannel::message::Message;
use rtc_datachannel::message::message_channel_ack::DataChannelAck;
use rtc_datachannel::message::message_channel_open::{CHANNEL_PRIORITY_NORMAL, ChannelType, DataChannelOpen};
use rtc_sctp::{ReliabilityType, StreamId};
use rtc_shared::marshal::Marshal;

use super::clock::SctpClock;
use super::{ChannelInfo, MAX_CHANNELS, MAX_STREAMS, Reliability};
use crate::ChannelKey;

use bytes::Bytes;

/// Why a channel cannot be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeclareError {
    /// Another channel has the id.
    #[error("channel id {0} is taken by another channel")]
    Taken(u16),
    /// SCTP has no such stream here.
    #[error("channel id {0} is not below {MAX_STREAMS}")]
    OutOfRange(u16),
    /// There are as many channels as there may be.
    #[error("a transport has at most {MAX_CHANNELS} channels")]
    TooMany,
    /// Repetitions and lifetime are limited both.
    #[error("channel {0} limits both retransmissions and lifetime")]
    Contradictory(u16),
}

impl TryFrom<ChannelDeclaration> for ChannelInfo {
    type Error = DeclareError;

    fn try_from(it: ChannelDeclaration) -> Result<Self, DeclareError> {
        let reliability = match (it.max_retransmits, it.max_lifetime_ms) {
            (None, None) => Reliability::Reliable,
            (Some(count), None) => Reliability::MaxRetransmits(u32::from(count)),
            (None, Some(ms)) => Reliability::MaxLifetimeMs(u32::from(ms)),
            (Some(_), Some(_)) => return Err(DeclareError::Contradictory(it.id)),
        };
        let ChannelDeclaration { id, label, protocol, ordered, .. } = it;
        Ok(Self { key: ChannelKey(id), label, protocol, is_ordered: ordered, reliability })
    }
}

/// What DATA_CHANNEL_OPEN says of a channel. `None` for a type that there is not, and words that are not UTF-8.
pub(super) fn channel_info(id: StreamId, open: DataChannelOpen) -> Option<ChannelInfo> {
    let parameter = open.reliability_parameter;
    let (is_ordered, reliability) = match open.channel_type {
        ChannelType::Reliable => (true, Reliability::Reliable),
        ChannelType::ReliableUnordered => (false, Reliability::Reliable),
        ChannelType::PartialReliableRexmit => (true, Reliability::MaxRetransmits(parameter)),
        ChannelType::PartialReliableRexmitUnordered => (false, Reliability::MaxRetransmits(parameter)),
        ChannelType::PartialReliableTimed => (true, Reliability::MaxLifetimeMs(parameter)),
        ChannelType::PartialReliableTimedUnordered => (false, Reliability::MaxLifetimeMs(parameter)),
        _ => return None,
    };
    Some(ChannelInfo {
        key: ChannelKey(id),
        label: String::from_utf8(open.label).ok()?,
        protocol: String::from_utf8(open.protocol).ok()?,
        is_ordered,
        reliability,
    })
}

/// DATA_CHANNEL_OPEN.
pub(super) fn open_message(info: &ChannelInfo) -> Option<Bytes> {
    let (channel_type, reliability_parameter) = channel_type(info);
    let open = Message::DataChannelOpen(DataChannelOpen {
        channel_type,
        priority: CHANNEL_PRIORITY_NORMAL,
        reliability_parameter,
        label: info.label.clone().into_bytes(),
        protocol: info.protocol.clone().into_bytes(),
    });
    open.marshal().ok().map(|it| it.freeze())
}

/// DATA_CHANNEL_ACK.
pub(super) fn ack_message() -> Option<Bytes> {
    Message::DataChannelAck(DataChannelAck {}).marshal().ok().map(|it| it.freeze())
}

fn channel_type(info: &ChannelInfo) -> (ChannelType, u32) {
    match (info.reliability, info.is_ordered) {
        (Reliability::Reliable, true) => (ChannelType::Reliable, 0),
        (Reliability::Reliable, false) => (ChannelType::ReliableUnordered, 0),
        (Reliability::MaxRetransmits(count), true) => (ChannelType::PartialReliableRexmit, count),
        (Reliability::MaxRetransmits(count), false) => (ChannelType::PartialReliableRexmitUnordered, count),
        (Reliability::MaxLifetimeMs(ms), true) => (ChannelType::PartialReliableTimed, ms),
        (Reliability::MaxLifetimeMs(ms), false) => (ChannelType::PartialReliableTimedUnordered, ms),
    }
}

/// The policy of a stream, for a message that has waited `waited_ms` already.
pub(super) fn stream_reliability(info: &ChannelInfo, waited_ms: u64) -> (ReliabilityType, u32) {
    match info.reliability {
        Reliability::Reliable => (ReliabilityType::Reliable, 0),
        Reliability::MaxRetransmits(count) => (ReliabilityType::Rexmit, count),
        Reliability::MaxLifetimeMs(ms) => {
            (ReliabilityType::Timed, SctpClock::machine_millis(u64::from(ms).saturating_sub(waited_ms)))
        }
    }
}
