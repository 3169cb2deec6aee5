//! What the media sections of an offer are for: publications by their order, slots by `source=`.

use patchbay_protocol::{
    Description, ErrorCode, Mid, ProtocolError, PublicationOffer, SlotOffer, SlotSource, Source, limit,
};
use patchbay_sdp::{MediaKind, Offer};

use crate::room::Watch;

/// One entry of `source=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Speaker(u8),
    Participant(String),
}

/// Reads `speaker:1,participant:ada`. Nothing given means speakers only.
pub(super) fn parse_sources(text: &str) -> Result<Vec<Wanted>, ProtocolError> {
    let refuse = || {
        let message = "a source is speaker:RANK or participant:IDENTITY, several are separated by commas";
        ProtocolError::new(ErrorCode::InvalidArgument, message)
    };
    let entries: Vec<Wanted> = text
        .split(',')
        .map(|entry| match entry.split_once(':') {
            Some(("speaker", rank)) => rank
                .parse()
                .ok()
                .filter(|rank| (1..=limit::SPEAKER_RANKS).contains(rank))
                .map(Wanted::Speaker),
            Some(("participant", identity)) => limit::is_plain_text(identity, limit::IDENTITY_BYTES)
                .then(|| Wanted::Participant(identity.to_owned())),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(refuse)?;
    if entries.len() > limit::SLOTS { Err(refuse()) } else { Ok(entries) }
}

/// A WHIP offer: the first video section is the camera and the second the screen; the same for audio.
pub(super) fn publications(sdp: String, offer: &Offer) -> Result<Description, ProtocolError> {
    let mut publications = Vec::new();
    let (mut audio, mut video) =
        ([Source::Microphone, Source::ScreenAudio].into_iter(), [Source::Camera, Source::Screen].into_iter());
    for section in offer.sections.iter().filter(|section| section.is_publication()) {
        let source = match section.kind {
            MediaKind::Audio => audio.next(),
            MediaKind::Video => video.next(),
            MediaKind::Application => continue,
        };
        let (Some(source), Some(mid)) = (source, &section.mid) else {
            return unacceptable("at most two audio and two video sections can be published at once");
        };
        publications.push(PublicationOffer { mid: Mid::new(mid.as_str()), source, muted: false });
    }
    if publications.is_empty() {
        return unacceptable("the offer sends no audio and no video");
    }
    Ok(Description { sdp, publications, slots: Vec::new(), channels: Vec::new() })
}

/// A WHEP offer: one source for each pair of video and audio sections, in order, then further speakers by rank.
///
/// Slots that name an identity are returned as watches too: the identity may not be in the room yet.
pub(super) fn slots(
    sdp: String,
    offer: &Offer,
    wanted: &[Wanted],
) -> Result<(Description, Vec<Watch>), ProtocolError> {
    let mut spare_ranks = (1..=limit::SPEAKER_RANKS).filter(|rank| !wanted.contains(&Wanted::Speaker(*rank)));
    let mut pairs: Vec<Wanted> = wanted.to_vec();
    let (mut slots, mut watches) = (Vec::new(), Vec::new());
    let (mut audio, mut video) = (0, 0);
    for section in offer.sections.iter().filter(|section| section.is_slot()) {
        let (index, source) = match section.kind {
            MediaKind::Audio => (&mut audio, Source::Microphone),
            MediaKind::Video => (&mut video, Source::Camera),
            MediaKind::Application => continue,
        };
        let pair = *index;
        *index += 1;
        if pairs.len() <= pair {
            match spare_ranks.next() {
                Some(rank) => pairs.push(Wanted::Speaker(rank)),
                None => return unacceptable("the offer has more sections than there are ranks"),
            }
        }
        let (Some(wanted), Some(mid)) = (pairs.get(pair), &section.mid) else {
            return unacceptable("a media section has no mid");
        };
        let mid = Mid::new(mid.as_str());
        let source = match wanted {
            Wanted::Speaker(speaker) => Some(SlotSource::Speaker { speaker: *speaker }),
            Wanted::Participant(identity) => {
                watches.push(Watch { mid: mid.clone(), identity: identity.clone(), source });
                None
            }
        };
        slots.push(SlotOffer { mid, source, group: Some(format!("pair-{pair}")) });
    }
    if slots.is_empty() {
        return unacceptable("the offer receives no audio and no video");
    }
    Ok((Description { sdp, publications: Vec::new(), slots, channels: Vec::new() }, watches))
}

fn unacceptable<T>(message: &str) -> Result<T, ProtocolError> {
    Err(ProtocolError::new(ErrorCode::InvalidSdp, message))
}

#[cfg(test)]
mod tests {
    use patchbay_sdp::Limits;

    use super::*;

    fn offer(sections: &[(&str, &str)]) -> Offer {
        let mut text = String::from("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
        for index in 0..sections.len() {
            text += &format!(" {index}");
        }
        text += "\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
        text += &format!("a=fingerprint:sha-256 {}\r\na=setup:actpass\r\n", ["AB"; 32].join(":"));
        for (index, (media, direction)) in sections.iter().enumerate() {
            let codec = if *media == "audio" { "opus/48000/2" } else { "VP8/90000" };
            text += &format!("m={media} 9 UDP/TLS/RTP/SAVPF 100\r\nc=IN IP4 0.0.0.0\r\na=mid:{index}\r\n");
            text += &format!("a=rtcp-mux\r\na={direction}\r\na=rtpmap:100 {codec}\r\n");
        }
        Offer::parse(&text, &Limits::default()).unwrap()
    }

    #[test]
    fn sources_are_read() {
        let wanted = parse_sources("speaker:2,participant:ada lovelace").unwrap();
        assert_eq!(wanted, [Wanted::Speaker(2), Wanted::Participant("ada lovelace".into())]);
        for bad in ["", "speaker:0", "speaker:65", "speaker", "participant:", "track:1", "speaker:1,"] {
            assert_eq!(parse_sources(bad).unwrap_err().code, ErrorCode::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn publications_follow_the_order_of_sections() {
        let described = publications(
            String::new(),
            &offer(&[("video", "sendonly"), ("audio", "sendonly"), ("video", "sendonly")]),
        )
        .unwrap();
        let sources: Vec<Source> =
            described.publications.iter().map(|publication| publication.source).collect();
        assert_eq!(sources, [Source::Camera, Source::Microphone, Source::Screen]);
        assert!(publications(String::new(), &offer(&[("audio", "recvonly")])).is_err());
        let many = [("audio", "sendonly"); 3];
        assert_eq!(publications(String::new(), &offer(&many)).unwrap_err().code, ErrorCode::InvalidSdp);
    }

    #[test]
    fn slots_pair_up_and_further_ones_follow_speakers() {
        let sections =
            [("audio", "recvonly"), ("video", "recvonly"), ("video", "recvonly"), ("video", "recvonly")];
        let wanted = [Wanted::Speaker(1), Wanted::Participant("ada".into())];
        let (described, watches) = slots(String::new(), &offer(&sections), &wanted).unwrap();
        let sources: Vec<Option<SlotSource>> = described.slots.iter().map(|slot| slot.source).collect();
        let speaker = |speaker| Some(SlotSource::Speaker { speaker });
        assert_eq!(sources, [speaker(1), speaker(1), None, speaker(2)]);
        assert_eq!(described.slots[0].group, described.slots[1].group);
        assert_eq!(watches.len(), 1);
        assert_eq!((watches[0].mid.as_str(), watches[0].source), ("2", Source::Camera));
    }
}
