//! A topic on the command line: prints what comes as JSON lines, and sends what it reads, `text WORDS` or `bytes HEX`.
//! `cargo run --example topic -- http://127.0.0.1:8080 ROOM IDENTITY LABEL`.
//!
//! A file that somebody offers is taken, and its size and a checksum (FNV-1a, 64 bits) are printed. `file NUMBER SIZE` sends one
//! of so many bytes to somebody; `call NUMBER METHOD PAYLOAD` calls. The method `shout` is answered.

use patchbay_client::{JoinOptions, Outgoing, Room, TopicOptions};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, room, identity, label] = &arguments[..] else {
        return Err("topic SERVER ROOM IDENTITY LABEL".into());
    };
    let room = Room::join(server, JoinOptions::new(room).identity(identity).name(identity)).await?;
    println!("{}", json!({"state": "joined", "participant": room.number()}));
    room.handle("shout", |call| async move { Ok(call.payload.to_uppercase()) });
    let topic = room.topic(label, TopicOptions::reliable());
    let files = room.files();
    topic.opened().await?;
    println!("{}", json!({"state": "open"}));
    tokio::spawn(take(files.clone()));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            message = topic.next() => {
                let Some(message) = message else { break };
                let mut line = json!({"sender": message.sender, "sequence": message.sequence, "key": message.key});
                match message.text() {
                    Some(text) => line["text"] = text.into(),
                    None => line["bytes"] = hex(&message.payload).into(),
                }
                println!("{line}");
            }
            line = lines.next_line() => {
                let Some(line) = line? else { break };
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["text", ..] => drop(topic.send(Outgoing::text(line[5..].to_owned()))?),
                    ["bytes", digits] => drop(topic.send(Outgoing::bytes(bytes(digits)?))?),
                    ["call", to, method, payload] => {
                        let to = patchbay_client::ParticipantNumber(to.parse()?);
                        let answer = room.call(to, method, payload, std::time::Duration::from_secs(10)).await?;
                        println!("{}", json!({"answer": answer}));
                    }
                    ["file", to, size] => {
                        let content: Vec<u8> = (0..size.parse::<usize>()?).map(|at| ((at * 31) >> 3) as u8).collect();
                        println!("{}", json!({"offered": content.len(), "checksum": checksum(&content)}));
                        let to = patchbay_client::ParticipantNumber(to.parse()?);
                        files.send(to, "example.bin", "application/octet-stream", content)?.done().await?;
                        println!("{}", json!({"state": "sent"}));
                    }
                    _ => return Err(format!("{line}: neither text nor bytes").into()),
                }
            }
        }
    }
    room.leave().await;
    Ok(())
}

async fn take(files: patchbay_client::Files) {
    while let Some(file) = files.next_offer().await {
        let (name, media_type) = (file.name.clone(), file.media_type.clone());
        match file.bytes().await {
            Ok(content) => println!(
                "{}",
                json!({"file": name, "type": media_type, "size": content.len(), "checksum": checksum(&content)})
            ),
            Err(error) => println!("{}", json!({"file": name, "error": error.to_string()})),
        }
    }
}

fn checksum(content: &[u8]) -> String {
    let sum = content
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{sum:016x}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digits: &str) -> Result<Vec<u8>, Error> {
    let pair = |at| digits.get(at..at + 2).ok_or("an odd number of digits");
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(pair(at)?, 16)?)).collect()
}
