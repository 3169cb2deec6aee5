//! The text of an answer. Lines stand in the order browsers write them in.

use std::fmt::{self, Write};

use super::{LocalDescription, NegotiatedCodec, NegotiatedSection};
use crate::codec::Feedback;
use crate::error::{Refusal, SdpError};
use crate::offer::{MediaKind, Offer, OfferedSection};
use crate::security::DtlsRole;
use crate::text::{is_token, is_word};

pub(super) fn answer(
    offer: &Offer,
    local: &LocalDescription,
    role: DtlsRole,
    sections: &[NegotiatedSection],
) -> Result<String, SdpError> {
    check_injected_text(local, sections)?;
    let mut out = String::with_capacity(1024 * (sections.len() + 1));
    // Writing into a string does not fail.
    let _ = write_session(&mut out, offer, local, sections);
    let mut has_transport = false;
    for (offered, section) in offer.sections.iter().zip(sections) {
        let is_held = is_held(offer, sections, offered, section);
        let _ = match section.refusal {
            Some(_) if !is_held => write_refused(&mut out, offered),
            _ => {
                let is_first = !std::mem::replace(&mut has_transport, true);
                write_transport(&mut out, offer, local, role, offered, section, is_first).and_then(|()| {
                    if is_held {
                        write_held(&mut out, offered)
                    } else {
                        write_media(&mut out, local, section)
                    }
                })
            }
        };
    }
    Ok(out)
}

/// Ids and names may stem from other participants: none of them may end a line and begin another.
fn check_injected_text(local: &LocalDescription, sections: &[NegotiatedSection]) -> Result<(), SdpError> {
    if !is_word(&local.cname, 256) {
        return Err(SdpError::UnsafeText("cname"));
    }
    for slot in sections.iter().filter_map(|section| section.slot.as_ref()) {
        if !is_token(&slot.msid.stream, 64) {
            return Err(SdpError::UnsafeText("stream id"));
        }
        if !is_token(&slot.msid.track, 64) {
            return Err(SdpError::UnsafeText("track id"));
        }
    }
    for candidate in &local.candidates {
        let name_is_safe = match &candidate.address {
            crate::CandidateAddress::Ip(_) => true,
            crate::CandidateAddress::Hostname(name) => is_word(name, 253),
        };
        if !name_is_safe || !is_word(&candidate.foundation, 32) {
            return Err(SdpError::UnsafeText("candidate"));
        }
    }
    if !is_word(&local.ice.ufrag, 256) || !is_word(&local.ice.pwd, 256) {
        return Err(SdpError::UnsafeText("ICE credentials"));
    }
    Ok(())
}

fn write_session(
    out: &mut String,
    offer: &Offer,
    local: &LocalDescription,
    sections: &[NegotiatedSection],
) -> fmt::Result {
    out.write_str("v=0\r\n")?;
    write!(out, "o=- {} {} IN IP4 127.0.0.1\r\n", local.session_id, local.session_version)?;
    out.write_str("s=-\r\nt=0 0\r\n")?;
    if local.ice_lite {
        out.write_str("a=ice-lite\r\n")?;
    }
    if !offer.bundle.is_empty() {
        out.write_str("a=group:BUNDLE")?;
        for (offered, section) in offer.sections.iter().zip(sections) {
            let is_kept = section.refusal.is_none() || is_held(offer, sections, offered, section);
            if let Some(mid) = section.mid.as_ref().filter(|_| is_kept) {
                write!(out, " {mid}")?;
            }
        }
        out.write_str("\r\n")?;
    }
    if offer.extmap_allow_mixed {
        out.write_str("a=extmap-allow-mixed\r\n")?;
    }
    out.write_str("a=msid-semantic: WMS *\r\n")
}

/// Whether a refused section is kept as an inactive one, because the transport is negotiated in it.
///
/// With `bundlePolicy: "max-bundle"` Chromium has a transport for the section that BUNDLE names first and for no other;
/// an answer that stops that one fails as a whole.
fn is_held(
    offer: &Offer,
    sections: &[NegotiatedSection],
    offered: &OfferedSection,
    section: &NegotiatedSection,
) -> bool {
    matches!(section.refusal, Some(Refusal::NoCommonCodec | Refusal::Chosen))
        && section.mid.is_some()
        && section.mid.as_ref() == offer.bundle.first()
        && offered.codecs.first().is_some_and(|codec| !codec.name.is_empty())
        && sections.iter().any(|other| other.refusal.is_none())
}

/// Port 0, with the first format and what explains it: some parsers want an `rtpmap` even here.
fn write_refused(out: &mut String, offered: &OfferedSection) -> fmt::Result {
    write!(
        out,
        "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\n",
        offered.media, offered.protocol, offered.first_format
    )?;
    write_first_codec(out, offered)?;
    if let Some(mid) = &offered.mid {
        write!(out, "a=mid:{mid}\r\n")?;
    }
    out.write_str("a=inactive\r\n")
}

fn write_first_codec(out: &mut String, offered: &OfferedSection) -> fmt::Result {
    let Some(codec) = offered.codecs.first().filter(|codec| !codec.name.is_empty()) else { return Ok(()) };
    let (payload_type, name, clock_rate) = (codec.payload_type, &codec.name, codec.clock_rate);
    write!(out, "a=rtpmap:{payload_type} {name}/{clock_rate}")?;
    write_channels(out, codec.channels)
}

/// The rest of a section that nothing flows on but the transport's own traffic.
fn write_held(out: &mut String, offered: &OfferedSection) -> fmt::Result {
    out.write_str("a=inactive\r\na=rtcp-mux\r\n")?;
    write_first_codec(out, offered)
}

/// The `m=` line and what concerns the transport.
fn write_transport(
    out: &mut String,
    offer: &Offer,
    local: &LocalDescription,
    role: DtlsRole,
    offered: &OfferedSection,
    section: &NegotiatedSection,
    is_first: bool,
) -> fmt::Result {
    write!(out, "m={} 9 {}", offered.media, offered.protocol)?;
    if section.kind == MediaKind::Application {
        out.write_str(" webrtc-datachannel")?;
    }
    if section.refusal.is_some() {
        write!(out, " {}", offered.first_format)?;
    }
    for codec in &section.codecs {
        write!(out, " {}", codec.payload_type)?;
        if let Some(rtx) = codec.rtx_payload_type {
            write!(out, " {rtx}")?;
        }
    }
    out.write_str("\r\nc=IN IP4 0.0.0.0\r\n")?;
    if is_first {
        for candidate in &local.candidates {
            write!(out, "a={candidate}\r\n")?;
        }
        if local.end_of_candidates {
            out.write_str("a=end-of-candidates\r\n")?;
        }
    }
    // Repeated in every section: several stacks look for them there and nowhere else.
    write!(out, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", local.ice.ufrag, local.ice.pwd)?;
    if offer.ice_trickle {
        out.write_str("a=ice-options:trickle\r\n")?;
    }
    write!(out, "a=fingerprint:{}\r\na=setup:{}\r\n", local.fingerprint, role.setup())?;
    match &section.mid {
        Some(mid) => write!(out, "a=mid:{mid}\r\n"),
        None => Ok(()),
    }
}

/// The rest of an accepted section.
fn write_media(out: &mut String, local: &LocalDescription, section: &NegotiatedSection) -> fmt::Result {
    if section.kind == MediaKind::Application {
        let (port, size) = (LocalDescription::SCTP_PORT, local.max_message_size);
        return write!(out, "a=sctp-port:{port}\r\na=max-message-size:{size}\r\n");
    }
    for extension in &section.extensions {
        write!(out, "a=extmap:{}{} {}\r\n", extension.id, extension.suffix, extension.extension.uri())?;
    }
    write!(out, "a={}\r\n", section.direction.name())?;
    if let Some(slot) = &section.slot {
        write!(out, "a=msid:{} {}\r\n", slot.msid.stream, slot.msid.track)?;
    }
    out.write_str("a=rtcp-mux\r\n")?;
    if section.rtcp_rsize {
        out.write_str("a=rtcp-rsize\r\n")?;
    }
    for codec in &section.codecs {
        write_codec(out, codec)?;
    }
    if let Some(slot) = &section.slot {
        if let Some(rtx) = slot.rtx_ssrc {
            write!(out, "a=ssrc-group:FID {} {rtx}\r\n", slot.ssrc)?;
        }
        for ssrc in std::iter::once(slot.ssrc).chain(slot.rtx_ssrc) {
            write!(out, "a=ssrc:{ssrc} cname:{}\r\n", local.cname)?;
        }
    }
    Ok(())
}

fn write_codec(out: &mut String, codec: &NegotiatedCodec) -> fmt::Result {
    let payload_type = codec.payload_type;
    write!(out, "a=rtpmap:{payload_type} {}/{}", codec.codec.kind().name(), codec.clock_rate)?;
    write_channels(out, codec.channels)?;
    let agreed = [
        (codec.remb, Feedback::Remb),
        (codec.transport_cc, Feedback::TransportCc),
        (codec.fir, Feedback::Fir),
        (codec.nack, Feedback::Nack),
        (codec.pli, Feedback::Pli),
    ];
    for (_, feedback) in agreed.into_iter().filter(|(is_agreed, _)| *is_agreed) {
        write!(out, "a=rtcp-fb:{payload_type} {}\r\n", feedback.as_str())?;
    }
    if !codec.format.is_empty() {
        write!(out, "a=fmtp:{payload_type} {}\r\n", codec.format.as_str())?;
    }
    if let Some(rtx) = codec.rtx_payload_type {
        write!(out, "a=rtpmap:{rtx} rtx/{}\r\na=fmtp:{rtx} apt={payload_type}\r\n", codec.clock_rate)?;
    }
    Ok(())
}

/// Ends an `rtpmap` line.
fn write_channels(out: &mut String, channels: u8) -> fmt::Result {
    match channels {
        0 | 1 => out.write_str("\r\n"),
        _ => write!(out, "/{channels}\r\n"),
    }
}
