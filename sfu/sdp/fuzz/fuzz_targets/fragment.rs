//! Trickle fragments and candidates: what was read and written is read as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchbay_sdp::{Candidate, Fragment, Limits};

fuzz_target!(|text: &str| {
    if let Ok(fragment) = Fragment::parse(text, &Limits::default()) {
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        Fragment::parse(&fragment.to_string(), &limits).expect("a written fragment is well-formed");
    }
    if let Ok(candidate) = Candidate::parse(text) {
        assert_eq!(Candidate::parse(&candidate.to_string()), Ok(candidate));
    }
});
