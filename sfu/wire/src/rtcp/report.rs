//! Reports, source description and goodbye (RFC 3550 §6.4–§6.6).
use super::packet::{write_header, write_packet};
use super::{GOODBYE, NtpTime, RECEIVER_REPORT, SENDER_REPORT, SOURCE_DESCRIPTION};
use crate::rtp::{ExtendedSequence, RtpTimestamp, Ssrc};

/// Most blocks or sources one packet can count.
const MAX_COUNT: usize = 31;
const BLOCK_LEN: usize = 24;
const SENDER_INFO_LEN: usize = 20;

/// What a sender says about its stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Wall clock time of the report.
    pub ntp: NtpTime,
    /// The same moment on the stream's RTP clock.
    pub rtp: RtpTimestamp,
    /// Packets sent since the stream began, modulo 2^32.
    pub packet_count: u32,
    /// Payload bytes sent since the stream began, modulo 2^32.
    pub octet_count: u32,
}

/// What a receiver says about one stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the stream began; 24 bits signed, so duplicates can make it negative.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with the low 16 bits of its roll-over counter.
    pub highest_sequence: u32,
    /// Interarrival jitter in ticks of the stream's RTP clock.
    pub jitter: u32,
    /// [`NtpTime::middle`] of the last sender report received; 0 if there was none.
    pub last_sender_report: u32,
    /// Time since that report in units of 1/65,536 s; 0 if there was none.
    pub delay_since_last: u32,
}

impl ReportBlock {
    /// What goes into [`highest_sequence`](Self::highest_sequence) for an extended sequence number.
    #[must_use]
    pub const fn highest_sequence_of(index: ExtendedSequence) -> u32 {
        index.0 as u32
    }

    fn parse(bytes: &[u8; BLOCK_LEN]) -> Self {
        let [
            s0,
            s1,
            s2,
            s3,
            fraction_lost,
            l0,
            l1,
            l2,
            h0,
            h1,
            h2,
            h3,
            j0,
            j1,
            j2,
            j3,
            r0,
            r1,
            r2,
            r3,
            d0,
            d1,
            d2,
            d3,
        ] = *bytes;
        Self {
            ssrc: Ssrc(u32::from_be_bytes([s0, s1, s2, s3])),
            fraction_lost,
            cumulative_lost: i32::from_be_bytes([l0, l1, l2, 0]) >> 8,
            highest_sequence: u32::from_be_bytes([h0, h1, h2, h3]),
            jitter: u32::from_be_bytes([j0, j1, j2, j3]),
            last_sender_report: u32::from_be_bytes([r0, r1, r2, r3]),
            delay_since_last: u32::from_be_bytes([d0, d1, d2, d3]),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
        out.extend_from_slice(&self.ssrc.0.to_be_bytes());
        out.extend_from_slice(
            &(lost as u32 & 0x00ff_ffff | u32::from(self.fraction_lost) << 24).to_be_bytes(),
        );
        out.extend_from_slice(&self.highest_sequence.to_be_bytes());
        out.extend_from_slice(&self.jitter.to_be_bytes());
        out.extend_from_slice(&self.last_sender_report.to_be_bytes());
        out.extend_from_slice(&self.delay_since_last.to_be_bytes());
    }
}

/// Iterator over the blocks of a report.
#[derive(Clone, Debug)]
pub struct ReportBlocks<'a> {
    rest: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    /// Takes `count` blocks off the front of `body`; `None` if there are fewer. Profile-specific extensions after them
    /// are ignored.
    fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        Some(Self { rest: body.get(..usize::from(count) * BLOCK_LEN)? })
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(ReportBlock::parse(block))
    }
}

/// A sender report.
#[derive(Clone, Debug)]
pub struct SenderReport<'a> {
    /// The stream that is reported by its sender.
    pub sender: Ssrc,
    /// What the sender says about it.
    pub info: SenderInfo,
    blocks: ReportBlocks<'a>,
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (sender, rest) = split_ssrc(body)?;
        let (info, rest) = rest.split_first_chunk::<SENDER_INFO_LEN>()?;
        let [n0, n1, n2, n3, n4, n5, n6, n7, r0, r1, r2, r3, p0, p1, p2, p3, o0, o1, o2, o3] = *info;
        let info = SenderInfo {
            ntp: NtpTime(u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7])),
            rtp: RtpTimestamp(u32::from_be_bytes([r0, r1, r2, r3])),
            packet_count: u32::from_be_bytes([p0, p1, p2, p3]),
            octet_count: u32::from_be_bytes([o0, o1, o2, o3]),
        };
        Some(Self { sender, info, blocks: ReportBlocks::parse(count, rest)? })
    }

    /// What the sender says about streams it receives.
    #[must_use]
    pub fn blocks(&self) -> ReportBlocks<'a> {
        self.blocks.clone()
    }
}

/// A receiver report.
#[derive(Clone, Debug)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub sender: Ssrc,
    blocks: ReportBlocks<'a>,
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (sender, rest) = split_ssrc(body)?;
        Some(Self { sender, blocks: ReportBlocks::parse(count, rest)? })
    }

    /// What it says about streams it receives.
    #[must_use]
    pub fn blocks(&self) -> ReportBlocks<'a> {
        self.blocks.clone()
    }
}

/// Streams that have ended.
#[derive(Clone, Debug)]
pub struct Bye<'a> {
    sources: Ssrcs<'a>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        Some(Self { sources: Ssrcs { rest: body.get(..usize::from(count) * 4)? } })
    }

    /// The streams.
    #[must_use]
    pub fn sources(&self) -> Ssrcs<'a> {
        self.sources.clone()
    }
}

/// Iterator over a list of SSRCs.
#[derive(Clone, Debug)]
pub struct Ssrcs<'a> {
    pub(super) rest: &'a [u8],
}

impl Iterator for Ssrcs<'_> {
    type Item = Ssrc;

    fn next(&mut self) -> Option<Ssrc> {
        let (ssrc, rest) = split_ssrc(self.rest)?;
        self.rest = rest;
        Some(ssrc)
    }
}

/// Takes an SSRC off the front.
pub(super) fn split_ssrc(body: &[u8]) -> Option<(Ssrc, &[u8])> {
    let (bytes, rest) = body.split_first_chunk()?;
    Some((Ssrc(u32::from_be_bytes(*bytes)), rest))
}

/// Appends a sender report. Blocks beyond 31 go into receiver reports after it.
pub fn write_sender_report(sender: Ssrc, info: &SenderInfo, blocks: &[ReportBlock], out: &mut Vec<u8>) {
    let (first, others) = blocks.split_at_checked(MAX_COUNT).unwrap_or((blocks, &[]));
    write_packet(first.len() as u8, SENDER_REPORT, out, |out| {
        out.extend_from_slice(&sender.0.to_be_bytes());
        out.extend_from_slice(&info.ntp.0.to_be_bytes());
        out.extend_from_slice(&info.rtp.0.to_be_bytes());
        out.extend_from_slice(&info.packet_count.to_be_bytes());
        out.extend_from_slice(&info.octet_count.to_be_bytes());
        first.iter().for_each(|block| block.write(out));
    });
    if !others.is_empty() {
        write_receiver_report(sender, others, out);
    }
}

/// Appends a receiver report, or several when there are more than 31 blocks. Without blocks it is still a report:
/// every compound packet begins with one (RFC 3550 §6.1).
pub fn write_receiver_report(sender: Ssrc, blocks: &[ReportBlock], out: &mut Vec<u8>) {
    let mut rest = blocks;
    loop {
        let (now, later) = rest.split_at_checked(MAX_COUNT).unwrap_or((rest, &[]));
        write_packet(now.len() as u8, RECEIVER_REPORT, out, |out| {
            out.extend_from_slice(&sender.0.to_be_bytes());
            now.iter().for_each(|block| block.write(out));
        });
        if later.is_empty() {
            return;
        }
        rest = later;
    }
}

/// Appends a source description with one canonical name, cut to 255 bytes (RFC 3550 §6.5.1).
pub fn write_sdes_cname(ssrc: Ssrc, cname: &str, out: &mut Vec<u8>) {
    const CNAME: u8 = 1;
    let cname = cname.as_bytes();
    let cname = cname.get(..255).unwrap_or(cname);
    write_packet(1, SOURCE_DESCRIPTION, out, |out| {
        out.extend_from_slice(&ssrc.0.to_be_bytes());
        out.extend_from_slice(&[CNAME, cname.len() as u8]);
        out.extend_from_slice(cname);
        // The list of items ends with at least one zero byte, and padding to a word adds the rest.
        out.push(0);
    });
}

/// Appends goodbyes for these streams; nothing if there are none.
pub fn write_bye(sources: &[Ssrc], out: &mut Vec<u8>) {
    for sources in sources.chunks(MAX_COUNT) {
        write_header(sources.len() as u8, GOODBYE, sources.len(), out);
        sources.iter().for_each(|source| out.extend_from_slice(&source.0.to_be_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{RtcpPacket, packets};

    fn block(n: u32) -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(n),
            fraction_lost: n as u8,
            cumulative_lost: n as i32 - 40,
            highest_sequence: n << 16 | 7,
            jitter: 3,
            last_sender_report: 0xb705_2000,
            delay_since_last: 0x5_4000,
        }
    }

    #[test]
    fn reports_round_trip_and_spill_over() {
        let info =
            SenderInfo { ntp: NtpTime(1 << 40 | 5), rtp: RtpTimestamp(9), packet_count: 10, octet_count: 11 };
        for count in [0, 1, 31, 32, 70] {
            let blocks: Vec<_> = (0..count).map(block).collect();
            let mut out = Vec::new();
            write_sender_report(Ssrc(1), &info, &blocks, &mut out);
            let mut read = Vec::new();
            for (at, packet) in packets(&out).enumerate() {
                match packet.unwrap() {
                    RtcpPacket::SenderReport(report) if at == 0 => {
                        assert_eq!((report.sender, report.info), (Ssrc(1), info));
                        read.extend(report.blocks());
                    }
                    RtcpPacket::ReceiverReport(report) if at > 0 => {
                        assert_eq!(report.sender, Ssrc(1));
                        read.extend(report.blocks());
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(read, blocks);
        }
    }

    #[test]
    fn an_empty_receiver_report_is_a_report() {
        let mut out = Vec::new();
        write_receiver_report(Ssrc(5), &[], &mut out);
        assert_eq!(out, [0x80, 201, 0, 1, 0, 0, 0, 5]);
    }

    #[test]
    fn cumulative_loss_is_24_bits_signed() {
        for (lost, expected) in [(-1, -1), (i32::MIN, -0x80_0000), (i32::MAX, 0x7f_ffff), (5, 5)] {
            let mut out = Vec::new();
            ReportBlock { cumulative_lost: lost, fraction_lost: 0xff, ..block(1) }.write(&mut out);
            let read = ReportBlock::parse(out.first_chunk().unwrap());
            assert_eq!((read.cumulative_lost, read.fraction_lost), (expected, 0xff));
        }
    }

    #[test]
    fn source_descriptions_end_with_zero() {
        for len in 0..9 {
            let mut out = Vec::new();
            write_sdes_cname(Ssrc(5), &"x".repeat(len), &mut out);
            assert_eq!(out.len() % 4, 0);
            assert_eq!(out[..4], [0x81, 202, 0, (out.len() / 4 - 1) as u8]);
            assert_eq!(out[8..10], [1, len as u8]);
            assert_eq!(*out.last().unwrap(), 0);
        }
        let mut out = Vec::new();
        write_sdes_cname(Ssrc(5), &"x".repeat(300), &mut out);
        assert_eq!(out[9], 255);
        assert!(matches!(packets(&out).next(), Some(Ok(RtcpPacket::Other { packet_type: 202, format: 1 }))));
    }

    #[test]
    fn goodbyes_round_trip() {
        let sources: Vec<Ssrc> = (0..40).map(Ssrc).collect();
        let mut out = Vec::new();
        write_bye(&sources, &mut out);
        write_bye(&[], &mut out);
        let read: Vec<Ssrc> = packets(&out)
            .flat_map(|packet| match packet.unwrap() {
                RtcpPacket::Bye(bye) => bye.sources(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(read, sources);
    }
}
