//! TLS over real sockets, with a rustls client that trusts what the test says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use patchbay_signaling::{Config, SELF_SIGNED_FILE, Server, StartError, TlsError, TlsSource};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{PATIENCE, TestServer, http};

/// A directory of its own that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("patchbay-tls-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn source(&self) -> TlsSource {
        TlsSource::Files { certificate: self.path("cert.pem"), key: self.path("key.pem") }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Somebody who vouches for servers.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes a fresh pair for `localhost`, which ends at a time from now on or before, and returns its DER.
    fn issue(&self, scratch: &Scratch, ends: Option<SystemTime>) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        if let Some(ends) = ends {
            params.not_after = ends.into();
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::write(scratch.path("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(scratch.path("cert.pem"), certificate.pem()).unwrap();
        certificate.der().to_vec()
    }
}

/// Connects and returns the stream, or why the client would not.
async fn connect(server: &TestServer, trusted: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(trusted.to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, socket)).await.unwrap()
}

/// The certificate that the server shows.
fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn request(mut stream: TlsStream<TcpStream>, path: &str) -> String {
    let text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut response)).await.unwrap().unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    response.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn pages_and_sockets_are_encrypted() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    let issued = authority.issue(&scratch, None);
    let server = TestServer::start(|config| config.tls = Some(scratch.source())).await;

    let stream = connect(&server, authority.0.der()).await.unwrap();
    assert_eq!(shown(&stream), issued);
    let page = request(stream, "/").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert_eq!(header(&page, "strict-transport-security"), Some("max-age=31536000"));
    assert!(
        header(&page, "content-security-policy").unwrap().contains("connect-src 'self' wss://localhost;")
    );

    let stream = connect(&server, authority.0.der()).await.unwrap();
    let mut upgrade = "wss://localhost/v1/ws".into_client_request().unwrap();
    upgrade.headers_mut().insert("sec-websocket-protocol", "patchbay.v1".parse().unwrap());
    upgrade.headers_mut().insert("origin", "https://localhost".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(upgrade.clone(), stream).await.unwrap();
    socket.send(Message::text(r#"{"id":1,"type":"hello","version":1}"#)).await.unwrap();
    let reply = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert!(reply.to_text().unwrap().contains(r#""type":"ok""#), "{reply}");

    upgrade.headers_mut().insert("origin", "http://localhost".parse().unwrap());
    let stream = connect(&server, authority.0.der()).await.unwrap();
    let refused = tokio_tungstenite::client_async(upgrade, stream).await.err().unwrap().to_string();
    assert!(refused.contains("403"), "{refused}");
    drop(socket);
    server.stop().await;
}

#[tokio::test]
async fn plain_http_is_shown_the_way() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    authority.issue(&scratch, None);
    let server = TestServer::start(|config| config.tls = Some(scratch.source())).await;
    let page = http(&server, "GET", "/r/team", &[("host", "localhost:1")], "").await;
    assert_eq!((page.status, page.header("location")), (308, Some("https://localhost:1/r/team")));
    let program = http(&server, "POST", "/v1/whip/team", &[], "x").await;
    assert_eq!(program.status, 400);
    assert!(program.body.contains("HTTPS only"), "{}", program.body);
}

#[tokio::test]
async fn slow_handshakes_hold_nobody_up() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    authority.issue(&scratch, None);
    let server = TestServer::start(|config| config.tls = Some(scratch.source())).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        silent.push(socket);
    }
    let began = std::time::Instant::now();
    let page = request(connect(&server, authority.0.der()).await.unwrap(), "/healthz").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_bad_one_is_not() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    let first = authority.issue(&scratch, None);
    let server = TestServer::start(|config| {
        config.tls = Some(scratch.source());
        config.tls_refresh = Duration::from_millis(20);
    })
    .await;
    let held = connect(&server, authority.0.der()).await.unwrap();
    assert_eq!(shown(&held), first);

    // A key that belongs to another certificate: the old pair stays.
    std::fs::write(scratch.path("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let second_look = async {
        for _ in 0..20 {
            assert_eq!(shown(&connect(&server, authority.0.der()).await.unwrap()), first);
        }
    };
    second_look.await;

    let second = authority.issue(&scratch, None);
    let renewed = async {
        while shown(&connect(&server, authority.0.der()).await.unwrap()) != second {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("the new certificate should be shown");
    // Connections from before go on.
    assert!(request(held, "/healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_expired_certificate_is_served_but_known_for_what_it_is() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    authority.issue(&scratch, Some(SystemTime::now() - Duration::from_secs(3 * 86_400)));
    let mut config = Config::new("127.0.0.1:0".parse().unwrap());
    config.tls = Some(scratch.source());
    let info = Server::bind(config).await.unwrap().certificate().unwrap();
    let words = info.trouble(SystemTime::now(), Duration::ZERO).unwrap();
    assert!(words.starts_with("expired 3 days ago"), "{words}");
    assert!(info.is_for("localhost") && !info.is_for("example.org") && !info.is_self_signed);
}

#[tokio::test]
async fn what_is_no_pair_is_refused_by_name() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    let refusal = async |scratch: &Scratch| {
        let mut config = Config::new("127.0.0.1:0".parse().unwrap());
        config.tls = Some(scratch.source());
        match Server::bind(config).await.err().unwrap() {
            StartError::Tls(error) => error,
            error => panic!("{error}"),
        }
    };
    assert!(matches!(refusal(&scratch).await, TlsError::Read { .. }));
    authority.issue(&scratch, None);
    std::fs::write(scratch.path("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = refusal(&scratch).await;
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
    std::fs::write(scratch.path("key.pem"), "nothing\n").unwrap();
    assert!(matches!(refusal(&scratch).await, TlsError::NoKey(_)));
    std::fs::write(scratch.path("cert.pem"), "nothing\n").unwrap();
    assert!(matches!(refusal(&scratch).await, TlsError::NoCertificate(_)));
    std::fs::write(
        scratch.path("cert.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(matches!(refusal(&scratch).await, TlsError::Malformed { .. }));
}

#[tokio::test]
async fn a_certificate_of_its_own_survives_a_restart() {
    let scratch = Scratch::new();
    let kept = scratch.path("state").join(SELF_SIGNED_FILE);
    let source = |names: &[&str]| TlsSource::SelfSigned {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        state_dir: Some(scratch.path("state")),
    };
    let start = async |names: &[&str]| {
        let tls = Some(source(names));
        TestServer::start(|config| config.tls = tls).await
    };
    let server = start(&["localhost", "127.0.0.1", "2001:db8::1"]).await;
    let certificate = read_der(&kept);
    let stream = connect(&server, &certificate).await.unwrap();
    assert_eq!(shown(&stream), certificate);
    let page = request(stream, "/").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert_eq!(header(&page, "strict-transport-security"), None);
    server.stop().await;
    assert_eq!(mode(&kept), 0o600);

    // The same one again, an IPv6 address more or less; a new one once it is for other names.
    start(&["localhost", "127.0.0.1", "2001:db8::2"]).await.stop().await;
    assert_eq!(read_der(&kept), certificate);
    start(&["localhost", "192.0.2.7"]).await.stop().await;
    assert_ne!(read_der(&kept), certificate);
    // And a new one in place of rubbish.
    std::fs::write(&kept, "rubbish").unwrap();
    start(&["localhost"]).await.stop().await;
    read_der(&kept);
}

fn read_der(path: &Path) -> Vec<u8> {
    CertificateDer::from_pem_file(path).unwrap().to_vec()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
