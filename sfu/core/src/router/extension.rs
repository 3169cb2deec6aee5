//! Header extensions that are passed on from publisher to subscriber, each under its own id on either side.

use patchbay_wire::rtp::{ExtensionId, RtpHeader};

use super::codec::ExtensionIds;

/// Values that travel with a packet to whoever negotiated the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Passthrough {
    /// RFC 6464.
    pub(crate) audio_level: Option<[u8; 1]>,
    /// 3GPP TS 26.114.
    pub(crate) orientation: Option<[u8; 1]>,
    /// Minimum and maximum, 12 bits each.
    pub(crate) playout_delay: Option<[u8; 3]>,
}

impl Passthrough {
    /// The values of a packet, by the publisher's ids.
    #[inline]
    pub(crate) fn read(ids: &ExtensionIds, header: &RtpHeader, packet: &[u8]) -> Self {
        let mut found = Self::default();
        for (id, value) in header.extensions(packet) {
            if ids.audio_level == Some(id) {
                found.audio_level = value.first_chunk().copied();
            } else if ids.orientation == Some(id) {
                found.orientation = value.first_chunk().copied();
            } else if ids.playout_delay == Some(id) {
                found.playout_delay = value.try_into().ok();
            }
        }
        found
    }

    /// The values as they are written, by the subscriber's ids.
    #[inline]
    pub(crate) fn elements(&self, ids: &ExtensionIds) -> Elements<'_> {
        let mut elements = Elements::default();
        elements.push(ids.audio_level, self.audio_level.as_ref().map(<[u8; 1]>::as_slice));
        elements.push(ids.orientation, self.orientation.as_ref().map(<[u8; 1]>::as_slice));
        elements.push(ids.playout_delay, self.playout_delay.as_ref().map(<[u8; 3]>::as_slice));
        elements
    }
}

/// Extension elements of one packet.
#[derive(Debug, Default)]
pub(crate) struct Elements<'a> {
    items: [(u8, &'a [u8]); 3],
    len: usize,
}

impl<'a> Elements<'a> {
    /// Id and value of each.
    pub(crate) fn as_slice(&self) -> &[(u8, &'a [u8])] {
        self.items.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, id: Option<ExtensionId>, value: Option<&'a [u8]>) {
        if let (Some(id), Some(value), Some(item)) = (id, value, self.items.get_mut(self.len)) {
            *item = (id.0, value);
            self.len += 1;
        }
    }
}
