//! HTTP as plain text over a socket, so that a test sees and sends exactly what it wants.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, TestServer};

/// A response.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl HttpResponse {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// One request on a connection of its own.
pub(crate) async fn http(
    server: &TestServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> HttpResponse {
    let exchange = async {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let has_host = headers.iter().any(|(name, _)| *name == "host");
        let host = if has_host { String::new() } else { format!("host: {}\r\n", server.address) };
        let has_connection = headers.iter().any(|(name, _)| *name == "connection");
        let connection = if has_connection { "" } else { "connection: close\r\n" };
        let mut text =
            format!("{method} {path} HTTP/1.1\r\n{host}{connection}content-length: {}\r\n", body.len());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        socket.write_all(text.as_bytes()).await.unwrap();
        // A server that refuses early may not read the body at all.
        let _ = socket.write_all(body.as_bytes()).await;
        let mut response = Vec::new();
        let _ = socket.read_to_end(&mut response).await;
        String::from_utf8_lossy(&response).into_owned()
    };
    let text = timeout(PATIENCE * 2, exchange).await.expect("the server should answer");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    HttpResponse { status: status.unwrap_or(0), headers, body: body.to_owned() }
}
