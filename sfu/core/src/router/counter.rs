//! What a router counts. Nothing is logged per packet; this is where it shows.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters since the router was made.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Name and value of each, sorted by name.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                let mut entries = vec![$((stringify!($name), self.$name)),*];
                entries.sort_unstable();
                entries
            }

            /// Adds another router's, as when a room ends.
            pub fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.wrapping_add(other.$name);)*
            }
        }
    };
}

counters! {
    /// RTP packets taken from publishers.
    rtp_received,
    /// RTP packets given to subscribers, retransmissions aside.
    rtp_forwarded,
    /// Packets that are no RTP.
    rtp_malformed,
    /// Packets of no known track: unknown SSRC, payload type or encoding.
    rtp_unbound,
    /// Packets that had arrived before, such as a browser's probes, or came too late to be kept.
    rtp_duplicate,
    /// Packets with a payload type a slot can't carry.
    rtp_unplayable,
    /// Packets that consist of padding, left out.
    rtp_padding,
    /// Retransmissions from publishers that were of use.
    rtx_received,
    /// Retransmissions to subscribers.
    rtx_sent,
    /// Packets subscribers asked for.
    nack_received,
    /// Packets subscribers asked for that are no longer there, or that were sent in a slot without RTX.
    nack_unserved,
    /// Packets publishers were asked for.
    nack_sent,
    /// Packets that never came.
    rtp_given_up,
    /// Keyframe requests from subscribers.
    keyframe_request_received,
    /// Keyframe requests to publishers.
    keyframe_request_sent,
    /// Keyframes that began to arrive.
    keyframe_received,
    /// Slots that changed over to another source.
    slot_switched,
    /// RTCP packets that could not be read.
    rtcp_malformed,
    /// Data channel messages received.
    data_received,
    /// What was published, given to receivers: in framed mode several may share a message.
    data_forwarded,
    /// Data channel messages given to receivers.
    data_sent,
    /// What was published and a receiver had no room for, was above its rate for, or had gone before.
    data_dropped,
    /// Data channels that were refused because of a limit or a permission.
    data_refused,
    /// Data channels that were closed because their receiver did not keep up, or lost its permission.
    data_cut,
    /// Times that a message had to wait for slow receivers.
    data_blocked,
    /// Updates of kept values that a newer one replaced before a receiver had room for them.
    data_conflated,
    /// Snapshots of kept values that were begun.
    data_snapshots,
    /// Kept values that ended.
    data_ended,
    /// Of those, the ones that were not renewed in time.
    data_expired,
    /// Values that were not kept, as a topic keeps only so many.
    data_unkept,
    /// Messages that hold no frames where there should be.
    data_malformed,
    /// Messages and payloads that are too long.
    data_too_long,
    /// Messages above the rate of their participant or of the room.
    data_rate_limited,
    /// Messages without permission.
    data_not_allowed,
}
