//! Seeded mutation of real offers, candidates and fragments: nothing panics, and nothing takes long.

mod fixture;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use patchbay_sdp::{Candidate, Fragment, Limits, Offer};

/// SplitMix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const FRAGMENTS: [&str; 16] = [
    "a=mid:",
    "a=ssrc:4294967296 cname:x",
    "a=rtpmap:96 ",
    "a=fmtp:96 apt=96",
    "a=simulcast:send ;;,~~",
    "m=video 0 ",
    "a=group:BUNDLE",
    "a=candidate:1 1 tcp",
    "a=extmap:0 x",
    "a=rtcp-fb:* nack",
    "\r\n",
    "=",
    "\u{1f600}",
    "99999999999",
    "a=ssrc-group:FID 1 1",
    "a=rid:x send",
];

fn mutate(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for _ in 0..=random.below(8) {
        let (at, other) = (random.below(lines.len()), random.below(lines.len()));
        match random.below(8) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[other].clone()),
            2 => lines.swap(at, other),
            3 => lines.truncate(at + 1),
            4 => {
                let line = lines[at].clone();
                lines.extend(std::iter::repeat_n(line, random.below(200)));
            }
            5 => lines[at].insert_str(0, FRAGMENTS[random.below(FRAGMENTS.len())]),
            kind => {
                let mut chars: Vec<char> = lines[at].chars().collect();
                let index = random.below(chars.len());
                if kind == 6 && !chars.is_empty() {
                    chars[index] = char::from(random.below(256) as u8);
                } else {
                    let fragment = FRAGMENTS[random.below(FRAGMENTS.len())];
                    chars.splice(index..index, fragment.chars());
                }
                lines[at] = chars.into_iter().collect();
            }
        }
        if lines.is_empty() {
            lines.push(String::new());
        }
    }
    lines.concat()
}

/// Parses and, where that works, answers; an answer must be well-formed whatever the offer was.
fn exercise(text: &str) -> bool {
    let _ = Fragment::parse(text, &Limits::default()).map(|fragment| fragment.to_string());
    match fixture::answer(text, 1) {
        Ok((_, answer)) => {
            let limits = Limits { bytes: 1 << 20, ..Limits::default() };
            let has_transport = answer.sections.iter().any(|section| section.refusal.is_none());
            if let Err(error) = Offer::parse(&answer.sdp, &limits)
                && has_transport
            {
                panic!("{error} in the answer\n{}\nto the offer\n{text}", answer.sdp);
            }
            true
        }
        Err(_) => false,
    }
}

#[test]
fn mutated_offers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut offers: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(".offer.sdp")))
        .collect();
    offers.sort();
    let (mut answered, mut refused) = (0, 0);
    let mut slowest = Duration::ZERO;
    for path in offers {
        let text = fs::read_to_string(&path).unwrap();
        let rounds = (1_500_000 / text.len()).clamp(30, 300);
        for seed in 0..rounds as u64 {
            let mutated = mutate(&text, &mut Random(seed));
            let start = Instant::now();
            if exercise(&mutated) {
                answered += 1;
            } else {
                refused += 1;
            }
            slowest = slowest.max(start.elapsed());
        }
    }
    assert!(
        answered > 500 && refused > 500,
        "{answered} answered, {refused} refused: the mutations are one-sided"
    );
    assert!(slowest < Duration::from_secs(2), "one took {slowest:?}");
}

#[test]
fn mutated_candidates() {
    let text =
        "candidate:842163049 1 tcp 1677729535 2001:db8::7 9 typ srflx raddr 10.0.0.2 rport 5 tcptype so\n";
    for seed in 0..20_000 {
        if let Ok(candidate) = Candidate::parse(&mutate(text, &mut Random(seed))) {
            assert_eq!(Candidate::parse(&candidate.to_string()).as_ref(), Ok(&candidate), "seed {seed}");
        }
    }
}

/// Shapes made to be slow: as many as the limits allow of everything that is looked up in lists.
#[test]
fn crowded_offers_are_quick() {
    let head = "v=0\na=group:BUNDLE 0\na=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\n\
                a=fingerprint:sha-1 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13\n";
    let formats = (0..128).map(|pt| format!(" {pt}")).collect::<String>();
    let section = |mid: usize| {
        let mut text = format!("m=video 9 UDP/TLS/RTP/SAVPF{formats}\na=mid:{mid}\na=rtcp-mux\n");
        for pt in 0..128 {
            text += &format!("a=rtpmap:{pt} VP8/90000\n");
        }
        text
    };
    let mut crowded = head.to_owned();
    for index in 0..75 {
        crowded += &section(index);
    }
    assert!(crowded.len() < 256 * 1024, "{}", crowded.len());
    let mut filled = format!("{head}{}", section(0));
    for index in 0.. {
        if filled.len() > 255 * 1024 {
            break;
        }
        filled +=
            &format!("a=ssrc:{index} cname:x\na=ssrc-group:FID {index} {}\na=rtcp-fb:* nack\n", index + 1);
    }
    for text in [crowded, filled] {
        let start = Instant::now();
        assert!(exercise(&text));
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
