//! As much of an HTTP/1.1 client as WHIP, WHEP and tests of the server's pages need: one exchange per connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::PeerError;

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The whole URL, `http` only.
    pub url: &'a str,
    /// Further headers.
    pub headers: Vec<(&'a str, String)>,
    /// The body.
    pub body: &'a [u8],
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Response {
    /// The first header of a name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The response itself if its status is a success.
    pub fn success(self) -> Result<Self, PeerError> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(PeerError::Status { status: self.status, body: self.body })
        }
    }
}

/// Makes one exchange.
pub async fn request(request: Request<'_>) -> Result<Response, PeerError> {
    tokio::time::timeout(PATIENCE, exchange(request)).await.map_err(|_| PeerError::Timeout {
        what: "an HTTP response".to_owned(),
        waited_ms: PATIENCE.as_millis() as u64,
    })?
}

async fn exchange(request: Request<'_>) -> Result<Response, PeerError> {
    let broken = |error: std::io::Error| PeerError::Connection(error.to_string());
    let (host, path) = split_url(request.url)
        .ok_or_else(|| PeerError::Connection(format!("{} is not an http URL", request.url)))?;
    let mut head = format!(
        "{} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        request.method,
        request.body.len()
    );
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(address).await.map_err(broken)?;
    stream.write_all(head.as_bytes()).await.map_err(broken)?;
    // A server may answer and close before it has read a body that it refuses.
    let _ = stream.write_all(request.body).await;
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes).await
        && bytes.is_empty()
    {
        return Err(broken(error));
    }
    parse(&bytes).ok_or_else(|| PeerError::Unexpected("not an HTTP response".to_owned()))
}

/// Host with port, and path with query.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let at = rest.find('/').unwrap_or(rest.len());
    Some((&rest[..at], if at == rest.len() { "/" } else { &rest[at..] }))
}

fn parse(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &bytes[end + 4..];
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { unchunk(body)? } else { body.to_vec() };
    Some(Response { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size =
            usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim(), 16)
                .ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_plain_and_chunked() {
        let plain = parse(b"HTTP/1.1 201 Created\r\nLocation: /x\r\n\r\nbody").unwrap();
        assert_eq!((plain.status, plain.header("location"), plain.body.as_str()), (201, Some("/x"), "body"));
        let chunked =
            parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")
                .unwrap();
        assert_eq!(chunked.body, "abcd");
    }

    #[test]
    fn urls_are_split() {
        assert_eq!(split_url("http://127.0.0.1:8080/whip/a?b=c"), Some(("127.0.0.1:8080", "/whip/a?b=c")));
        assert_eq!(split_url("http://localhost"), Some(("localhost", "/")));
        assert_eq!(split_url("https://localhost"), None);
    }
}
