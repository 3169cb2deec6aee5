//! The answer to plain HTTP on the TLS port: where the same page is, or that it is nowhere else.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request head over this is not read on: whoever types an address sends less.
const HEAD_BYTES: usize = 8 * 1024;

/// Reads one request head and answers it.
pub(super) async fn answer(mut socket: TcpStream) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < HEAD_BYTES {
        if socket.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    socket.write_all(response(&String::from_utf8_lossy(&head)).as_bytes()).await?;
    socket.shutdown().await
}

/// A page that was asked for is shown where it is; a program is told what it did wrong.
fn response(head: &str) -> String {
    const WORDS: &str = "This port speaks HTTPS only: use https:// or wss://.\n";
    let (status, location) = match location(head) {
        Some(location) => ("308 Permanent Redirect", format!("location: {location}\r\n")),
        None => ("400 Bad Request", String::new()),
    };
    let length = WORDS.len();
    format!(
        "HTTP/1.1 {status}\r\n{location}content-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{WORDS}"
    )
}

fn location(head: &str) -> Option<String> {
    let mut lines = head.lines();
    let path = lines.next()?.strip_prefix("GET ")?.split(' ').next()?;
    let host = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    })?;
    let is_upgrade = head
        .lines()
        .any(|line| line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("upgrade")));
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'));
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    (is_host && is_path && !is_upgrade).then(|| format!("https://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shown_where_it_is() {
        let head = "GET /r/team?x=1 HTTP/1.1\r\nHost: example.org:8443\r\n\r\n";
        assert_eq!(location(head).as_deref(), Some("https://example.org:8443/r/team?x=1"));
    }

    #[test]
    fn others_are_told_what_is_wrong() {
        for head in [
            "POST /v1/whip/a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "",
        ] {
            assert!(response(head).starts_with("HTTP/1.1 400"), "{head}");
        }
    }
}
