//! Reads what a client needs of an answer.

use patchbay_sdp::{Candidate, Fingerprint, IceCredentials};

use crate::peer::PeerError;

/// An answer, as far as a client needs it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The server's ICE credentials.
    pub ice: IceCredentials,
    /// Fingerprints of the server's certificate, by SHA-256.
    pub fingerprints: Vec<Fingerprint>,
    /// Whether the server begins DTLS (`a=setup:active`). Ours never does, unless the offer insists.
    pub is_dtls_client: bool,
    /// The server's candidates.
    pub candidates: Vec<Candidate>,
    /// The server's `a=max-message-size`, if data was accepted.
    pub max_message_bytes: Option<u64>,
    /// Its sections, in order.
    pub sections: Vec<AnswerSection>,
}

/// One section of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerSection {
    /// Its mid.
    pub mid: String,
    /// `audio`, `video` or `application`.
    pub media: String,
    /// False if it was refused with port 0.
    pub is_accepted: bool,
    /// Payload types that were kept.
    pub payload_types: Vec<u8>,
    /// What the server sends on, if it is a slot.
    pub ssrc: Option<u32>,
    /// Retransmissions of it.
    pub rtx_ssrc: Option<u32>,
    /// Stream and track id.
    pub msid: Option<String>,
    /// Header extension ids that were kept, with their URIs.
    pub extensions: Vec<(u8, String)>,
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`PeerError::Answer`] names what is missing.
    pub fn parse(sdp: &str) -> Result<Self, PeerError> {
        let (mut ufrag, mut pwd) = (None, None);
        let mut fingerprints = Vec::new();
        let mut candidates = Vec::new();
        let mut max_message_bytes = None;
        let mut is_dtls_client = false;
        let mut sections: Vec<AnswerSection> = Vec::new();
        for line in sdp.lines() {
            let line = line.trim_end();
            if let Some(media) = line.strip_prefix("m=") {
                sections.push(media_line(media));
                continue;
            }
            let Some((name, value)) =
                line.strip_prefix("a=").map(|it| it.split_once(':').unwrap_or((it, "")))
            else {
                continue;
            };
            match name {
                "ice-ufrag" if ufrag.is_none() => ufrag = Some(value),
                "ice-pwd" if pwd.is_none() => pwd = Some(value),
                "fingerprint" => fingerprints.extend(fingerprint(value)),
                "setup" => is_dtls_client |= value == "active",
                "candidate" => candidates.extend(Candidate::parse(value).ok()),
                "max-message-size" => max_message_bytes = value.parse().ok(),
                _ => {
                    if let Some(section) = sections.last_mut() {
                        section_attribute(section, name, value);
                    }
                }
            }
        }
        candidates.dedup();
        fingerprints.dedup();
        let ice = ufrag.zip(pwd).and_then(|(ufrag, pwd)| IceCredentials::new(ufrag, pwd));
        Ok(Self {
            ice: ice.ok_or(PeerError::Answer("no ICE credentials"))?,
            fingerprints,
            is_dtls_client,
            candidates,
            max_message_bytes,
            sections,
        })
    }

    /// The section with this mid.
    pub fn section(&self, mid: &str) -> Option<&AnswerSection> {
        self.sections.iter().find(|it| it.mid == mid)
    }
}

fn media_line(media: &str) -> AnswerSection {
    let mut words = media.split(' ');
    AnswerSection {
        media: words.next().unwrap_or_default().to_owned(),
        is_accepted: words.next() != Some("0"),
        payload_types: words.skip(1).filter_map(|it| it.parse().ok()).collect(),
        ..AnswerSection::default()
    }
}

fn section_attribute(section: &mut AnswerSection, name: &str, value: &str) {
    let number = |word: &str| word.parse::<u32>().ok();
    match name {
        "mid" => value.clone_into(&mut section.mid),
        "msid" => section.msid = Some(value.to_owned()),
        "ssrc-group" => {
            let mut words = value.split(' ');
            if words.next() == Some("FID") {
                section.ssrc = words.next().and_then(number);
                section.rtx_ssrc = words.next().and_then(number);
            }
        }
        "ssrc" if section.ssrc.is_none() => section.ssrc = value.split(' ').next().and_then(number),
        "extmap" => {
            let id = value.split([' ', '/']).next().and_then(|it| it.parse().ok());
            if let Some((id, uri)) = id.zip(value.split(' ').nth(1)) {
                section.extensions.push((id, uri.to_owned()));
            }
        }
        _ => {}
    }
}

fn fingerprint(value: &str) -> Option<Fingerprint> {
    let (name, digest) = value.split_once(' ')?;
    let bytes: Option<Vec<u8>> = digest.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    let digest: [u8; 32] = bytes?.try_into().ok()?;
    name.eq_ignore_ascii_case("sha-256").then(|| Fingerprint::sha256(digest))
}
