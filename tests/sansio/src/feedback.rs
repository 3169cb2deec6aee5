//! RTCP: what the peer reports on what it receives, and what it reads of the other side's reports.

use std::time::{Duration, Instant};

/// Missing packets remembered per stream.
const MAX_MISSING: usize = 256;
/// A packet is asked for so many times.
const MAX_ASKS: u8 = 10;
/// Wait between asking for a packet and asking again.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// What was found in a compound RTCP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feedback {
    /// The other side lacks this packet of ours.
    Nack { ssrc: u32, sequence: u16 },
    /// The other side wants a keyframe (PLI or FIR).
    KeyframeRequest { ssrc: u32 },
    /// The other side reports on a stream of ours.
    ReportBlock { ssrc: u32 },
    /// The other side's clock: the middle 32 bits of NTP.
    SenderReport { ssrc: u32, ntp: u32 },
}

/// Reads a compound packet (RFC 3550 §6.1, RFC 4585 §6).
pub(crate) fn read(mut compound: &[u8], mut each: impl FnMut(Feedback)) {
    while let Some((&[flags, kind, l0, l1], rest)) = compound.split_first_chunk() {
        let length = 4 * usize::from(u16::from_be_bytes([l0, l1]));
        let Some((body, further)) = rest.split_at_checked(length) else { return };
        compound = further;
        let word = |at: usize| {
            body.get(4 * at..4 * at + 4).and_then(|it| it.try_into().ok()).map(u32::from_be_bytes)
        };
        let count = flags & 0x1f;
        match (kind, count) {
            (200, _) => {
                if let (Some(ssrc), Some(high), Some(low)) = (word(0), word(1), word(2)) {
                    each(Feedback::SenderReport { ssrc, ntp: high << 16 | low >> 16 });
                }
                for block in 0..usize::from(count) {
                    word(6 + 6 * block).into_iter().for_each(|ssrc| each(Feedback::ReportBlock { ssrc }));
                }
            }
            (201, _) => {
                for block in 0..usize::from(count) {
                    word(1 + 6 * block).into_iter().for_each(|ssrc| each(Feedback::ReportBlock { ssrc }));
                }
            }
            (205, 1) => {
                let Some(ssrc) = word(1) else { continue };
                for pair in body.get(8..).unwrap_or_default().chunks_exact(4) {
                    let &[p0, p1, b0, b1] = pair else { continue };
                    let first = u16::from_be_bytes([p0, p1]);
                    let others = u16::from_be_bytes([b0, b1]);
                    each(Feedback::Nack { ssrc, sequence: first });
                    for bit in (0..16).filter(|bit| others >> bit & 1 == 1) {
                        each(Feedback::Nack { ssrc, sequence: first.wrapping_add(bit + 1) });
                    }
                }
            }
            (206, 1) => word(1).into_iter().for_each(|ssrc| each(Feedback::KeyframeRequest { ssrc })),
            (206, 4) => {
                for entry in 0..length.saturating_sub(8) / 8 {
                    word(2 + 2 * entry).into_iter().for_each(|ssrc| each(Feedback::KeyframeRequest { ssrc }));
                }
            }
            _ => {}
        }
    }
}

/// One stream that the peer receives.
pub(crate) struct Inbound {
    pub(crate) ssrc: u32,
    first: u64,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    last_report: Option<(u32, Instant)>,
    missing: Vec<Missing>,
}

struct Missing {
    index: u64,
    asks: u8,
    due: Instant,
}

impl Inbound {
    pub(crate) fn new(ssrc: u32, index: u64) -> Self {
        Self {
            ssrc,
            first: index,
            highest: index,
            received: 0,
            expected_before: 0,
            received_before: 0,
            last_report: None,
            missing: Vec::new(),
        }
    }

    /// A packet came. What lies between it and the highest so far is missing.
    pub(crate) fn receive(&mut self, now: Instant, index: u64, wants_missing: bool) {
        self.received += 1;
        if index > self.highest {
            if wants_missing {
                let from = (self.highest + 1).max(index.saturating_sub(MAX_MISSING as u64));
                self.missing.extend((from..index).map(|index| Missing { index, asks: 0, due: now }));
                let excess = self.missing.len().saturating_sub(MAX_MISSING);
                self.missing.drain(..excess);
            }
            self.highest = index;
        } else {
            self.missing.retain(|it| it.index != index);
        }
    }

    /// A retransmission brought this packet; says whether it was still wanted.
    pub(crate) fn recover(&mut self, sequence: u16) -> bool {
        let before = self.missing.len();
        self.missing.retain(|it| it.index as u16 != sequence);
        self.missing.len() < before
    }

    pub(crate) fn note_sender_report(&mut self, now: Instant, ntp: u32) {
        self.last_report = Some((ntp, now));
    }

    /// Packets that were lost for good.
    pub(crate) fn lost(&self) -> u64 {
        (self.highest + 1 - self.first).saturating_sub(self.received)
    }

    /// When a packet is to be asked for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.missing.iter().map(|it| it.due).min()
    }

    /// Appends a NACK (RFC 4585 §6.2.1) for what is due.
    pub(crate) fn write_nack(&mut self, now: Instant, sender: u32, out: &mut Vec<u8>) {
        self.missing.retain(|it| it.asks < MAX_ASKS);
        let mut pairs: Vec<(u16, u16)> = Vec::new();
        for missing in self.missing.iter_mut().filter(|it| it.due <= now) {
            missing.asks += 1;
            missing.due = now + ASK_INTERVAL;
            let sequence = missing.index as u16;
            match pairs.last_mut() {
                Some((first, others)) if (1..=16).contains(&sequence.wrapping_sub(*first)) => {
                    *others |= 1 << (sequence.wrapping_sub(*first) - 1);
                }
                _ => pairs.push((sequence, 0)),
            }
        }
        if pairs.is_empty() {
            return;
        }
        out.extend_from_slice(&[0x81, 205]);
        out.extend_from_slice(&(pairs.len() as u16 + 2).to_be_bytes());
        out.extend_from_slice(&sender.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        for (first, others) in pairs {
            out.extend_from_slice(&first.to_be_bytes());
            out.extend_from_slice(&others.to_be_bytes());
        }
    }

    /// Appends a report block (RFC 3550 §6.4.1). Jitter is not measured.
    pub(crate) fn write_block(&mut self, now: Instant, out: &mut Vec<u8>) {
        let expected = self.highest + 1 - self.first;
        let expected_now = expected - self.expected_before;
        let received_now = self.received - self.received_before;
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        (self.expected_before, self.received_before) = (expected, self.received);
        let (last, since) = self.last_report.map_or((0, 0), |(ntp, at)| {
            (ntp, (now.saturating_duration_since(at).as_secs_f64() * 65_536.0) as u32)
        });
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&((fraction as u32) << 24 | (self.lost() as u32) & 0xff_ffff).to_be_bytes());
        out.extend_from_slice(&(self.highest as u32).to_be_bytes());
        out.extend_from_slice(&0u32.to_be_bytes());
        out.extend_from_slice(&last.to_be_bytes());
        out.extend_from_slice(&since.to_be_bytes());
    }
}

/// Appends a receiver report on up to 31 streams (RFC 3550 §6.4.2).
pub(crate) fn write_receiver_report(now: Instant, sender: u32, streams: &mut [Inbound], out: &mut Vec<u8>) {
    const MAX_BLOCKS: usize = 31;
    let count = streams.len().min(MAX_BLOCKS);
    out.extend_from_slice(&[0x80 | count as u8, 201]);
    out.extend_from_slice(&(1 + 6 * count as u16).to_be_bytes());
    out.extend_from_slice(&sender.to_be_bytes());
    for stream in streams.iter_mut().take(count) {
        stream.write_block(now, out);
    }
}

/// Appends a PLI (RFC 4585 §6.3.1).
pub(crate) fn write_keyframe_request(sender: u32, ssrc: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x81, 206, 0, 2]);
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
}
