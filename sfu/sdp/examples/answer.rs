//! Answers an offer from standard input, taking everything in it: `answer [SESSION_VERSION] < offer.sdp`.

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::io::Read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session_version = std::env::args().nth(1).map_or(Ok(1), |version| version.parse())?;
    let mut offer = String::new();
    std::io::stdin().read_to_string(&mut offer)?;
    let (_, answer) = fixture::answer(&offer, session_version)?;
    print!("{}", answer.sdp);
    Ok(())
}
