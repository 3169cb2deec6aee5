//! `patchbay healthcheck`: whether the server of this host can serve, for images that have no other program to ask it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::args;

/// Of each wait: container engines give a check 30 seconds, and a server on this host needs none of them.
const PATIENCE: Duration = Duration::from_secs(3);
/// The answer is a status line and a few words; more is not read.
const ANSWER_BYTES: u64 = 4_096;
const PATH: &str = "/readyz";

/// Asks, says what is wrong if something is, and exits with 0 or 1, as container engines want it.
pub(crate) fn check(raw: &args::Healthcheck) -> ExitCode {
    match run(raw) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "patchbay: unhealthy: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(raw: &args::Healthcheck) -> Result<(), String> {
    let is_tls = raw.tls_cert.is_some() || raw.tls_self_signed;
    let url = raw.url.clone().unwrap_or_else(|| own_url(raw.listen, is_tls));
    let target = Target::parse(&url).ok_or_else(|| format!("{url} is no http or https URL"))?;
    let answer = target.ask().map_err(|error| format!("{url}: {error}"))?;
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    if answer.starts_with("HTTP/1.") && status == "200" {
        return Ok(());
    }
    let words = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    Err(format!("{url} answers {status} {words}"))
}

/// Where a server that listens there is reached from its own host.
fn own_url(listen: SocketAddr, is_tls: bool) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{}{PATH}", SocketAddr::new(ip, listen.port()))
}

/// A URL, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    is_tls: bool,
    /// As the `host` header has it.
    authority: &'a str,
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl<'a> Target<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, PATH),
        };
        let (host, port) = match authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let default = if is_tls { 443 } else { 80 };
        let port = port.map_or(Some(default), |port| port.parse().ok())?;
        let is_clean = !url.contains(|it: char| it.is_whitespace() || it.is_control() || it == '@');
        (is_clean && !host.is_empty()).then_some(Self { is_tls, authority, host, port, path })
    }

    fn ask(&self) -> io::Result<String> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
        for address in (self.host, self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(socket) => return self.ask_over(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn ask_over(&self, socket: TcpStream) -> io::Result<String> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        if !self.is_tls {
            return self.exchange(socket);
        }
        let name = ServerName::try_from(self.host.to_owned()).map_err(io::Error::other)?;
        let connection =
            ClientConnection::new(Arc::new(any_certificate()?), name).map_err(io::Error::other)?;
        self.exchange(StreamOwned::new(connection, socket))
    }

    fn exchange(&self, mut stream: impl Read + Write) -> io::Result<String> {
        let request =
            format!("GET {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.path, self.authority);
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let mut answer = Vec::new();
        if let Err(error) = stream.take(ANSWER_BYTES).read_to_end(&mut answer) {
            // A TLS connection that ends without saying so has still said what was asked.
            if answer.is_empty() || error.kind() != io::ErrorKind::UnexpectedEof {
                return Err(error);
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn any_certificate() -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth())
}

/// Takes a certificate for any name: it is for the name that browsers use, not for the loopback address; nothing is
/// told to the server, and nothing believed but that it is ready. Its validity is what `patchbay doctor` looks at.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn the_server_is_asked_where_it_listens() {
        let url = |listen: &str, is_tls| own_url(listen.parse().unwrap(), is_tls);
        assert_eq!(url("0.0.0.0:8443", true), "https://127.0.0.1:8443/readyz");
        assert_eq!(url("[::]:8080", false), "http://[::1]:8080/readyz");
        assert_eq!(url("192.0.2.1:80", false), "http://192.0.2.1:80/readyz");
    }

    #[test]
    fn urls_are_taken_apart() {
        let target =
            |is_tls, authority, host, port, path| Some(Target { is_tls, authority, host, port, path });
        assert_eq!(Target::parse("http://a:81/healthz"), target(false, "a:81", "a", 81, "/healthz"));
        assert_eq!(Target::parse("https://[::1]"), target(true, "[::1]", "::1", 443, "/readyz"));
        for bad in
            ["a:81", "ftp://a/", "http://", "http://a:x/", "http://a/ b", "http://me@a/", "http://[::1]x/"]
        {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_200_is_healthy() {
        for (status, is_healthy) in [("200 OK", true), ("503 Service Unavailable", false), ("", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let listen = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = [0; 1_024];
                let length = socket.read(&mut request).unwrap();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 6\r\n\r\nwords\n");
                socket.write_all(answer.as_bytes()).unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            });
            let raw = args::Healthcheck {
                file: args::ConfigFile::default(),
                url: None,
                listen,
                tls_cert: None,
                tls_self_signed: false,
            };
            let result = run(&raw);
            assert_eq!(result.is_ok(), is_healthy, "{result:?}");
            assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        }
    }
}
