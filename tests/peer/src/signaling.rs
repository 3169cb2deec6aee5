//! The signaling connection: that of the client crate, without its resumes, as a peer reports what breaks.

use std::time::Duration;

use patchbay_client::{ClientError, Happening, SignalingOptions};
use patchbay_protocol::{ClientRequest, Reply, ServerEvent};
use tokio::sync::mpsc;

use crate::PeerError;

/// One signaling connection. Clones share it.
#[derive(Debug, Clone)]
pub struct Signaling {
    inner: patchbay_client::Signaling,
}

/// Opens `/v1/ws` of a server and greets it. Returns the connection and its events, which end when it does.
pub async fn connect(
    server: &str,
    token: Option<&str>,
    patience: Duration,
) -> Result<(Signaling, mpsc::UnboundedReceiver<ServerEvent>), PeerError> {
    let options = SignalingOptions {
        client: concat!("patchbay-peer/", env!("CARGO_PKG_VERSION")).to_owned(),
        token: token.map(str::to_owned),
        patience,
        resumes: false,
    };
    let (inner, mut happenings) = patchbay_client::connect_signaling(server, options).await?;
    let (events, incoming) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(happening) = happenings.recv().await {
            if let Happening::Event(event) = happening
                && events.send(event).is_err()
            {
                break;
            }
        }
    });
    Ok((Signaling { inner }, incoming))
}

impl Signaling {
    /// Sends a request and waits for its one reply.
    pub async fn request(&self, request: ClientRequest) -> Result<Reply, PeerError> {
        Ok(self.inner.request(request).await?)
    }

    /// Sends a text as it is, which may be anything.
    pub fn send_text(&self, text: String) -> Result<(), PeerError> {
        Ok(self.inner.send_text(text)?)
    }

    /// Closes the connection without leaving the room.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl From<ClientError> for PeerError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(error) => Self::Refused(error),
            ClientError::Connection(what) => Self::Connection(what),
            ClientError::Timeout { what, waited } => {
                Self::Timeout { what, waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) }
            }
            other => Self::Unexpected(other.to_string()),
        }
    }
}
