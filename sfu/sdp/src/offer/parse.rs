//! The session level of an offer, and what follows from all sections together.

use std::collections::BTreeSet;

use super::section::SectionParser;
use super::{Direction, MediaKind, Offer, OfferedSection};
use crate::error::{Limits, Refusal, SdpError};
use crate::extension::OfferedExtension;
use crate::id::Mid;
use crate::security::{Fingerprint, IceCredentials, Setup};
use crate::text::{Line, lines};

/// What may stand at session or at media level, the latter winning.
#[derive(Debug, Clone, Default)]
pub(super) struct Security {
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprints: Vec<Fingerprint>,
    has_fingerprint_line: bool,
    setup: Option<Setup>,
    trickle: bool,
}

impl Security {
    /// More than one per hash function makes no sense.
    const MAX_FINGERPRINTS: usize = 8;

    /// Takes an attribute if it is one of its own.
    pub(super) fn handle(&mut self, line: &Line<'_>, name: &str, value: &str) -> Result<bool, SdpError> {
        match name {
            "ice-ufrag" => self.ufrag = Some(value.trim().to_owned()),
            "ice-pwd" => self.pwd = Some(value.trim().to_owned()),
            "fingerprint" => {
                self.has_fingerprint_line = true;
                let parsed = Fingerprint::parse(value).map_err(|()| line.malformed("a=fingerprint"))?;
                if let Some(fingerprint) = parsed.filter(|_| self.fingerprints.len() < Self::MAX_FINGERPRINTS)
                {
                    self.fingerprints.push(fingerprint);
                }
            }
            "setup" => self.setup = Some(Setup::parse(value).ok_or_else(|| line.malformed("a=setup"))?),
            "ice-options" => self.trickle |= value.split_ascii_whitespace().any(|option| option == "trickle"),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

pub(super) fn offer(text: &str, limits: &Limits) -> Result<Offer, SdpError> {
    let mut session = Session::default();
    let mut sections: Vec<SectionParser> = Vec::new();
    let mut is_first = true;
    for line in lines(text, limits)? {
        let line = match line {
            Ok(line) => line,
            Err(_) if is_first => return Err(SdpError::NotSdp),
            Err(error) => return Err(error),
        };
        if std::mem::take(&mut is_first) {
            if line.kind != b'v' || line.value.trim() != "0" {
                return Err(SdpError::NotSdp);
            }
            continue;
        }
        match (line.kind, sections.last_mut()) {
            (b'm', _) => {
                if sections.len() >= limits.sections {
                    let what = "media sections";
                    return Err(SdpError::TooMany { line: line.number, what, limit: limits.sections });
                }
                sections.push(SectionParser::begin(&line)?);
            }
            (b'a', Some(section)) => section.attribute(&line, limits)?,
            (b'a', None) => session.attribute(&line, limits)?,
            _ => {}
        }
    }
    if is_first {
        return Err(SdpError::NotSdp);
    }
    session.finish(sections)
}

#[derive(Debug, Default)]
struct Session {
    security: Security,
    ice_lite: bool,
    extmap_allow_mixed: bool,
    bundle: Vec<Mid>,
    direction: Option<Direction>,
    extensions: Vec<OfferedExtension>,
}

impl Session {
    fn attribute(&mut self, line: &Line<'_>, limits: &Limits) -> Result<(), SdpError> {
        let (name, value) = line.attribute();
        if self.security.handle(line, name, value)? {
            return Ok(());
        }
        match name {
            "ice-lite" => self.ice_lite = true,
            "extmap-allow-mixed" => self.extmap_allow_mixed = true,
            "extmap" if self.extensions.len() < limits.extensions => {
                self.extensions.extend(OfferedExtension::parse(value));
            }
            "group" => {
                // Only the first BUNDLE group counts: one transport is all there is.
                let mut words = value.split_ascii_whitespace();
                if words.next() == Some("BUNDLE") && self.bundle.is_empty() {
                    self.bundle = words
                        .take(limits.sections)
                        .map(Mid::new)
                        .collect::<Option<_>>()
                        .ok_or_else(|| line.malformed("a=group"))?;
                }
            }
            _ => self.direction = Direction::from_name(name).or(self.direction),
        }
        Ok(())
    }

    fn finish(self, parsers: Vec<SectionParser>) -> Result<Offer, SdpError> {
        if parsers.is_empty() {
            return Err(SdpError::NoSections);
        }
        let bundled: BTreeSet<&Mid> = self.bundle.iter().collect();
        let mut seen = BTreeSet::new();
        let mut sections: Vec<OfferedSection> = Vec::with_capacity(parsers.len());
        let mut securities = Vec::with_capacity(parsers.len());
        let mut allow_mixed = self.extmap_allow_mixed;
        let mut has_unbundled = false;
        for (index, parser) in parsers.into_iter().enumerate() {
            allow_mixed |= parser.extmap_allow_mixed;
            let port = parser.port;
            let is_bundle_only = parser.is_bundle_only;
            let (mut section, security) = parser.finish(self.direction, &self.extensions);
            let in_bundle = section.mid.as_ref().is_some_and(|mid| bundled.contains(mid));
            if port == 0 && !is_bundle_only && !in_bundle {
                section.refusal = Some(Refusal::Stopped);
            } else if section.mid.is_none() {
                return Err(SdpError::MissingMid { index });
            } else if section.refusal.is_none() && !in_bundle {
                // Without BUNDLE a single section still is a whole transport.
                if !self.bundle.is_empty() || std::mem::replace(&mut has_unbundled, true) {
                    section.refusal = Some(Refusal::NotBundled);
                }
            }
            if let Some(mid) = &section.mid
                && !seen.insert(mid.clone())
            {
                return Err(SdpError::DuplicateMid(mid.clone()));
            }
            sections.push(section);
            securities.push(security);
        }

        let security = self.transport_security(&sections, securities);
        let (Some(ufrag), Some(pwd)) = (security.ufrag, security.pwd) else {
            return Err(SdpError::MissingIceCredentials);
        };
        let ice = IceCredentials::new(&ufrag, &pwd).ok_or(SdpError::MissingIceCredentials)?;
        if security.fingerprints.is_empty() {
            return Err(SdpError::MissingFingerprint);
        }
        Ok(Offer {
            ice,
            ice_lite: self.ice_lite,
            ice_trickle: security.trickle,
            fingerprints: security.fingerprints,
            setup: security.setup.unwrap_or(Setup::ActPass),
            bundle: self.bundle,
            extmap_allow_mixed: allow_mixed,
            sections,
        })
    }

    /// The security attributes of the one transport: what the section named first in BUNDLE says, else the first
    /// section that says anything, each completed from the session level.
    fn transport_security(&self, sections: &[OfferedSection], mut securities: Vec<Security>) -> Security {
        let says_something = |security: &Security| security.ufrag.is_some() || security.has_fingerprint_line;
        let tagged = self
            .bundle
            .first()
            .and_then(|tag| sections.iter().position(|section| section.mid.as_ref() == Some(tag)))
            .filter(|index| securities.get(*index).is_some_and(says_something));
        let usable = || {
            let pairs = sections.iter().zip(&securities);
            pairs
                .clone()
                .position(|(section, security)| section.refusal.is_none() && says_something(security))
        };
        let session = self.security.clone();
        let Some(index) = tagged.or_else(usable).filter(|index| *index < securities.len()) else {
            return session;
        };
        let section = securities.swap_remove(index);
        // User name and password are one thing: never mix levels.
        let (ufrag, pwd) = match (section.ufrag, section.pwd) {
            (Some(ufrag), Some(pwd)) => (Some(ufrag), Some(pwd)),
            _ => (session.ufrag, session.pwd),
        };
        Security {
            ufrag,
            pwd,
            fingerprints: if section.has_fingerprint_line {
                section.fingerprints
            } else {
                session.fingerprints
            },
            has_fingerprint_line: true,
            setup: section.setup.or(session.setup),
            trickle: section.trickle || session.trickle,
        }
    }
}

/// Whether a `m=` line's protocol can run over the one DTLS transport.
pub(super) fn is_supported_protocol(kind: MediaKind, protocol: &str) -> bool {
    match kind {
        MediaKind::Application => matches!(protocol, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP"),
        // RFC 9429, section 5.1.2: what is called SAVP here and there is DTLS-SRTP all the same.
        MediaKind::Audio | MediaKind::Video => matches!(
            protocol,
            "UDP/TLS/RTP/SAVPF"
                | "TCP/TLS/RTP/SAVPF"
                | "UDP/TLS/RTP/SAVP"
                | "TCP/TLS/RTP/SAVP"
                | "RTP/SAVPF"
                | "RTP/SAVP"
        ),
    }
}
