//! Seeded mutation of the golden binaries: whatever can still be read is written and read back as the same, and nothing panics.

use std::path::Path;

use patchbay_frame::{Settings, client_frames, server_frames};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const ROUNDS: usize = 2_000;

#[test]
fn changed_frames_are_read_or_refused() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut files: Vec<_> = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "bin"));
    files.sort();
    let binaries: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut rng = StdRng::seed_from_u64(0x6672_616d);
    let (mut read, mut refused) = (0, 0);
    for binary in &binaries {
        for _ in 0..ROUNDS {
            let other = &binaries[rng.random_range(0..binaries.len())];
            let message = mutated(binary, other, &mut rng);
            for frame in client_frames(&message) {
                let Ok(frame) = frame else {
                    refused += 1;
                    continue;
                };
                read += 1;
                let mut written = Vec::new();
                frame.write(&mut written);
                assert_eq!(client_frames(&written).collect::<Vec<_>>(), [Ok(frame)]);
            }
            for frame in server_frames(&message) {
                let Ok(frame) = frame else {
                    refused += 1;
                    continue;
                };
                read += 1;
                let mut written = Vec::new();
                frame.write(&mut written);
                assert_eq!(server_frames(&written).collect::<Vec<_>>(), [Ok(frame)]);
            }
            if let Ok(text) = std::str::from_utf8(&message)
                && let Some((Some(settings), _)) = Settings::parse(&format!("patchbay?{text}"))
            {
                assert_eq!(Settings::parse(&settings.protocol()), Some((Some(settings), Ok(()))));
            }
        }
    }
    assert!(read > 10_000 && refused > 10_000, "{read} frames were read, {refused} refused");
}

/// Flips, cuts, doubles or splices a few bytes.
fn mutated(binary: &[u8], other: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = binary[..binary.len().min(300)].to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match rng.random_range(0..4) {
            0 if !bytes.is_empty() => bytes[at] = rng.random(),
            1 if !bytes.is_empty() => bytes.truncate(at),
            2 => bytes.splice(at..at, other.iter().copied().take(rng.random_range(0..40))).for_each(drop),
            _ if !bytes.is_empty() => bytes[at] ^= 1 << rng.random_range(0..8),
            _ => {}
        }
    }
    bytes
}
