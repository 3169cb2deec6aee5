//! SDP fragments of trickle ICE (RFC 8840, `application/trickle-ice-sdpfrag`), as WHIP and WHEP exchange them.

use std::fmt;

use crate::candidate::Candidate;
use crate::error::{Limits, SdpError};
use crate::id::Mid;
use crate::security::IceCredentials;
use crate::text::lines;

/// A fragment: credentials, and candidates by media section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fragment {
    /// Credentials, if both parts are given. Other ones than before are an ICE restart.
    pub ice: Option<IceCredentials>,
    /// Whether no candidates follow, for any section.
    pub end_of_candidates: bool,
    /// Whether the sender is ICE-lite.
    pub ice_lite: bool,
    /// Sections in order. Candidates before the first `m=` line form one without a mid.
    pub sections: Vec<FragmentSection>,
}

/// Candidates of one media section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FragmentSection {
    /// Which section.
    pub mid: Option<Mid>,
    /// Its candidates; those of unknown transports are left out.
    pub candidates: Vec<Candidate>,
    /// Whether no candidates follow.
    pub end_of_candidates: bool,
}

impl Fragment {
    /// Reads a fragment. Credentials may stand at either level; the first ones count.
    ///
    /// # Errors
    /// [`SdpError`] of the lexical kind, and [`SdpError::Malformed`] for a bad mid or bad credentials.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, SdpError> {
        let mut fragment = Self::default();
        let (mut ufrag, mut pwd): (Option<&str>, Option<&str>) = (None, None);
        let mut credentials_line = 0;
        let mut is_in_section = false;
        for line in lines(text, limits)? {
            let line = line?;
            if line.kind == b'm' {
                if fragment.sections.len() >= limits.sections {
                    let what = "media sections";
                    return Err(SdpError::TooMany { line: line.number, what, limit: limits.sections });
                }
                fragment.sections.push(FragmentSection::default());
                is_in_section = true;
            }
            if line.kind != b'a' {
                continue;
            }
            let (name, value) = line.attribute();
            match name {
                "ice-ufrag" if ufrag.is_none() => {
                    ufrag = Some(value.trim());
                    credentials_line = line.number;
                }
                "ice-pwd" if pwd.is_none() => {
                    pwd = Some(value.trim());
                    credentials_line = line.number;
                }
                "ice-lite" => fragment.ice_lite = true,
                "end-of-candidates" if !is_in_section => fragment.end_of_candidates = true,
                "end-of-candidates" => {
                    if let Some(section) = fragment.sections.last_mut() {
                        section.end_of_candidates = true;
                    }
                }
                "mid" => {
                    let mid = Mid::new(value.trim()).ok_or_else(|| line.malformed("a=mid"))?;
                    match fragment.sections.last_mut() {
                        Some(section) if is_in_section => section.mid = Some(mid),
                        // Some clients leave the m= line out.
                        _ => {
                            fragment.sections.push(FragmentSection { mid: Some(mid), ..Default::default() });
                            is_in_section = true;
                        }
                    }
                }
                "candidate" => {
                    if fragment.sections.is_empty() {
                        fragment.sections.push(FragmentSection::default());
                    }
                    if let Some(section) = fragment.sections.last_mut()
                        && section.candidates.len() < limits.candidates
                    {
                        section.candidates.extend(Candidate::parse(value));
                    }
                }
                _ => {}
            }
        }
        fragment.ice = match (ufrag, pwd) {
            (Some(ufrag), Some(pwd)) => {
                let malformed = SdpError::Malformed { line: credentials_line, what: "ICE credentials" };
                Some(IceCredentials::new(ufrag, pwd).ok_or(malformed)?)
            }
            _ => None,
        };
        Ok(fragment)
    }

    /// All candidates, whatever section they stand in.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.sections.iter().flat_map(|section| &section.candidates)
    }
}

impl fmt::Display for Fragment {
    /// The text, with pseudo `m=` lines as RFC 8840, section 9 has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        if let Some(ice) = &self.ice {
            write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.ufrag, ice.pwd)?;
        }
        if self.end_of_candidates {
            f.write_str("a=end-of-candidates\r\n")?;
        }
        for section in &self.sections {
            if let Some(mid) = &section.mid {
                write!(f, "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\n")?;
            }
            for candidate in &section.candidates {
                write!(f, "a={candidate}\r\n")?;
            }
            if section.end_of_candidates {
                f.write_str("a=end-of-candidates\r\n")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_9725: &str = "a=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
        a=mid:0\r\n\
        a=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
        a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0\r\n\
        a=end-of-candidates\r\n";

    #[test]
    fn reads_and_writes_what_whip_sends() {
        let fragment = Fragment::parse(RFC_9725, &Limits::default()).unwrap();
        assert_eq!(fragment.ice.as_ref().unwrap().ufrag, "EsAw");
        assert_eq!(fragment.sections.len(), 1);
        assert_eq!(fragment.sections[0].mid, Mid::new("0"));
        assert_eq!(fragment.candidates().count(), 2);
        assert!(fragment.sections[0].end_of_candidates);
        assert_eq!(Fragment::parse(&fragment.to_string(), &Limits::default()).unwrap(), fragment);
    }

    #[test]
    fn takes_candidates_without_sections() {
        let text = "a=ice-ufrag:EsAw\na=candidate:1 1 udp 1 192.0.2.1 7 typ host\n";
        let fragment = Fragment::parse(text, &Limits::default()).unwrap();
        assert_eq!(fragment.ice, None);
        assert_eq!(fragment.sections[0].mid, None);
        assert_eq!(fragment.candidates().count(), 1);
    }

    #[test]
    fn refuses_bad_credentials() {
        let text = "a=ice-ufrag:Es\na=ice-pwd:short\n";
        assert!(matches!(
            Fragment::parse(text, &Limits::default()),
            Err(SdpError::Malformed { line: 2, .. })
        ));
    }
}
