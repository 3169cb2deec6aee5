//! Offers: parsed, answered, and the answer parsed. Seed it with `tests/golden`:
//! `cargo +nightly fuzz run offer tests/golden`.
#![no_main]

#[path = "../../tests/fixture/mod.rs"]
mod fixture;

use libfuzzer_sys::fuzz_target;
use patchbay_sdp::{Limits, Offer};

fuzz_target!(|text: &str| {
    if let Ok((_, answer)) = fixture::answer(text, 1)
        && answer.sections.iter().any(|section| section.refusal.is_none())
    {
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        Offer::parse(&answer.sdp, &limits).expect("an answer is well-formed");
    }
});
