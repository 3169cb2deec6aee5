//! Seeded mutation of the golden messages: what can still be read is written and read back as the same, and nothing panics.
//! The cargo-fuzz target in `fuzz/` does the same without end.

use std::fmt::Debug;
use std::path::Path;

use patchbay_protocol::{ClientMessage, ServerMessage, node};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const ROUNDS: usize = 400;

#[test]
fn client_messages() {
    mutate::<ClientMessage>("client.json");
}

#[test]
fn server_messages() {
    mutate::<ServerMessage>("reply.json");
    mutate::<ServerMessage>("event.json");
}

#[test]
fn node_messages() {
    mutate::<node::Command>("node-command.json");
    mutate::<node::Event>("node-event.json");
}

fn mutate<T: Serialize + DeserializeOwned + PartialEq + Debug>(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    let entries: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let texts: Vec<String> = entries.iter().map(|entry| entry["message"].to_string()).collect();
    let mut rng = StdRng::seed_from_u64(0x7061_7463);
    let mut read = 0;
    for text in &texts {
        for _ in 0..ROUNDS {
            let other = texts[rng.random_range(0..texts.len())].as_bytes();
            let mutated = mutated(text.as_bytes(), other, &mut rng);
            let Ok(message) = serde_json::from_slice::<T>(&mutated) else { continue };
            read += 1;
            let written = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<T>(&written).unwrap(), message, "{file}: {written}");
        }
    }
    assert!(read > 0, "{file}: no mutated message could be read, so nothing was tried");
}

/// Flips, cuts, doubles or splices a few bytes.
fn mutated(text: &[u8], other: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match rng.random_range(0..4) {
            0 if !bytes.is_empty() => bytes[at] = rng.random(),
            1 if !bytes.is_empty() => bytes.truncate(at),
            2 => bytes.splice(at..at, other.iter().copied().take(rng.random_range(0..20))).for_each(drop),
            _ if !bytes.is_empty() => bytes[at] = b"0123456789-{}[],:\"\\"[rng.random_range(0..19)],
            _ => {}
        }
    }
    bytes
}
