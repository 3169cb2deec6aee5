//! One connection: a stream that carries datagrams, and what waits on either side of it.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::TcpStream;
use patchbay_sfu_core::Path;

use super::counter::TcpCounters;
use super::deframer::{Deframer, Violation};
use super::frame::{PREFIX_BYTES, push_frame};

/// Frames that wait for the network. Media beyond this would only come late: half a second at 2 Mbit/s. It is dropped, and
/// asked for again or replaced by a keyframe.
const MAX_WAITING_MEDIA_BYTES: usize = 128 * 1024;
/// STUN and DTLS may wait beside the media: a check that is not answered ends the path.
const MAX_WAITING_BYTES: usize = MAX_WAITING_MEDIA_BYTES + 512 * 1024;
/// Capacity that a buffer keeps when it is empty.
const KEPT_BYTES: usize = 64 * 1024;

/// How a connection may end by what comes on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The other side or the network ended it.
    Closed,
    /// What came is not what comes here.
    Violation,
}

/// What a receive call brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receipt {
    /// There may be more.
    More,
    /// All there was.
    Drained,
}

/// Who takes datagrams.
pub(super) trait Receiver {
    /// Takes a datagram. Says whether a peer has authenticated itself on this path.
    fn take(&mut self, path: Path, datagram: &mut [u8]) -> bool;
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) path: Path,
    pub(super) number: u64,
    /// It stands in the list of those to be read.
    pub(super) is_ready: bool,
    /// It stands in the list of those to be written.
    pub(super) is_dirty: bool,
    /// The other side sends nothing more, so reading comes to an end soon, of which the poll will not tell again.
    pub(super) is_ending: bool,
    deframer: Deframer,
    /// Frames, of which the first `written` bytes are gone.
    waiting: Vec<u8>,
    written: usize,
}

impl Connection {
    /// Of the addresses of both ends, and what was read from the stream already.
    pub(super) fn new(
        stream: TcpStream,
        local: SocketAddr,
        remote: SocketAddr,
        number: u64,
        read: Vec<u8>,
    ) -> Self {
        Self {
            stream,
            path: Path::tcp(local, remote),
            number,
            is_ready: false,
            is_dirty: false,
            is_ending: false,
            deframer: Deframer::new(read),
            waiting: Vec::new(),
            written: 0,
        }
    }

    /// Whether nobody has authenticated himself on it yet.
    pub(super) fn is_stranger(&self) -> bool {
        self.deframer.is_stranger()
    }

    /// Takes what was read before the connection came here.
    pub(super) fn receive_held(
        &mut self,
        scratch: &mut [u8],
        counters: &mut TcpCounters,
        receiver: &mut impl Receiver,
    ) -> Result<(), End> {
        let held = self.deframer.held().len();
        let Some(room) = scratch.get_mut(..held) else { return Err(End::Violation) };
        room.copy_from_slice(self.deframer.held());
        self.take_frames(room, counters, receiver)
    }

    /// Reads once, and hands over every datagram that is complete. `scratch` has room for the longest frame and more.
    pub(super) fn receive(
        &mut self,
        scratch: &mut [u8],
        counters: &mut TcpCounters,
        receiver: &mut impl Receiver,
    ) -> Result<Receipt, End> {
        let held = self.deframer.held().len();
        if held >= scratch.len() {
            return Err(End::Violation);
        }
        scratch[..held].copy_from_slice(self.deframer.held());
        let length = loop {
            match self.stream.read(&mut scratch[held..]) {
                Ok(0) => return Err(End::Closed),
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Receipt::Drained),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Closed),
            }
        };
        counters.receive_calls += 1;
        let is_full = held + length == scratch.len();
        self.take_frames(&mut scratch[..held + length], counters, receiver)?;
        // A short read has emptied the socket; whatever comes later makes it readable anew.
        Ok(if is_full || self.is_ending { Receipt::More } else { Receipt::Drained })
    }

    /// Queues datagrams of `segment_size` bytes each (the last may be shorter), or a single one.
    pub(super) fn queue(&mut self, contents: &[u8], segment_size: Option<usize>, counters: &mut TcpCounters) {
        let size = segment_size.unwrap_or(contents.len()).max(1);
        for datagram in contents.chunks(size) {
            let limit = if is_media(datagram) { MAX_WAITING_MEDIA_BYTES } else { MAX_WAITING_BYTES };
            let waits = self.waiting.len() - self.written;
            if waits + PREFIX_BYTES + datagram.len() > limit || !push_frame(&mut self.waiting, datagram) {
                counters.dropped += 1;
                continue;
            }
            counters.sent += 1;
            counters.sent_bytes += datagram.len() as u64;
        }
    }

    /// Writes what waits, as far as the network takes it.
    pub(super) fn flush(&mut self, counters: &mut TcpCounters) -> Result<(), End> {
        while self.written < self.waiting.len() {
            match self.stream.write(&self.waiting[self.written..]) {
                Ok(0) => return Err(End::Closed),
                Ok(length) => {
                    counters.send_calls += 1;
                    self.written += length;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Closed),
            }
        }
        if self.written == self.waiting.len() {
            self.waiting.clear();
            self.waiting.shrink_to(KEPT_BYTES);
            self.written = 0;
        } else if self.written >= KEPT_BYTES {
            self.waiting.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    fn take_frames(
        &mut self,
        bytes: &mut [u8],
        counters: &mut TcpCounters,
        receiver: &mut impl Receiver,
    ) -> Result<(), End> {
        let was_stranger = self.is_stranger();
        let path = self.path;
        let taken = self.deframer.take_frames(bytes, |datagram| {
            counters.received += 1;
            counters.received_bytes += datagram.len() as u64;
            receiver.take(path, datagram)
        });
        counters.authenticated += u64::from(was_stranger && !self.is_stranger());
        taken.map_err(|Violation| End::Violation)
    }
}

/// RTP and RTCP by their first byte (RFC 7983 §7), which goodbyes, checks and data are not.
fn is_media(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|byte| (128..=191).contains(byte))
}
