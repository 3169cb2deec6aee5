//! One media section of an offer.

use super::parse::{Security, is_supported_protocol};
use super::{Direction, MediaKind, OfferedRid, OfferedSection, OfferedSource};
use crate::candidate::Candidate;
use crate::codec::{Feedback, FormatParameters, OfferedCodec};
use crate::error::{Limits, Refusal, SdpError};
use crate::extension::OfferedExtension;
use crate::id::{Mid, Msid, PayloadType, Rid, Ssrc};
use crate::text::{Line, is_word};

/// A media section while its lines come in.
#[derive(Debug)]
pub(super) struct SectionParser {
    pub(super) port: u16,
    pub(super) is_bundle_only: bool,
    pub(super) extmap_allow_mixed: bool,
    section: OfferedSection,
    security: Security,
    direction: Option<Direction>,
    groups: Vec<SsrcGroup>,
    msid_by_ssrc: Option<Msid>,
    feedback_for_all: Vec<Feedback>,
    has_simulcast: bool,
}

/// `a=ssrc-group`: a semantics word and two SSRCs, the second serving the first.
#[derive(Debug)]
struct SsrcGroup {
    is_rtx: bool,
    ssrc: Ssrc,
    companion: Ssrc,
}

impl SectionParser {
    /// Opens a section with its `m=` line.
    pub(super) fn begin(line: &Line<'_>) -> Result<Self, SdpError> {
        let bad = || line.malformed("m= line");
        let mut words = line.value.split_ascii_whitespace();
        let (media, port, protocol) = match (words.next(), words.next(), words.next()) {
            (Some(media), Some(port), Some(protocol)) => (media, port, protocol),
            _ => return Err(bad()),
        };
        let port = port.split('/').next().and_then(|port| port.parse().ok()).ok_or_else(bad)?;
        let kind = match media {
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            _ => MediaKind::Application,
        };
        let formats: Vec<&str> = words.take(128).collect();
        let first_format = formats.first().copied().ok_or_else(bad)?.to_owned();
        if ![media, protocol, &first_format].into_iter().all(|word| is_word(word, 64)) {
            return Err(bad());
        }
        let refusal = match kind {
            MediaKind::Application if media != "application" || first_format != "webrtc-datachannel" => {
                Some(Refusal::UnsupportedMedia)
            }
            _ if !is_supported_protocol(kind, protocol) => Some(Refusal::UnsupportedProtocol),
            _ => None,
        };
        let mut codecs: Vec<OfferedCodec> = Vec::new();
        if kind != MediaKind::Application {
            for payload_type in formats.iter().filter_map(|format| PayloadType::parse(format)) {
                if !codecs.iter().any(|codec| codec.payload_type == payload_type) {
                    codecs.push(static_codec(payload_type));
                }
            }
        }
        let section = OfferedSection {
            mid: None,
            kind,
            media: media.to_owned(),
            protocol: protocol.to_owned(),
            first_format,
            direction: Direction::SendRecv,
            refusal,
            codecs,
            extensions: Vec::new(),
            sources: Vec::new(),
            msid: None,
            rids: Vec::new(),
            rtcp_mux: false,
            rtcp_rsize: false,
            sctp_port: None,
            max_message_size: None,
            candidates: Vec::new(),
            end_of_candidates: false,
        };
        Ok(Self {
            port,
            is_bundle_only: false,
            extmap_allow_mixed: false,
            section,
            security: Security::default(),
            direction: None,
            groups: Vec::new(),
            msid_by_ssrc: None,
            feedback_for_all: Vec::new(),
            has_simulcast: false,
        })
    }

    /// Takes one `a=` line.
    pub(super) fn attribute(&mut self, line: &Line<'_>, limits: &Limits) -> Result<(), SdpError> {
        let (name, value) = line.attribute();
        if self.security.handle(line, name, value)? {
            return Ok(());
        }
        let section = &mut self.section;
        match name {
            "mid" => section.mid = Some(Mid::new(value.trim()).ok_or_else(|| line.malformed("a=mid"))?),
            "bundle-only" => self.is_bundle_only = true,
            "extmap-allow-mixed" => self.extmap_allow_mixed = true,
            "rtcp-mux" => section.rtcp_mux = true,
            "rtcp-rsize" => section.rtcp_rsize = true,
            "rtpmap" => self.rtpmap(value).ok_or_else(|| line.malformed("a=rtpmap"))?,
            "fmtp" => self.fmtp(value),
            "rtcp-fb" => self.rtcp_fb(value),
            "extmap" if section.extensions.len() < limits.extensions => {
                section.extensions.extend(OfferedExtension::parse(value));
            }
            "ssrc" => self.ssrc(value, limits),
            "ssrc-group" if self.groups.len() < limits.ssrcs => self.groups.extend(ssrc_group(value)),
            "msid" => section.msid = msid(value).or(section.msid.take()),
            "rid" => self.rid(value, limits),
            "simulcast" => self.simulcast(value, limits),
            "sctp-port" => {
                let port = value.trim().parse().map_err(|_| line.malformed("a=sctp-port"))?;
                section.sctp_port = Some(port);
            }
            "max-message-size" => {
                let size = value.trim().parse().map_err(|_| line.malformed("a=max-message-size"))?;
                section.max_message_size = Some(size);
            }
            "candidate" if section.candidates.len() < limits.candidates => {
                section.candidates.extend(Candidate::parse(value));
            }
            "end-of-candidates" => section.end_of_candidates = true,
            _ => self.direction = Direction::from_name(name).or(self.direction),
        }
        Ok(())
    }

    /// The section, with what the session level and its lines together say.
    pub(super) fn finish(
        self,
        session_direction: Option<Direction>,
        session_extensions: &[OfferedExtension],
    ) -> (OfferedSection, Security) {
        let mut section = self.section;
        section.direction = self.direction.or(session_direction).unwrap_or(Direction::SendRecv);
        if section.kind != MediaKind::Application {
            section.extensions.extend_from_slice(session_extensions);
            if section.refusal.is_none() && !section.rtcp_mux {
                section.refusal = Some(Refusal::NoRtcpMux);
            }
            for codec in &mut section.codecs {
                for feedback in &self.feedback_for_all {
                    if !codec.feedback.contains(feedback) {
                        codec.feedback.push(*feedback);
                    }
                }
            }
        }
        // Fold companions into the streams they serve.
        for group in self.groups {
            section.sources.retain(|source| source.ssrc != group.companion);
            let primary = section.sources.iter_mut().find(|source| source.ssrc == group.ssrc);
            if let Some(primary) = primary.filter(|_| group.is_rtx) {
                primary.rtx_ssrc = Some(group.companion);
            }
        }
        section.msid = section.msid.or(self.msid_by_ssrc);
        (section, self.security)
    }

    fn codec(&mut self, payload_type: &str) -> Option<&mut OfferedCodec> {
        let payload_type = PayloadType::parse(payload_type)?;
        self.section.codecs.iter_mut().find(|codec| codec.payload_type == payload_type)
    }

    /// `None` if it cannot be read. A payload type that the `m=` line lacks is skipped.
    fn rtpmap(&mut self, value: &str) -> Option<()> {
        let (payload_type, encoding) = value.trim().split_once(' ')?;
        let mut parts = encoding.trim().split('/');
        let (name, clock_rate) = (parts.next()?, parts.next()?.parse().ok()?);
        let channels = parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1);
        if !is_word(name, 64) {
            return None;
        }
        if let Some(codec) = self.codec(payload_type) {
            codec.name = name.to_owned();
            codec.clock_rate = clock_rate;
            codec.channels = channels;
        }
        Some(())
    }

    fn fmtp(&mut self, value: &str) {
        let Some((payload_type, format)) = value.trim().split_once(' ') else { return };
        if let Some(codec) = self.codec(payload_type) {
            codec.format = FormatParameters(format.trim().to_owned());
        }
    }

    fn rtcp_fb(&mut self, value: &str) {
        let Some((payload_type, feedback)) = value.trim().split_once(' ') else { return };
        let Some(feedback) = Feedback::parse(feedback) else { return };
        let list = match payload_type {
            "*" => &mut self.feedback_for_all,
            _ => match self.codec(payload_type) {
                Some(codec) => &mut codec.feedback,
                None => return,
            },
        };
        if !list.contains(&feedback) {
            list.push(feedback);
        }
    }

    fn ssrc(&mut self, value: &str, limits: &Limits) {
        let mut parts = value.trim().splitn(2, ' ');
        let Some(ssrc) = parts.next().and_then(|ssrc| ssrc.parse().ok()).map(Ssrc) else { return };
        let (name, value) = parts.next().and_then(|part| part.split_once(':')).unwrap_or_default();
        if name == "msid" && self.msid_by_ssrc.is_none() {
            self.msid_by_ssrc = msid(value);
        }
        let sources = &mut self.section.sources;
        let index = match sources.iter().position(|source| source.ssrc == ssrc) {
            Some(index) => index,
            None if sources.len() >= limits.ssrcs => return,
            None => {
                sources.push(OfferedSource { ssrc, rtx_ssrc: None, cname: None });
                sources.len() - 1
            }
        };
        if let Some(source) = sources.get_mut(index).filter(|_| name == "cname" && is_word(value, 256)) {
            source.cname = Some(value.to_owned());
        }
    }

    fn rid(&mut self, value: &str, limits: &Limits) {
        let mut words = value.split_ascii_whitespace();
        let (Some(rid), Some("send")) = (words.next().and_then(Rid::new), words.next()) else { return };
        let rids = &mut self.section.rids;
        if rids.len() < limits.rids && !self.has_simulcast && !rids.iter().any(|known| known.rid == rid) {
            rids.push(OfferedRid { rid, is_paused: false });
        }
    }

    /// `send 1;~2,3 recv 4`: of alternatives only the first is kept; it replaces the order of the `a=rid` lines.
    fn simulcast(&mut self, value: &str, limits: &Limits) {
        let mut words = value.split_ascii_whitespace();
        while let (Some(direction), Some(list)) = (words.next(), words.next()) {
            if direction != "send" {
                continue;
            }
            let mut rids: Vec<OfferedRid> = Vec::new();
            for stream in list.split(';').take(limits.rids) {
                let first = stream.split(',').next().unwrap_or(stream);
                let is_paused = first.starts_with('~');
                let Some(rid) = Rid::new(first.trim_start_matches('~')) else { continue };
                if !rids.iter().any(|known| known.rid == rid) {
                    rids.push(OfferedRid { rid, is_paused });
                }
            }
            self.section.rids = rids;
            self.has_simulcast = true;
        }
    }
}

/// A payload type before its `rtpmap` is seen: the static ones of RFC 3551 that still occur need none.
fn static_codec(payload_type: PayloadType) -> OfferedCodec {
    let (name, clock_rate) = match payload_type.0 {
        0 => ("PCMU", 8000),
        8 => ("PCMA", 8000),
        9 => ("G722", 8000),
        13 => ("CN", 8000),
        _ => ("", 0),
    };
    OfferedCodec {
        payload_type,
        name: name.to_owned(),
        clock_rate,
        channels: 1,
        format: FormatParameters::default(),
        feedback: Vec::new(),
    }
}

fn msid(value: &str) -> Option<Msid> {
    let mut words = value.split_ascii_whitespace();
    let stream = words.next().filter(|stream| is_word(stream, 256))?;
    let track = words.next().filter(|track| is_word(track, 256)).unwrap_or_default();
    Some(Msid { stream: stream.to_owned(), track: track.to_owned() })
}

fn ssrc_group(value: &str) -> Option<SsrcGroup> {
    let mut words = value.split_ascii_whitespace();
    let is_rtx = match words.next()? {
        "FID" => true,
        "FEC" | "FEC-FR" => false,
        _ => return None,
    };
    let mut ssrc = || words.next().and_then(|ssrc| ssrc.parse().ok()).map(Ssrc);
    let (ssrc, companion) = (ssrc()?, ssrc()?);
    (ssrc != companion).then_some(SsrcGroup { is_rtx, ssrc, companion })
}
