//! Why there is no media, and what to do about it: from a timeline to a cause, in words.
//!
//! A pure function of what is known. It is right about what the server saw; where several causes look alike from here,
//! the words name them all.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use patchbay_protocol::{CheckRefusal, FailCode, Step, TimelineStep, TroubleKind};
use serde::Serialize;

/// A join that takes longer than this is worth a look.
pub(crate) const SLOW: Duration = Duration::from_secs(4);

/// What is known of a join.
pub(super) struct Evidence<'a> {
    pub(super) steps: &'a [TimelineStep],
    pub(super) troubles: &'a [(TroubleKind, String)],
    /// Where the signaling connection came from, if not through a proxy.
    pub(super) client: Option<IpAddr>,
    /// Time since the join.
    pub(super) elapsed: Duration,
}

/// Why there is no media. Names are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    /// The server announces nothing.
    NoAddress,
    /// The client has only IPv6 and the server only IPv4, or the other way round.
    FamilyMismatch,
    /// The client is outside and the server announces inside addresses only.
    AddressNotReachable,
    /// No check arrived, for whatever reason.
    NoChecks,
    /// Checks of another negotiation.
    BadPassword,
    /// ICE worked, DTLS never began.
    DtlsNeverBegan,
    /// DTLS began and never ended.
    DtlsStuck,
    /// DTLS was refused.
    DtlsRefused,
    /// Not the certificate that was promised.
    FingerprintMismatch,
    /// It worked and then nothing came any more.
    WentSilent,
    /// TURN does not take the credentials.
    TurnRefused,
    /// TURN does not answer.
    TurnUnreachable,
    /// The server's own fault.
    Internal,
}

/// A cause with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Diagnosis {
    pub(super) cause: Cause,
    pub(super) words: String,
    pub(super) remedy: &'static str,
}

/// Says what is wrong, if anything is.
pub(super) fn diagnose(evidence: &Evidence<'_>) -> Option<Diagnosis> {
    let failure = evidence.steps.iter().find_map(|it| match &it.step {
        Step::Failed { reason, words } => Some((*reason, words.as_str(), it.at_ms)),
        _ => None,
    });
    let connected_at = time_of(evidence, |step| matches!(step, Step::DtlsDone { .. }));
    let turn = turn_trouble(evidence.troubles);
    match (failure, connected_at) {
        (None, Some(_)) => turn,
        (None, None) if evidence.elapsed < SLOW => turn,
        (None, None) => Some(unconnected(evidence, stage(evidence), turn, "")),
        (Some((code, words, at_ms)), _) => Some(match code {
            FailCode::FingerprintMismatch => Diagnosis {
                cause: Cause::FingerprintMismatch,
                words: words.to_owned(),
                remedy: "Something between the client and this server rewrote the SDP or the DTLS traffic: look for a \
                         proxy or an SDP-editing client. If a client keeps certificates, let it make a new one.",
            },
            FailCode::Silent => silent(evidence, connected_at.unwrap_or(0), at_ms),
            FailCode::Internal => Diagnosis {
                cause: Cause::Internal,
                words: words.to_owned(),
                remedy: "This is a fault of the server: please report it with its log.",
            },
            code => unconnected(evidence, code, turn, words),
        }),
    }
}

/// How far a join has come that is not over yet.
fn stage(evidence: &Evidence<'_>) -> FailCode {
    let has = |test: fn(&Step) -> bool| time_of(evidence, test).is_some();
    if has(|step| matches!(step, Step::DtlsBegun {})) {
        FailCode::DtlsTimeout
    } else if has(|step| matches!(step, Step::Path { .. })) {
        FailCode::DtlsNeverBegan
    } else if has(
        |step| matches!(step, Step::CheckRefused { reason, .. } if *reason != CheckRefusal::Malformed),
    ) {
        FailCode::BadPassword
    } else {
        FailCode::NoCheck
    }
}

fn unconnected(evidence: &Evidence<'_>, code: FailCode, turn: Option<Diagnosis>, words: &str) -> Diagnosis {
    match code {
        FailCode::BadPassword => Diagnosis {
            cause: Cause::BadPassword,
            words: "Connectivity checks arrived, but none with the password of this connection.".to_owned(),
            remedy: "The client uses an old answer, or something rewrote the SDP: reload the page. If it stays, two \
                     servers may share this address and port.",
        },
        FailCode::DtlsNeverBegan => Diagnosis {
            cause: Cause::DtlsNeverBegan,
            words: "Connectivity checks succeeded, but no DTLS message of the client came.".to_owned(),
            remedy: "A firewall lets STUN pass and drops DTLS, or the way loses large packets (MTU under 1280, a VPN \
                     without fragmentation): allow UDP to the media port as a whole, and check the path's MTU.",
        },
        FailCode::DtlsTimeout => Diagnosis {
            cause: Cause::DtlsStuck,
            words: "The DTLS handshake began and did not finish.".to_owned(),
            remedy: "Packets of a certain size are lost on the way, typically by a tunnel or VPN with a small MTU and \
                     filtered ICMP: lower the MTU of the tunnel's interface, or let 'packet too big' pass.",
        },
        FailCode::DtlsHandshake => Diagnosis {
            cause: Cause::DtlsRefused,
            words: words.to_owned(),
            remedy: "The client and this server have no DTLS in common, or the client refused this server's \
                     certificate: something may have altered the answer's fingerprint on its way.",
        },
        _ => turn.unwrap_or_else(|| no_checks(evidence)),
    }
}

fn no_checks(evidence: &Evidence<'_>) -> Diagnosis {
    let announced: Vec<SocketAddr> = evidence
        .steps
        .iter()
        .find_map(|it| if let Step::Answered { candidates } = &it.step { Some(candidates) } else { None })
        .into_iter()
        .flatten()
        .filter_map(|text| text.trim_end_matches("/tcp").parse().ok())
        .collect();
    let list = |addresses: &[SocketAddr]| {
        let mut texts: Vec<String> = Vec::new();
        for text in addresses.iter().map(ToString::to_string) {
            // UDP and TCP have the same.
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts.join(", ")
    };
    if announced.is_empty() {
        return Diagnosis {
            cause: Cause::NoAddress,
            words: "The server announces no address for media.".to_owned(),
            remedy: "Give the server a network or --public-ip; on a machine without any, --announce-loopback.",
        };
    }
    if let Some(client) = evidence.client.map(|ip| ip.to_canonical()) {
        let is_other = |it: &SocketAddr| it.is_ipv4() != client.is_ipv4();
        if !client.is_loopback() && announced.iter().all(is_other) {
            let (has, wants) = if client.is_ipv4() { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
            return Diagnosis {
                cause: Cause::FamilyMismatch,
                words: format!(
                    "The client comes by {wants}, and the server announces {has} only: {}.",
                    list(&announced)
                ),
                remedy: "Give the server an address of the client's kind and have it announced (--public-ip), or a \
                         TURN server that has both.",
            };
        }
        if is_public(client) && announced.iter().all(|it| !is_public(it.ip())) {
            return Diagnosis {
                cause: Cause::AddressNotReachable,
                words: format!(
                    "The client is at {client}, and the server announces private addresses only: {}.",
                    list(&announced)
                ),
                remedy: "Tell the server its public address with --public-ip, and forward its media ports to it.",
            };
        }
    }
    Diagnosis {
        cause: Cause::NoChecks,
        words: format!("Signaling works, but nothing arrived on the media addresses {}.", list(&announced)),
        remedy: "Either one of these addresses is not this server's (check --public-ip with patchbay doctor), or a \
                 firewall drops UDP and TCP to the media ports: open them, or offer TURN over TLS on port 443.",
    }
}

fn silent(evidence: &Evidence<'_>, connected_at: u64, at_ms: u64) -> Diagnosis {
    let lived = at_ms.saturating_sub(connected_at) / 1_000;
    let words = if time_of(evidence, |step| matches!(step, Step::MediaIn {} | Step::MediaOut {})).is_some() {
        format!("The connection worked, and {lived} s after it was made nothing had come for a while.")
    } else {
        format!("The connection was made and carried no media; {lived} s later nothing had come for a while.")
    };
    Diagnosis {
        cause: Cause::WentSilent,
        words,
        remedy: "The client lost its network, was suspended, or a firewall or NAT on the way forgot the connection: \
                 look for a short UDP timeout there (30 s is common) and raise it.",
    }
}

fn turn_trouble(troubles: &[(TroubleKind, String)]) -> Option<Diagnosis> {
    let of = |kind: TroubleKind| troubles.iter().find(|(it, _)| *it == kind).map(|(_, detail)| detail);
    if let Some(detail) = of(TroubleKind::TurnRefused) {
        return Some(Diagnosis {
            cause: Cause::TurnRefused,
            words: format!("A TURN server refused the credentials ({detail})."),
            remedy: "--turn-secret and coturn's static-auth-secret differ, or the clocks of the two machines do.",
        });
    }
    of(TroubleKind::TurnUnreachable).map(|detail| Diagnosis {
        cause: Cause::TurnUnreachable,
        words: format!("A TURN or STUN server did not answer ({detail})."),
        remedy: "Check that it runs and that its ports are open to clients: patchbay doctor asks it.",
    })
}

fn time_of(evidence: &Evidence<'_>, test: impl Fn(&Step) -> bool) -> Option<u64> {
    evidence.steps.iter().find(|it| test(&it.step)).map(|it| it.at_ms)
}

/// Whether an address can be reached from elsewhere (RFC 6890).
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared)
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unspecified() || is_inside(ip)),
    }
}

fn is_inside(ip: Ipv6Addr) -> bool {
    ip.is_unique_local() || ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(steps: &[(u64, Step)]) -> Vec<TimelineStep> {
        steps.iter().map(|(at_ms, step)| TimelineStep { at_ms: *at_ms, step: step.clone() }).collect()
    }

    fn answered(addresses: &[&str]) -> (u64, Step) {
        (0, Step::Answered { candidates: addresses.iter().map(|it| (*it).to_owned()).collect() })
    }

    fn path() -> (u64, Step) {
        (50, Step::Path { from: "198.51.100.1:5".into(), tcp: false })
    }

    fn failed(at_ms: u64, reason: FailCode) -> (u64, Step) {
        (at_ms, Step::Failed { reason, words: "words".into() })
    }

    fn cause(given: &[(u64, Step)], client: Option<&str>, seconds: u64) -> Option<Cause> {
        let evidence = Evidence {
            steps: &steps(given),
            troubles: &[],
            client: client.map(|it| it.parse().unwrap()),
            elapsed: Duration::from_secs(seconds),
        };
        diagnose(&evidence).map(|it| it.cause)
    }

    #[test]
    fn what_works_or_is_young_has_no_cause() {
        let connected = (200, Step::DtlsDone { srtp_profile: "x".into() });
        assert_eq!(cause(&[answered(&["192.0.2.1:1"]), path(), connected], None, 60), None);
        assert_eq!(cause(&[answered(&["192.0.2.1:1"])], None, 3), None);
    }

    #[test]
    fn how_far_it_came_tells_what_is_wrong() {
        let announced = answered(&["192.0.2.1:1"]);
        assert_eq!(cause(std::slice::from_ref(&announced), None, 5), Some(Cause::NoChecks));
        let refused = |reason| (10, Step::CheckRefused { from: "a".into(), reason });
        let stale = refused(CheckRefusal::BadPassword);
        assert_eq!(cause(&[announced.clone(), stale], None, 5), Some(Cause::BadPassword));
        assert_eq!(
            cause(&[announced.clone(), refused(CheckRefusal::Malformed)], None, 5),
            Some(Cause::NoChecks)
        );
        assert_eq!(cause(&[announced.clone(), path()], None, 5), Some(Cause::DtlsNeverBegan));
        let begun = (60, Step::DtlsBegun {});
        assert_eq!(cause(&[announced, path(), begun], None, 5), Some(Cause::DtlsStuck));
    }

    #[test]
    fn failures_keep_their_cause() {
        for (code, expected) in [
            (FailCode::NoCheck, Cause::NoChecks),
            (FailCode::BadPassword, Cause::BadPassword),
            (FailCode::DtlsNeverBegan, Cause::DtlsNeverBegan),
            (FailCode::DtlsTimeout, Cause::DtlsStuck),
            (FailCode::DtlsHandshake, Cause::DtlsRefused),
            (FailCode::FingerprintMismatch, Cause::FingerprintMismatch),
            (FailCode::Silent, Cause::WentSilent),
            (FailCode::Internal, Cause::Internal),
        ] {
            assert_eq!(cause(&[answered(&["192.0.2.1:1"]), failed(20_000, code)], None, 20), Some(expected));
        }
    }

    #[test]
    fn addresses_that_cannot_be_reached_are_named() {
        let given = |addresses: &[&str]| [answered(addresses), failed(20_000, FailCode::NoCheck)];
        assert_eq!(cause(&given(&[]), None, 20), Some(Cause::NoAddress));
        let private = given(&["10.0.0.5:7882", "[fd00::5]:7882"]);
        assert_eq!(cause(&private, Some("8.8.8.8"), 20), Some(Cause::AddressNotReachable));
        assert_eq!(cause(&private, Some("10.0.0.9"), 20), Some(Cause::NoChecks));
        assert_eq!(cause(&private, None, 20), Some(Cause::NoChecks));
        let only_v4 = given(&["192.0.2.1:7882", "192.0.2.1:7882/tcp"]);
        assert_eq!(cause(&only_v4, Some("2001:db8::9"), 20), Some(Cause::FamilyMismatch));
        assert_eq!(cause(&only_v4, Some("::ffff:10.0.0.9"), 20), Some(Cause::NoChecks));
    }

    #[test]
    fn silence_says_how_long_it_worked() {
        let given = steps(&[
            path(),
            (200, Step::DtlsDone { srtp_profile: "x".into() }),
            (300, Step::MediaIn {}),
            failed(45_200, FailCode::Silent),
        ]);
        let evidence =
            Evidence { steps: &given, troubles: &[], client: None, elapsed: Duration::from_secs(46) };
        let words = diagnose(&evidence).unwrap().words;
        assert!(words.contains("45 s after"), "{words}");
    }

    #[test]
    fn turn_is_to_blame_when_nothing_else_arrived() {
        let troubles = [(TroubleKind::TurnRefused, "turn:t: 401".to_owned())];
        let given = steps(&[answered(&["192.0.2.1:1"]), failed(20_000, FailCode::NoCheck)]);
        let mut evidence = Evidence { steps: &given, troubles: &troubles, client: None, elapsed: SLOW };
        assert_eq!(diagnose(&evidence).unwrap().cause, Cause::TurnRefused);
        let given = steps(&[path(), failed(20_000, FailCode::DtlsTimeout)]);
        evidence.steps = &given;
        assert_eq!(diagnose(&evidence).unwrap().cause, Cause::DtlsStuck);
        evidence.steps = &[];
        evidence.elapsed = Duration::ZERO;
        assert_eq!(diagnose(&evidence).unwrap().cause, Cause::TurnRefused);
    }
}
