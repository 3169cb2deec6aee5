//! SRTP as a whole: round trips, forgeries, replays, nonce reuse, and another implementation on the far end.
use patchbay_wire::rtp::{
    ExtendedSequence, ExtensionId, PayloadType, RtpFields, RtpHeader, RtpTimestamp, SequenceNumber, Ssrc,
};
use patchbay_wire::srtp::{
    DtlsRole, MAX_RECEIVE_STREAMS, SrtpError, SrtpKeys, SrtpProfile, SrtpReceiver, SrtpSender, UnprotectedRtp,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rtc_srtp::context::Context;
use rtc_srtp::crypto;
use rtc_srtp::protection_profile::ProtectionProfile;

fn material(profile: SrtpProfile, seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..profile.keying_material_len()).map(|_| rng.random()).collect()
}

/// A sender and the receiver at its far end.
fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let material = material(profile, 3);
    let client = SrtpKeys::from_exported(profile, &material, DtlsRole::Client).unwrap();
    let server = SrtpKeys::from_exported(profile, &material, DtlsRole::Server).unwrap();
    (SrtpSender::new(&server).unwrap(), SrtpReceiver::new(&client).unwrap())
}

/// Appends a plaintext packet; gives its header length.
fn write_packet(buffer: &mut Vec<u8>, ssrc: Ssrc, index: ExtendedSequence, payload: &[u8]) -> usize {
    let fields = RtpFields {
        marker: true,
        payload_type: PayloadType(96),
        sequence: index.sequence(),
        timestamp: RtpTimestamp(90_000),
        ssrc,
        csrc: Some(Ssrc(7)),
    };
    let header_len = fields.write(&[(ExtensionId(1), &[1]), (ExtensionId(3), &[1, 2, 3])], buffer).unwrap();
    buffer.extend_from_slice(payload);
    header_len
}

fn protected(sender: &mut SrtpSender, ssrc: Ssrc, index: u64, payload: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::new();
    let header_len = write_packet(&mut buffer, ssrc, ExtendedSequence(index), payload);
    sender.protect_rtp(&mut buffer, 0, header_len, ExtendedSequence(index)).unwrap();
    buffer
}

fn unprotect(receiver: &mut SrtpReceiver, packet: &mut [u8]) -> Result<UnprotectedRtp, SrtpError> {
    let header = RtpHeader::parse(packet).unwrap();
    receiver.unprotect_rtp(packet, &header)
}

#[test]
fn a_run_of_packets_in_one_buffer_round_trips() {
    let mut rng = StdRng::seed_from_u64(4);
    for profile in SrtpProfile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        let (mut buffer, mut packets) = (Vec::new(), Vec::new());
        for n in 0..200u64 {
            let index = ExtendedSequence(65_400 + n);
            let payload: Vec<u8> = (0..rng.random_range(0..1_200)).map(|_| rng.random()).collect();
            let start = buffer.len();
            let header_len = write_packet(&mut buffer, Ssrc(5), index, &payload);
            let plain = buffer[start..].to_vec();
            sender.protect_rtp(&mut buffer, start, header_len, index).unwrap();
            assert_eq!(buffer.len() - start, plain.len() + profile.rtp_overhead());
            packets.push((index, plain, start..buffer.len()));
        }
        for (index, plain, range) in packets {
            let packet = &mut buffer[range];
            let opened = unprotect(&mut receiver, packet).unwrap();
            assert_eq!(opened, UnprotectedRtp { len: plain.len(), index });
            assert_eq!(packet[..opened.len], plain);
        }
        assert_eq!(receiver.stream_count(), 1);
        assert_eq!(sender.stream_count(), 1);
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_changes_nothing() {
    for profile in SrtpProfile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        let packet = protected(&mut sender, Ssrc(5), 100, b"some payload");
        for bit in 0..packet.len() * 8 {
            let mut forged = packet.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let Ok(header) = RtpHeader::parse(&forged) else { continue };
            let error = receiver.unprotect_rtp(&mut forged, &header).unwrap_err();
            assert!(
                matches!(error, SrtpError::AuthenticationFailed | SrtpError::TooShort),
                "bit {bit}: {error}"
            );
        }
        for len in 12..packet.len() {
            let mut cut = packet[..len].to_vec();
            if let Ok(header) = RtpHeader::parse(&cut) {
                receiver.unprotect_rtp(&mut cut, &header).unwrap_err();
            }
        }
        assert_eq!(receiver.stream_count(), 0, "forgeries make no streams");
        unprotect(&mut receiver, &mut packet.clone()).unwrap();
        assert_eq!(unprotect(&mut receiver, &mut packet.clone()), Err(SrtpError::Replayed));

        let mut rtcp = vec![0x80, 201, 0, 1, 0, 0, 0, 5, 0x81, 206, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6];
        let plain = rtcp.clone();
        sender.protect_rtcp(&mut rtcp, 0).unwrap();
        for bit in 0..rtcp.len() * 8 {
            let mut forged = rtcp.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let error = receiver.unprotect_rtcp(&mut forged).unwrap_err();
            assert!(
                matches!(error, SrtpError::AuthenticationFailed | SrtpError::NotEncrypted),
                "bit {bit}: {error}"
            );
        }
        for len in 0..rtcp.len() {
            receiver.unprotect_rtcp(&mut rtcp[..len].to_vec()).unwrap_err();
        }
        let mut opened = rtcp.clone();
        let len = receiver.unprotect_rtcp(&mut opened).unwrap();
        assert_eq!(opened[..len], plain);
        assert_eq!(receiver.unprotect_rtcp(&mut rtcp), Err(SrtpError::Replayed));
    }
}

#[test]
fn loss_reordering_and_replays_over_several_roll_overs() {
    let mut rng = StdRng::seed_from_u64(5);
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    let mut delivered: Vec<Vec<u8>> = Vec::new();
    let mut index = 60_000u64;
    while index < 300_000 {
        let mut burst: Vec<(u64, Vec<u8>)> = (0..20)
            .map(|_| {
                index += rng.random_range(1..60);
                (index, protected(&mut sender, Ssrc(5), index, &index.to_be_bytes()))
            })
            .collect();
        for at in (1..burst.len()).rev() {
            burst.swap(at, rng.random_range(0..=at));
        }
        // Nobody can follow the first packet if it comes last: a stream starts at the packet that comes first.
        if delivered.is_empty() {
            burst.sort_by_key(|(index, _)| *index);
        }
        for (index, packet) in burst {
            if rng.random_bool(0.2) {
                continue;
            }
            let opened = unprotect(&mut receiver, &mut packet.clone());
            // 20 packets of up to 60 apart may be older than the window.
            match opened {
                Ok(opened) => assert_eq!(opened.index.0, index),
                Err(error) => assert_eq!(error, SrtpError::Replayed),
            }
            delivered.push(packet);
            let replay = rng.random_range(delivered.len().saturating_sub(30)..delivered.len());
            assert_eq!(unprotect(&mut receiver, &mut delivered[replay].clone()), Err(SrtpError::Replayed));
        }
    }
}

#[test]
fn a_packet_of_the_last_roll_over_cannot_be_replayed_in_this_one() {
    for profile in SrtpProfile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        let old = protected(&mut sender, Ssrc(5), 1_000, b"old");
        unprotect(&mut receiver, &mut old.clone()).unwrap();
        for index in (11_000..67_000).step_by(10_000) {
            unprotect(&mut receiver, &mut protected(&mut sender, Ssrc(5), index, b"new")).unwrap();
        }
        unprotect(&mut receiver, &mut protected(&mut sender, Ssrc(5), 65_536 + 990, b"new")).unwrap();
        // The same sequence number as a fresh packet of this roll-over, but its tag is for the last one.
        assert_eq!(unprotect(&mut receiver, &mut old.clone()), Err(SrtpError::AuthenticationFailed));
        unprotect(&mut receiver, &mut protected(&mut sender, Ssrc(5), 65_536 + 1_000, b"new")).unwrap();
    }
}

#[test]
fn one_index_is_never_encrypted_twice() {
    for profile in SrtpProfile::ALL {
        let (mut sender, _) = pair(profile);
        let mut buffer = Vec::new();
        let mut send = |sender: &mut SrtpSender, ssrc, index| {
            buffer.clear();
            let header_len = write_packet(&mut buffer, ssrc, ExtendedSequence(index), b"x");
            let len = buffer.len();
            let result = sender.protect_rtp(&mut buffer, 0, header_len, ExtendedSequence(index));
            if result.is_err() {
                assert_eq!(buffer.len(), len, "a refused packet is left alone");
                assert_eq!(&buffer[len - 1..], b"x");
            }
            result
        };
        for index in [5_000, 5_001, 5_003, 5_002, 4_990] {
            send(&mut sender, Ssrc(1), index).unwrap();
            assert_eq!(send(&mut sender, Ssrc(1), index), Err(SrtpError::NonceReuse));
        }
        assert_eq!(send(&mut sender, Ssrc(1), 3_000), Err(SrtpError::NonceReuse), "too old to tell");
        send(&mut sender, Ssrc(2), 5_000).unwrap();
        send(&mut sender, Ssrc(1), 65_536 + 5_000).unwrap();
        assert_eq!(send(&mut sender, Ssrc(1), 1 << 48 | 9), Err(SrtpError::KeyExhausted));
    }
}

#[test]
fn misuse_of_the_sender_is_an_error() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    let mut buffer = Vec::new();
    let header_len = write_packet(&mut buffer, Ssrc(1), ExtendedSequence(9), b"x");
    assert_eq!(
        sender.protect_rtp(&mut buffer, 0, header_len, ExtendedSequence(10)),
        Err(SrtpError::WrongIndex)
    );
    for (start, header_len) in [(0, 1_000), (0, 0), (1_000, 12), (usize::MAX, usize::MAX)] {
        let result = sender.protect_rtp(&mut buffer, start, header_len, ExtendedSequence(9));
        assert_eq!(result, Err(SrtpError::TooShort));
    }
    assert_eq!(sender.protect_rtcp(&mut vec![0; 7], 0), Err(SrtpError::TooShort));
    assert_eq!(sender.protect_rtcp(&mut vec![0; 7], 9), Err(SrtpError::TooShort));

    for ssrc in 0..MAX_RECEIVE_STREAMS as u32 {
        unprotect(&mut receiver, &mut protected(&mut sender, Ssrc(ssrc), 1, b"x")).unwrap();
    }
    let mut one_more = protected(&mut sender, Ssrc(u32::MAX), 1, b"x");
    assert_eq!(unprotect(&mut receiver, &mut one_more), Err(SrtpError::TooManyStreams));
    assert_eq!(receiver.stream_count(), MAX_RECEIVE_STREAMS);
}

fn their_profile(profile: SrtpProfile) -> ProtectionProfile {
    match profile {
        SrtpProfile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProfile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        SrtpProfile::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    }
}

/// webrtc-rs's contexts for the DTLS client: what it sends with, what it receives with.
fn their_client(profile: SrtpProfile, material: &[u8]) -> (Context, Context) {
    let provider = crypto::default_provider().unwrap();
    let (keys, salts) = material.split_at(2 * profile.key_len());
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    let context = |key: &[u8], salt: &[u8]| {
        Context::new(key, salt, their_profile(profile), None, None, provider.crypto()).unwrap()
    };
    (context(client_key, client_salt), context(server_key, server_salt))
}

#[test]
fn webrtc_rs_reads_what_we_write_and_we_read_what_it_writes() {
    let mut rng = StdRng::seed_from_u64(6);
    for profile in SrtpProfile::ALL {
        let material = material(profile, 7);
        let ours = SrtpKeys::from_exported(profile, &material, DtlsRole::Server).unwrap();
        let (mut sender, mut receiver) = (SrtpSender::new(&ours).unwrap(), SrtpReceiver::new(&ours).unwrap());
        let (mut their_sender, mut their_receiver) = their_client(profile, &material);
        assert_eq!(their_profile(profile) as u16, profile.dtls_id());
        assert_eq!(SrtpProfile::from_dtls_id(profile.dtls_id()), Some(profile));

        for n in 0..3_000u64 {
            let index = ExtendedSequence(64_000 + n);
            let payload: Vec<u8> = (0..rng.random_range(0..100)).map(|_| rng.random()).collect();
            let mut plain = Vec::new();
            let header_len = write_packet(&mut plain, Ssrc(0xdead_beef), index, &payload);
            let mut packet = plain.clone();
            sender.protect_rtp(&mut packet, 0, header_len, index).unwrap();
            assert_eq!(their_receiver.decrypt_rtp(&packet).unwrap()[..], plain, "{profile:?} {n}");

            let mut packet = their_sender.encrypt_rtp(&plain).unwrap().to_vec();
            let opened = unprotect(&mut receiver, &mut packet).unwrap();
            assert_eq!((opened.index, &packet[..opened.len]), (index, &plain[..]), "{profile:?} {n}");
        }
        for _ in 0..50 {
            let plain = [0x80, 201, 0, 1, 0, 0, 0, 5, 0x81, 206, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6];
            let mut packet = plain.to_vec();
            sender.protect_rtcp(&mut packet, 0).unwrap();
            assert_eq!(packet.len(), plain.len() + profile.rtcp_overhead());
            assert_eq!(their_receiver.decrypt_rtcp(&packet).unwrap()[..], plain, "{profile:?}");
            let mut packet = their_sender.encrypt_rtcp(&plain).unwrap().to_vec();
            let len = receiver.unprotect_rtcp(&mut packet).unwrap();
            assert_eq!(packet[..len], plain, "{profile:?}");
        }
    }
}

#[test]
fn sequence_numbers_alone_do_not_move_the_receiver() {
    let (mut sender, mut receiver) = pair(SrtpProfile::Aes128CmHmacSha1_80);
    unprotect(&mut receiver, &mut protected(&mut sender, Ssrc(5), 10, b"x")).unwrap();
    let mut next = protected(&mut sender, Ssrc(5), 11, b"x");
    let mut forged = protected(&mut sender, Ssrc(5), 40_000, b"x");
    let end = forged.len() - 1;
    forged[end] ^= 1;
    assert_eq!(unprotect(&mut receiver, &mut forged), Err(SrtpError::AuthenticationFailed));
    let opened = unprotect(&mut receiver, &mut next).unwrap();
    assert_eq!(opened.index, ExtendedSequence::new(0, SequenceNumber(11)));
}
