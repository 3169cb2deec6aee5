//! Seeded mutation of valid packets through every parser: nothing panics, nothing reaches outside its input.
//!
//! The same checks run under cargo-fuzz (see `fuzz/`), for as long as one likes.
mod exercise;

use patchbay_wire::rtcp::{self, Micros, NtpTime, ReportBlock, SenderInfo};
use patchbay_wire::rtp::{
    ExtensionId, PayloadType, RtpFields, RtpHeader, RtpTimestamp, SequenceNumber, Ssrc, TransportSequence,
};
use patchbay_wire::srtp::{DtlsRole, SrtpKeys, SrtpProfile, SrtpReceiver};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Flips bits, overwrites with telling values, cuts, repeats and inserts, a few times over.
fn mutate(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..6) {
        if bytes.is_empty() {
            bytes.push(rng.random());
            continue;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..7) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][rng.random_range(0..6)],
            2 => bytes[at] = rng.random(),
            3 => bytes.truncate(at),
            4 => {
                let end = rng.random_range(at..=bytes.len().min(at + 40));
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => bytes.insert(at, rng.random()),
            _ => {
                bytes.drain(at..rng.random_range(at..=bytes.len().min(at + 8)));
            }
        }
        bytes.truncate(2_000);
    }
}

/// Runs the seeds as they are, then `rounds` mutations of each.
fn run(seed: u64, seeds: &[Vec<u8>], rounds: usize, mut check: impl FnMut(&[u8])) {
    let mut rng = StdRng::seed_from_u64(seed);
    for original in seeds {
        check(original);
        for len in 0..original.len() {
            check(&original[..len]);
        }
        for _ in 0..rounds {
            let mut bytes = original.clone();
            mutate(&mut bytes, &mut rng);
            check(&bytes);
        }
    }
    for _ in 0..rounds {
        let bytes: Vec<u8> = (0..rng.random_range(0..200)).map(|_| rng.random()).collect();
        check(&bytes);
    }
}

fn rtp_seeds() -> Vec<Vec<u8>> {
    let long = [7; 40];
    let extensions: [&[(ExtensionId, &[u8])]; 3] = [
        &[],
        &[
            (ExtensionId(1), &[0x9e]),
            (ExtensionId(3), &[0, 7]),
            (ExtensionId(4), b"mid0"),
            (ExtensionId(10), b"hi"),
        ],
        &[(ExtensionId(20), &[0x9e]), (ExtensionId(3), &long), (ExtensionId(4), b"")],
    ];
    let mut seeds = Vec::new();
    for extensions in extensions {
        for csrc in [None, Some(Ssrc(3))] {
            let fields = RtpFields {
                marker: true,
                payload_type: PayloadType(96),
                sequence: SequenceNumber(65_535),
                timestamp: RtpTimestamp(1),
                ssrc: Ssrc(5),
                csrc,
            };
            let mut packet = Vec::new();
            fields.write(extensions, &mut packet).unwrap();
            packet.extend_from_slice(&[0x90, 0xe0, 0x93, 0x21, 5, 0x20, 0x10, 2, 0]);
            seeds.push(packet.clone());
            patchbay_wire::rtp::append_padding(&mut packet, 0, std::num::NonZeroU8::new(9).unwrap());
            seeds.push(packet);
        }
    }
    seeds
}

fn rtcp_seeds() -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(20);
    let block = ReportBlock { ssrc: Ssrc(1), cumulative_lost: -1, ..ReportBlock::default() };
    let mut report = Vec::new();
    let info = SenderInfo { ntp: NtpTime(1 << 63), ..SenderInfo::default() };
    rtcp::write_sender_report(Ssrc(1), &info, &[block; 3], &mut report);
    rtcp::write_sdes_cname(Ssrc(1), "patchbay", &mut report);
    rtcp::write_bye(&[Ssrc(1), Ssrc(2)], &mut report);
    let mut feedback = Vec::new();
    rtcp::write_receiver_report(Ssrc(1), &[block], &mut feedback);
    rtcp::write_nack(Ssrc(1), Ssrc(2), [1, 2, 18, 19, 400].map(SequenceNumber), &mut feedback);
    rtcp::write_pli(Ssrc(1), Ssrc(2), &mut feedback);
    rtcp::write_fir(Ssrc(1), &[(Ssrc(2), 3)], &mut feedback);
    rtcp::write_remb(Ssrc(1), 2_500_000, &[Ssrc(2), Ssrc(3)], &mut feedback);
    let mut seeds = vec![report, feedback];
    for loss in [0.0, 0.1, 0.8] {
        let mut time = 1_000_000;
        let arrivals: Vec<_> = (0..60)
            .map(|_| {
                time += rng.random_range(-20_000..120_000);
                (!rng.random_bool(loss)).then_some(Micros(time))
            })
            .collect();
        let mut twcc = Vec::new();
        rtcp::write_twcc(Ssrc(1), Ssrc(2), 9, TransportSequence(65_500), &arrivals, &mut twcc);
        seeds.push(twcc);
    }
    seeds
}

#[test]
fn rtp_packets() {
    run(21, &rtp_seeds(), 10_000, exercise::rtp);
}

#[test]
fn header_extensions() {
    let seeds = [
        vec![0x10, 0x9e, 0x31, 0, 7, 0x43, b'm', b'i', b'd', b'0', 0, 0],
        vec![20, 1, 0x9e, 3, 0, 4, 4, b'm', b'i', b'd', b'0', 0],
    ];
    run(22, &seeds, 30_000, exercise::extension);
}

#[test]
fn payloads() {
    let seeds = [
        vec![0x90, 0xe0, 0x93, 0x21, 5, 0x20, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a],
        vec![0x90, 0x80, 0x13, 0x01],
        vec![0xaa, 0x81, 0x02, 0x30, 9, 0x18, 0, 0x49, 0x83, 0x42],
        vec![0xb0, 0x7f, 0xe4, 0x02],
        vec![0x18, 0x0a, 0x0b, 0, 0, 0, 0x24],
        vec![0x78, 0, 4, 0x67, 0x42, 0xc0, 0x1f, 0, 2, 0x68, 0xce, 0, 3, 0x65, 0x88, 0x84],
        vec![0x7c, 0x87, 0x42, 0xc0],
    ];
    run(23, &seeds, 20_000, exercise::payload);
}

#[test]
fn rtcp_compounds() {
    run(24, &rtcp_seeds(), 20_000, exercise::rtcp);
}

#[test]
fn encrypted_packets() {
    for profile in SrtpProfile::ALL {
        let material = vec![1; profile.keying_material_len()];
        let keys = SrtpKeys::from_exported(profile, &material, DtlsRole::Client).unwrap();
        let mut receiver = SrtpReceiver::new(&keys).unwrap();
        run(25, &rtp_seeds(), 300, |bytes| {
            let mut packet = bytes.to_vec();
            if let Ok(header) = RtpHeader::parse(bytes) {
                receiver.unprotect_rtp(&mut packet, &header).unwrap_err();
                // A header that belongs to another packet must do no harm either.
                receiver.unprotect_rtp(&mut packet[..bytes.len() / 2], &header).unwrap_err();
            }
        });
        run(26, &rtcp_seeds(), 300, |bytes| {
            receiver.unprotect_rtcp(&mut bytes.to_vec()).unwrap_err();
        });
        assert_eq!(receiver.stream_count(), 0);
    }
}
