//! Runs bytes through every parser and checks that what comes out lies within what went in. Shared by the mutation
//! tests and the fuzz targets.
use patchbay_wire::classify::classify;
use patchbay_wire::codec::{Av1Descriptor, PayloadFormat, Vp8Descriptor, Vp8Rewrite, Vp9Descriptor};
use patchbay_wire::rtcp::{RtcpPacket, packets};
use patchbay_wire::rtp::{
    AbsSendTime, AudioLevel, ExtensionForm, Extensions, PlayoutDelay, RtpHeader, TransportSequence,
    VideoOrientation, parse_mid, parse_rid,
};
use patchbay_wire::rtx;

/// Header, contributing sources, extensions and payload of an RTP packet.
pub(crate) fn rtp(bytes: &[u8]) {
    let _ = classify(bytes);
    let Ok(header) = RtpHeader::parse(bytes) else { return };
    assert!(header.header_len() >= 12 && header.header_len() <= bytes.len());
    assert!(header.payload_type.0 < 128);
    assert_eq!(header.csrcs(bytes).count(), usize::from(header.csrc_count));
    assert!(header.extension_range().end <= bytes.len());
    let mut extensions_len = 0;
    for (id, value) in header.extensions(bytes) {
        assert_ne!(id.0, 0);
        extensions_len += 1 + value.len();
    }
    assert!(extensions_len <= header.extension_range().len());
    if let Ok(range) = header.payload_range(bytes) {
        assert!(range.start == header.header_len() && range.start <= range.end && range.end <= bytes.len());
        assert_eq!(header.payload(bytes).unwrap(), &bytes[range]);
    }
    // The wrong packet gives wrong answers, but answers.
    for other in [&bytes[..bytes.len() / 2], &[]] {
        let _ = (header.csrcs(other).count(), header.extensions(other).count(), header.payload(other));
    }
}

/// An extension block in every form, and each value through every codec.
pub(crate) fn extension(bytes: &[u8]) {
    for form in
        [ExtensionForm::None, ExtensionForm::OneByte, ExtensionForm::TwoByte, ExtensionForm::Unknown(1)]
    {
        let total: usize = Extensions::new(form, bytes).map(|(_, value)| 1 + value.len()).sum();
        assert!(total <= bytes.len());
        for (id, value) in Extensions::new(form, bytes) {
            assert!(Extensions::new(form, bytes).find(id).is_some());
            if let Some(level) = AudioLevel::parse(value) {
                assert!(level.level <= 127);
            }
            if let Some(time) = AbsSendTime::parse(value) {
                assert_eq!(time.to_bytes(), value);
            }
            let _ =
                (TransportSequence::parse(value), VideoOrientation::parse(value), PlayoutDelay::parse(value));
            for text in [parse_mid(value), parse_rid(value)].into_iter().flatten() {
                assert_eq!(text.as_bytes(), value);
                assert!(text.is_ascii() && !text.is_empty());
            }
        }
    }
}

/// A payload through every payload format, and through RTX.
pub(crate) fn payload(bytes: &[u8]) {
    if let Some(descriptor) = Vp8Descriptor::parse(bytes) {
        assert!((1..=Vp8Descriptor::MAX_LEN).contains(&descriptor.len) && descriptor.len <= bytes.len());
        let mut copy = bytes.to_vec();
        descriptor.rewrite(&mut copy, Vp8Rewrite { picture_id: 0xabcd, tl0_picture_index: 0xef });
        assert_eq!(copy[descriptor.len..], bytes[descriptor.len..]);
        let again = Vp8Descriptor::parse(&copy).unwrap();
        assert_eq!((again.len, again.is_keyframe_start), (descriptor.len, descriptor.is_keyframe_start));
    }
    if let Some(descriptor) = Vp9Descriptor::parse(bytes) {
        assert!(descriptor.picture_id.is_none_or(|id| id < 0x8000));
        assert!(descriptor.layer.is_none_or(|layer| layer.temporal < 8 && layer.spatial < 8));
    }
    if let Some(descriptor) = Av1Descriptor::parse(bytes) {
        assert!(descriptor.element_count < 4);
    }
    for name in ["opus", "VP8", "VP9", "H264", "AV1", "red"] {
        let format = PayloadFormat::from_encoding_name(name);
        assert!(format.is_keyframe_start(bytes) || format.has_keyframes());
    }
    if let Some((_, original)) = rtx::split_payload(bytes) {
        assert_eq!(original.len(), bytes.len() - rtx::ORIGINAL_SEQUENCE_LEN);
    }
}

/// A compound RTCP packet, every item of every packet in it.
pub(crate) fn rtcp(bytes: &[u8]) {
    let _ = classify(bytes);
    let mut count = 0;
    for packet in packets(bytes) {
        count += 1;
        let items = match packet {
            Ok(RtcpPacket::SenderReport(report)) => report.blocks().count(),
            Ok(RtcpPacket::ReceiverReport(report)) => report.blocks().count(),
            Ok(RtcpPacket::Bye(bye)) => bye.sources().count(),
            // Seventeen for every four bytes.
            Ok(RtcpPacket::Nack(nack)) => nack.sequences().count().div_ceil(17),
            Ok(RtcpPacket::Fir(fir)) => fir.requests().count(),
            Ok(RtcpPacket::Remb(remb)) => remb.sources().count(),
            Ok(RtcpPacket::Twcc(feedback)) => {
                let statuses: Vec<_> = feedback.statuses().collect();
                assert_eq!(
                    statuses.len(),
                    usize::from(feedback.status_count),
                    "what was checked is all there"
                );
                let received = statuses.iter().filter(|(_, arrival)| arrival.is_some()).count();
                received.div_ceil(4)
            }
            Ok(RtcpPacket::Pli(_) | RtcpPacket::Other { .. }) | Err(_) => 0,
        };
        assert!(items * 4 <= bytes.len());
    }
    assert!(count <= bytes.len().div_ceil(4));
}
