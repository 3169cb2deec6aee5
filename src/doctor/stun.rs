//! A STUN and TURN client as small as the questions it asks (RFC 8489, RFC 8656): where am I seen, may I allocate.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rtc_crypto::RTCCryptoProvider;
use rtc_stun::attributes::{
    ATTR_LIFETIME, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_TRANSPORT, ATTR_USERNAME, ATTR_XOR_RELAYED_ADDRESS,
    ATTR_XORMAPPED_ADDRESS,
};
use rtc_stun::error_code::ErrorCodeAttribute;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{
    CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE, METHOD_BINDING, METHOD_REFRESH, Message,
    Method, Setter,
};
use rtc_stun::xoraddr::XorMappedAddress;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Waits for an answer over UDP before asking again, and how often.
const RETRY: Duration = Duration::from_millis(700);
const TRIES: usize = 3;
/// Over TCP and TLS.
const PATIENCE: Duration = Duration::from_secs(4);
/// A STUN message that answers us is a few hundred bytes long.
const MESSAGE_BYTES: usize = 4_096;
const HEADER_BYTES: usize = 20;
/// REQUESTED-TRANSPORT: UDP (RFC 8656 §18.7).
const RELAY_UDP: [u8; 4] = [17, 0, 0, 0];

/// What a server said, or why nothing.
#[derive(Debug)]
pub(super) enum StunError {
    /// Nothing came, or no connection could be made.
    Silent(String),
    /// TLS could not be agreed on.
    Tls(String),
    /// It answers with an error.
    Refused(u16, String),
    /// It answers with something else.
    Strange(String),
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Udp,
    Tcp,
    Tls,
}

/// One way to one server.
pub(super) struct Client {
    channel: Channel,
    crypto: Arc<dyn RTCCryptoProvider>,
}

enum Channel {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    /// Connects. `host` is what the certificate must be for.
    pub(super) fn connect(carrier: Carrier, host: &str, address: SocketAddr) -> Result<Self, StunError> {
        let silent = |error: io::Error| StunError::Silent(error.to_string());
        let crypto = rtc_crypto::default_provider().map_err(|error| StunError::Strange(error.to_string()))?;
        let tcp = || -> io::Result<TcpStream> {
            let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        let channel = match carrier {
            Carrier::Udp => {
                let any: IpAddr = if address.is_ipv4() {
                    Ipv4Addr::UNSPECIFIED.into()
                } else {
                    Ipv6Addr::UNSPECIFIED.into()
                };
                let socket = UdpSocket::bind(SocketAddr::new(any, 0)).map_err(silent)?;
                socket.connect(address).map_err(silent)?;
                socket.set_read_timeout(Some(RETRY)).map_err(silent)?;
                Channel::Udp(socket)
            }
            Carrier::Tcp => Channel::Tcp(tcp().map_err(silent)?),
            Carrier::Tls => Channel::Tls(Box::new(secure(host, tcp().map_err(silent)?)?)),
        };
        Ok(Self { channel, crypto })
    }

    /// Where the server sees this host.
    pub(super) fn mapped(&mut self) -> Result<SocketAddr, StunError> {
        let reply = self.ask(&request(METHOD_BINDING)?)?;
        address_in(&reply, ATTR_XORMAPPED_ADDRESS)
    }

    /// Allocates a relayed address as a browser would, and gives it back.
    pub(super) fn allocate(&mut self, username: &str, password: &str) -> Result<SocketAddr, StunError> {
        let mut bare = request(METHOD_ALLOCATE)?;
        bare.add(ATTR_REQUESTED_TRANSPORT, &RELAY_UDP);
        let challenge = self.exchange(&bare)?;
        let (realm, nonce) = match (challenge.get(ATTR_REALM), challenge.get(ATTR_NONCE)) {
            (Ok(realm), Ok(nonce)) => (realm, nonce),
            // A server that asks for no credentials relays for anybody.
            _ if challenge.typ.class == CLASS_SUCCESS_RESPONSE => {
                return Err(StunError::Strange("it relays for anybody, without credentials".to_owned()));
            }
            _ => return Err(refusal(&challenge)),
        };
        let crypto = self.crypto.clone();
        let sign = |message: &mut Message| -> Result<(), StunError> {
            message.add(ATTR_USERNAME, username.as_bytes());
            message.add(ATTR_REALM, &realm);
            message.add(ATTR_NONCE, &nonce);
            MessageIntegrity::new_long_term_integrity_with_provider(
                username.to_owned(),
                String::from_utf8_lossy(&realm).into_owned(),
                password.to_owned(),
                crypto.crypto(),
            )
            .and_then(|integrity| integrity.add_to(message))
            .map_err(|error| StunError::Strange(error.to_string()))
        };
        let mut signed = request(METHOD_ALLOCATE)?;
        signed.add(ATTR_REQUESTED_TRANSPORT, &RELAY_UDP);
        sign(&mut signed)?;
        let relayed = address_in(&self.ask(&signed)?, ATTR_XOR_RELAYED_ADDRESS)?;
        let mut release = request(METHOD_REFRESH)?;
        release.add(ATTR_LIFETIME, &[0; 4]);
        sign(&mut release)?;
        let _ = self.exchange(&release);
        Ok(relayed)
    }

    fn ask(&mut self, message: &Message) -> Result<Message, StunError> {
        let reply = self.exchange(message)?;
        if reply.typ.class == CLASS_SUCCESS_RESPONSE { Ok(reply) } else { Err(refusal(&reply)) }
    }

    /// Sends a request and waits for the response to it.
    fn exchange(&mut self, message: &Message) -> Result<Message, StunError> {
        let silent = |error: io::Error| StunError::Silent(error.to_string());
        match &mut self.channel {
            Channel::Udp(socket) => {
                for _ in 0..TRIES {
                    socket.send(&message.raw).map_err(silent)?;
                    let mut buffer = [0; MESSAGE_BYTES];
                    match socket.recv(&mut buffer) {
                        Ok(length) => {
                            let reply = parse(&buffer[..length])?;
                            if reply.transaction_id == message.transaction_id {
                                return Ok(reply);
                            }
                        }
                        Err(error)
                            if matches!(
                                error.kind(),
                                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                            ) => {}
                        Err(error) => return Err(silent(error)),
                    }
                }
                Err(StunError::Silent("no answer".to_owned()))
            }
            Channel::Tcp(stream) => over_stream(stream, message),
            Channel::Tls(stream) => over_stream(stream.as_mut(), message),
        }
    }
}

/// STUN over a stream tells its length in its header (RFC 8489 §6.2.2).
fn over_stream(stream: &mut (impl Read + Write), message: &Message) -> Result<Message, StunError> {
    let trouble = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => StunError::Tls(error.to_string()),
        _ => StunError::Silent(error.to_string()),
    };
    stream.write_all(&message.raw).map_err(trouble)?;
    stream.flush().map_err(trouble)?;
    let mut bytes = vec![0; HEADER_BYTES];
    stream.read_exact(&mut bytes).map_err(trouble)?;
    let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    if length > MESSAGE_BYTES {
        return Err(StunError::Strange("something that is no STUN".to_owned()));
    }
    bytes.resize(HEADER_BYTES + length, 0);
    stream.read_exact(&mut bytes[HEADER_BYTES..]).map_err(trouble)?;
    parse(&bytes)
}

fn secure(host: &str, mut socket: TcpStream) -> Result<StreamOwned<ClientConnection, TcpStream>, StunError> {
    let tls = |error: &dyn std::fmt::Display| StunError::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| tls(&error))?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|error| tls(&error))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => StunError::Silent("no answer".to_owned()),
            _ => tls(&error),
        })?;
    }
    Ok(StreamOwned::new(connection, socket))
}

fn request(method: Method) -> Result<Message, StunError> {
    let mut message = Message::new();
    message.typ.method = method;
    message.typ.class = CLASS_REQUEST;
    message.new_transaction_id().map_err(|error| StunError::Strange(error.to_string()))?;
    message.write_header();
    Ok(message)
}

fn parse(bytes: &[u8]) -> Result<Message, StunError> {
    let mut message = Message::new();
    message.raw = bytes.to_vec();
    message.decode().map_err(|_| StunError::Strange("something that is no STUN".to_owned()))?;
    Ok(message)
}

fn refusal(reply: &Message) -> StunError {
    let mut code = ErrorCodeAttribute::default();
    match code.get_from(reply) {
        Ok(()) => StunError::Refused(code.code.0, String::from_utf8_lossy(&code.reason).into_owned()),
        Err(_) => StunError::Strange("an answer without an error code".to_owned()),
    }
}

fn address_in(reply: &Message, attribute: rtc_stun::attributes::AttrType) -> Result<SocketAddr, StunError> {
    let mut address = XorMappedAddress::default();
    address
        .get_from_as(reply, attribute)
        .map_err(|_| StunError::Strange("an answer without an address".to_owned()))?;
    Ok(SocketAddr::new(address.ip, address.port))
}
