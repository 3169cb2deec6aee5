//! Messages of clients, servers and nodes: whatever can be read is written, and read back as the same.
#![no_main]

use std::fmt::Debug;

use patchbay_protocol::{ClientMessage, ServerMessage, node};
use serde::Serialize;
use serde::de::DeserializeOwned;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    round_trip::<ClientMessage>(bytes);
    round_trip::<ServerMessage>(bytes);
    round_trip::<node::Command>(bytes);
    round_trip::<node::Event>(bytes);
});

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(bytes) else { return };
    let text = serde_json::to_string(&message).expect("what was read can be written");
    let again: T = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(again, message);
}
