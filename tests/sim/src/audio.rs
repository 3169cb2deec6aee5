//! What a browser would make of an audio slot.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::arrival::{Pace, SlotPacket};
use crate::media::{AUDIO_TICKS, Stamp};

/// What was under way when something changed has arrived after this long.
const SETTLING: Duration = Duration::from_millis(500);

/// A player of one audio slot.
#[derive(Debug)]
pub struct AudioReceiver {
    /// Packets played.
    pub packets: u64,
    /// When each publisher was heard last, and how many of its packets came.
    pub heard: BTreeMap<u32, (Instant, u64)>,
    highest: Option<(u64, u32, Stamp)>,
    /// When the server last said that something changes.
    changed: Option<Instant>,
    first: u64,
    pace: Pace,
}

impl Default for AudioReceiver {
    fn default() -> Self {
        Self {
            packets: 0,
            heard: BTreeMap::new(),
            highest: None,
            changed: None,
            first: 0,
            pace: Pace::new(48_000),
        }
    }
}

impl AudioReceiver {
    /// When the last packet came, and whose it was.
    pub fn last_packet(&self) -> Option<(Instant, u32)> {
        self.heard.iter().map(|(publisher, (at, _))| (*at, *publisher)).max()
    }

    /// Packets that never came.
    pub fn lost(&self) -> u64 {
        self.highest.map_or(0, |(highest, ..)| (highest + 1 - self.first).saturating_sub(self.packets))
    }

    /// The server says that something else flows, or the same anew: places are found by the clock for a while.
    pub(crate) fn note_change(&mut self, at: Instant) {
        self.changed = Some(at);
    }

    /// Takes a packet; an error says what a player would stumble over.
    pub(crate) fn handle(&mut self, packet: &SlotPacket<'_>) -> Result<(), String> {
        let stamp = Stamp::of_audio(packet.payload).ok_or("an audio packet without its payload")?;
        if packet.csrc != Some(stamp.publisher) {
            return Err(format!("CSRC {:?} on sound of {}", packet.csrc, stamp.publisher));
        }
        self.packets += 1;
        let heard = self.heard.entry(stamp.publisher).or_insert((packet.at, 0));
        *heard = (packet.at, heard.1 + 1);
        self.pace.check(packet.at, packet.timestamp)?;
        let Some((sequence, timestamp, before)) = self.highest else {
            self.first = packet.sequence;
            self.highest = Some((packet.sequence, packet.timestamp, stamp));
            return Ok(());
        };
        if packet.sequence <= sequence {
            self.first = self.first.min(packet.sequence);
            return Ok(());
        }
        self.highest = Some((packet.sequence, packet.timestamp, stamp));
        let ticks = packet.timestamp.wrapping_sub(timestamp);
        if ticks == 0 || ticks > i32::MAX as u32 || !ticks.is_multiple_of(AUDIO_TICKS) {
            return Err(format!("a step of {ticks} ticks between two packets of sound"));
        }
        let is_settled = self.changed.is_none_or(|at| packet.at - at > SETTLING);
        let is_next = is_settled && before.publisher == stamp.publisher && before.frame + 1 == stamp.frame;
        if is_next && packet.sequence == sequence + 1 && ticks != AUDIO_TICKS {
            return Err(format!("{ticks} ticks between two packets of sound that follow one another"));
        }
        Ok(())
    }
}
