//! Real offers and the answers they get: `tests/golden/NAME.offer.sdp` and `NAME.answer.sdp`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p patchbay-sdp --test golden` rewrites the answers; read the difference before
//! committing it, as every line of it is seen by browsers.

mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use patchbay_sdp::{
    Codec, Direction, DtlsRole, Extension, Fragment, H264Profile, Limits, MediaKind, Mid, NegotiatedSection,
    Offer, PayloadType, Policy, Refusal, SdpError, SectionChoice,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn offer_text(name: &str) -> String {
    let path = folder().join(format!("{name}.offer.sdp"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".offer.sdp")?.to_owned()))
        .collect();
    names.sort();
    names
}

#[test]
fn answers_are_as_recorded() {
    let names = names();
    assert!(names.len() >= 20, "only {} offers", names.len());
    let mut different = Vec::new();
    for name in &names {
        let (_, answer) =
            fixture::answer(&offer_text(name), 1).unwrap_or_else(|error| panic!("{name}: {error}"));
        let path = folder().join(format!("{name}.answer.sdp"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &answer.sdp).unwrap();
        } else if fs::read_to_string(&path).ok().as_ref() != Some(&answer.sdp) {
            different.push(name);
        }
    }
    assert!(different.is_empty(), "different answers than recorded: {different:?}");
}

/// What any answer must be like, whoever offers.
#[test]
fn answers_fit_their_offers() {
    for name in names() {
        let text = offer_text(&name);
        let (offer, answer) = fixture::answer(&text, 1).unwrap();
        assert_eq!(answer.dtls_role, DtlsRole::Server, "{name}");
        assert_eq!(answer.sections.len(), offer.sections.len(), "{name}");
        let media = |sdp: &str| sdp.lines().filter(|line| line.starts_with("m=")).count();
        assert_eq!(media(&answer.sdp), media(&text), "{name}");
        assert_eq!(answer.sdp.matches("a=end-of-candidates\r\n").count(), 1, "{name}");
        assert!(answer.sdp.lines().all(|line| line.as_bytes()[1] == b'='), "{name}");

        let mut ssrcs = BTreeSet::new();
        for (offered, section) in offer.sections.iter().zip(&answer.sections) {
            assert_eq!(section.mid, offered.mid, "{name}");
            // Nothing that real clients offer is refused, except what they stopped and the offers made for that.
            if section.refusal == Some(Refusal::NoCommonCodec) && name.contains("pcmu") {
                continue;
            }
            assert!(
                matches!(section.refusal, None | Some(Refusal::Stopped)),
                "{name}: {:?}",
                section.refusal
            );
            assert_eq!(section.publish, offered.is_publication(), "{name}");
            assert_eq!(section.slot.is_some(), offered.is_slot(), "{name}");
            if let Some(slot) = &section.slot {
                assert!(ssrcs.insert(slot.ssrc), "{name}");
                assert_eq!(
                    slot.rtx_ssrc.is_some(),
                    section.codecs.iter().any(|codec| codec.rtx_payload_type.is_some())
                );
            }
            for codec in &section.codecs {
                assert!(
                    offered.codecs.iter().any(|other| other.payload_type == codec.payload_type),
                    "{name}"
                );
                assert_eq!(section.codec_for(codec.codec).map(|own| own.codec), Some(codec.codec), "{name}");
            }
        }
        // An answer is well-formed by the rules offers are read by.
        let reread = Offer::parse(&answer.sdp, &Limits::default()).unwrap();
        assert_eq!(reread.candidates().count(), 4, "{name}");
        assert!(reread.ice_lite, "{name}");
    }
}

fn negotiated(name: &str) -> Vec<NegotiatedSection> {
    fixture::answer(&offer_text(name), 1).unwrap().1.sections
}

#[test]
fn chromium_slots_carry_every_codec() {
    let sections = negotiated("chromium-slots");
    assert_eq!(sections.len(), 16);
    let [audio, camera] = &sections[..2] else { unreachable!() };
    assert!(audio.publish && camera.publish);
    assert_eq!(audio.codecs[0].codec, Codec::Opus);
    assert!(audio.codecs[0].format.as_str().contains("useinbandfec=1"));
    assert_eq!(audio.codecs.len(), 1);
    assert!(audio.extension_id(Extension::AudioLevel).is_some());
    assert_eq!(camera.codecs[0].codec, Codec::Vp8);
    assert!(camera.codecs[0].nack && camera.codecs[0].pli && camera.codecs[0].fir);
    assert!(!camera.codecs[0].transport_cc && camera.extension_id(Extension::TransportCc).is_none());
    assert_eq!(camera.sources.len(), 1);
    assert!(camera.sources[0].rtx_ssrc.is_some());
    for slot in sections.iter().filter(|section| section.kind == MediaKind::Video && section.slot.is_some()) {
        assert!(slot.extension_id(Extension::Rid).is_none());
        for source in &camera.codecs {
            assert!(slot.codec_for(source.codec).is_some(), "{:?}", source.codec);
        }
    }
    let data = sections.iter().find(|section| section.kind == MediaKind::Application).unwrap();
    assert_eq!((data.sctp_port, data.max_message_size), (Some(5000), Some(262_144)));
}

#[test]
fn firefox_max_bundle_is_not_stopped() {
    let text = offer_text("firefox-slots-maxbundle");
    assert!(text.matches("a=bundle-only").count() > 10);
    let (offer, answer) = fixture::answer(&text, 1).unwrap();
    assert!(offer.sections.iter().all(|section| section.refusal.is_none()));
    assert!(!answer.sdp.lines().any(|line| line.starts_with("m=") && line.contains(" 0 UDP")));
    // The same without the attribute: being in the group is enough.
    let bare = text.replace("a=bundle-only\r\n", "");
    assert_eq!(fixture::answer(&bare, 1).unwrap().1, answer);
}

#[test]
fn a_stopped_section_stays_stopped() {
    let sections = negotiated("firefox-slots-maxbundle-stopped");
    let stopped: Vec<_> =
        sections.iter().filter(|section| section.refusal == Some(Refusal::Stopped)).collect();
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].mid, Mid::new("7"));
}

/// Chromium fails to apply an answer that stops the section its only transport belongs to.
#[test]
fn the_first_section_is_refused_without_stopping_the_transport() {
    for name in ["chromium-pcmu-maxbundle", "firefox-pcmu-maxbundle"] {
        let (_, answer) = fixture::answer(&offer_text(name), 1).unwrap();
        assert_eq!(answer.sections[0].refusal, Some(Refusal::NoCommonCodec), "{name}");
        let reread = Offer::parse(&answer.sdp, &Limits::default()).unwrap();
        assert_eq!(reread.bundle.first().map(Mid::as_str), Some("0"), "{name}");
        assert_eq!(reread.sections[0].direction, Direction::Inactive, "{name}");
    }
}

#[test]
fn h264_and_vp9_across_browsers() {
    let chromium = negotiated("chromium-sendrecv");
    let firefox = negotiated("firefox-whep");
    let [h264] = chromium[1]
        .codecs
        .iter()
        .filter(|codec| {
            matches!(
                codec.codec,
                Codec::H264 { profile: H264Profile::ConstrainedBaseline, packetization_mode: 1, .. }
            )
        })
        .collect::<Vec<_>>()[..]
    else {
        panic!("Chromium offers constrained baseline once");
    };
    assert!(firefox[1].codec_for(h264.codec).is_none(), "this Firefox has no H.264");
    let vp9: Vec<_> =
        chromium[1].codecs.iter().filter(|codec| matches!(codec.codec, Codec::Vp9 { .. })).collect();
    let carried: Vec<bool> = vp9.iter().map(|codec| firefox[1].codec_for(codec.codec).is_some()).collect();
    assert_eq!(carried, [true, false], "Firefox has profile 0 alone, without naming it");
}

#[test]
fn simulcast_is_read_and_not_answered() {
    for name in ["chromium-simulcast", "firefox-simulcast"] {
        let (offer, answer) = fixture::answer(&offer_text(name), 1).unwrap();
        let rids: Vec<&str> = offer.sections[1].rids.iter().map(|rid| rid.rid.as_str()).collect();
        assert_eq!(rids, ["q", "h", "f"], "{name}");
        assert!(!answer.sdp.contains("a=simulcast") && !answer.sdp.contains("a=rid:"), "{name}");
        assert!(answer.sections[1].extension_id(Extension::Rid).is_some(), "{name}");
    }
}

#[test]
fn an_ice_restart_changes_the_credentials_alone() {
    let before = Offer::parse(&offer_text("chromium-sendrecv-maxbundle"), &Limits::default()).unwrap();
    let after = Offer::parse(&offer_text("chromium-sendrecv-maxbundle-restart"), &Limits::default()).unwrap();
    assert_ne!(before.ice, after.ice);
    assert_eq!(before.fingerprints, after.fingerprints);
    let choices = fixture::choices(&before);
    assert_eq!(choices, fixture::choices(&after));
}

#[test]
fn feedback_by_policy() {
    let offer = Offer::parse(&offer_text("chromium-slots"), &Limits::default()).unwrap();
    let policy = Policy { transport_cc: true, remb: true, ..Policy::default() };
    let answer =
        patchbay_sdp::Answer::build(&offer, &fixture::local(1), &fixture::choices(&offer), &policy).unwrap();
    let camera = &answer.sections[1];
    assert!(camera.codecs[0].transport_cc && camera.codecs[0].remb);
    assert!(camera.extension_id(Extension::TransportCc).is_some());
    assert!(camera.extension_id(Extension::AbsSendTime).is_some());
}

#[test]
fn policy_orders_publications_and_narrows_them() {
    let offer = Offer::parse(&offer_text("chromium-slots"), &Limits::default()).unwrap();
    let policy = Policy { publish_codecs: vec![patchbay_sdp::CodecKind::Av1], ..Policy::default() };
    let answer =
        patchbay_sdp::Answer::build(&offer, &fixture::local(1), &fixture::choices(&offer), &policy).unwrap();
    assert_eq!(answer.sections[0].refusal, Some(Refusal::NoCommonCodec), "no Opus for publications");
    assert_eq!(answer.sections[1].codecs.len(), 1);
    assert!(matches!(answer.sections[1].codecs[0].codec, Codec::Av1 { profile: 0 }));
    assert!(answer.sections[6].codecs.len() > 5, "slots keep all");
    // Refused, but the transport is negotiated in it.
    assert!(answer.sdp.contains("a=group:BUNDLE 0 1 2 "));
    let reread = Offer::parse(&answer.sdp, &Limits::default()).unwrap();
    assert_eq!(reread.sections[0].direction, Direction::Inactive);
    assert_eq!(reread.sections[0].candidates.len(), 4);
    assert_eq!(reread.sections[0].refusal, None);
}

#[test]
fn choices_must_fit() {
    let offer = Offer::parse(&offer_text("chromium-sendrecv"), &Limits::default()).unwrap();
    let build = |choices: &[SectionChoice]| {
        patchbay_sdp::Answer::build(&offer, &fixture::local(1), choices, &Policy::default())
    };
    assert!(matches!(build(&[SectionChoice::Publish]), Err(SdpError::Choice { index: 1, .. })));
    assert!(matches!(
        build(&[SectionChoice::Publish, SectionChoice::Data]),
        Err(SdpError::Choice { index: 1, .. })
    ));
    let mut choices = fixture::choices(&offer);
    if let SectionChoice::PublishAndSlot(stream) = &mut choices[0] {
        stream.msid.stream = "a\r\na=ice-pwd:injected".to_owned();
    }
    assert_eq!(build(&choices), Err(SdpError::UnsafeText("stream id")));
    let inactive = build(&[SectionChoice::Inactive, SectionChoice::Reject]).unwrap();
    assert!(inactive.sections[0].refusal.is_none() && !inactive.sections[0].publish);
    assert_eq!(inactive.sections[1].refusal, Some(Refusal::Chosen));
    assert_eq!(inactive.sdp.matches("a=inactive").count(), 2);
}

#[test]
fn malformed_offers_say_what_is_wrong() {
    let good = offer_text("chromium-sendrecv-maxbundle");
    let parse = |text: &str| Offer::parse(text, &Limits::default());
    let error = |text: &str| parse(text).unwrap_err();
    assert_eq!(error(""), SdpError::NotSdp);
    assert_eq!(error("hello"), SdpError::NotSdp);
    assert_eq!(error("v=1\r\n"), SdpError::NotSdp);
    assert_eq!(error("v=0\r\ns=-\r\n"), SdpError::NoSections);
    assert_eq!(error("v=0\r\nnonsense\r\n"), SdpError::MalformedLine { line: 2 });
    assert_eq!(error("v=0\r\nm=audio\r\n"), SdpError::Malformed { line: 2, what: "m= line" });
    assert_eq!(error(&good.replace("a=mid:1", "a=mid:0")), SdpError::DuplicateMid(Mid::new("0").unwrap()));
    assert_eq!(error(&good.replace("a=mid:1\r\n", "")), SdpError::MissingMid { index: 1 });
    let without = |prefix: &str| {
        good.split_inclusive('\n').filter(|line| !line.starts_with(prefix)).collect::<String>()
    };
    assert_eq!(error(&without("a=ice-pwd")), SdpError::MissingIceCredentials);
    assert_eq!(error(&without("a=fingerprint")), SdpError::MissingFingerprint);
    assert!(matches!(
        error(&good.replace("sha-256 ", "sha-256 Z")),
        SdpError::Malformed { what: "a=fingerprint", .. }
    ));
    assert!(matches!(
        error(&good.replace("setup:actpass", "setup:maybe")),
        SdpError::Malformed { what: "a=setup", .. }
    ));

    let passive = fixture::answer(&good.replace("setup:actpass", "setup:passive"), 1).unwrap().1;
    assert_eq!(passive.dtls_role, DtlsRole::Client);
    assert!(passive.sdp.contains("a=setup:active"));
    assert_eq!(
        fixture::answer(&good.replace("setup:actpass", "setup:holdconn"), 1).unwrap_err(),
        SdpError::HoldConnection
    );
    let no_mux = parse(&without("a=rtcp-mux")).unwrap();
    assert!(no_mux.sections.iter().all(|section| section.refusal == Some(Refusal::NoRtcpMux)));
    let unbundled = parse(&good.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0")).unwrap();
    assert_eq!(unbundled.sections[1].refusal, Some(Refusal::NotBundled));
    let ungrouped = parse(&without("a=group")).unwrap();
    assert_eq!(ungrouped.sections[0].refusal, None);
    assert_eq!(ungrouped.sections[1].refusal, Some(Refusal::NotBundled));
}

#[test]
fn giant_offers_are_refused() {
    let limits = Limits::default();
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n";
    let long = format!("{head}{}", "a=x\r\n".repeat(limits.bytes));
    assert!(matches!(Offer::parse(&long, &limits), Err(SdpError::TooLong { .. })));
    let wide = format!("{head}a={}\r\n", "x".repeat(limits.line_bytes));
    assert_eq!(
        Offer::parse(&wide, &limits),
        Err(SdpError::LineTooLong { line: 3, limit: limits.line_bytes })
    );
    let many = format!("{head}{}", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".repeat(limits.sections + 1));
    assert!(matches!(Offer::parse(&many, &limits), Err(SdpError::TooMany { what: "media sections", .. })));
}

#[test]
fn passwords_stay_out_of_debug_output() {
    let text = offer_text("chromium-sendrecv");
    let offer = Offer::parse(&text, &Limits::default()).unwrap();
    assert!(!format!("{offer:?}").contains(&offer.ice.pwd));
    let fragment = format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", offer.ice.ufrag, offer.ice.pwd);
    let fragment = Fragment::parse(&fragment, &Limits::default()).unwrap();
    assert_eq!(fragment.ice, Some(offer.ice.clone()));
    assert!(!format!("{fragment:?}").contains(&offer.ice.pwd));
}

#[test]
fn payload_types_find_their_codec() {
    let sections = negotiated("firefox-whep");
    let video = &sections[1];
    let vp8 = video.codec_by_payload_type(PayloadType(120)).unwrap();
    assert_eq!(vp8.codec, Codec::Vp8);
    assert_eq!(video.codec_by_rtx_payload_type(PayloadType(124)), Some(vp8));
    assert!(vp8.format.is_empty(), "the offerer's decoder limits are not repeated");
}
