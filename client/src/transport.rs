//! The WebRTC connection, for data channels alone.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::BytesMut;
use patchbay_protocol::{Description, IceServer, limit};
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use tokio::sync::watch;
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceServer,
    RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};

use crate::{ClientError, TopicOptions};

/// A stream that no channel will have: the highest that browsers use.
const SILENT_STREAM: u16 = 1022;

/// Bytes of one channel that the stack holds; what comes then waits in the topic, where it is replaced by newer things.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// One transport. Data channels can be opened on it at any time, without another offer.
pub(crate) struct Transport {
    connection: Arc<dyn PeerConnection>,
    /// Whether datagrams flow.
    state: watch::Receiver<PathState>,
    /// Says nothing, to nobody: it makes the offer have a section for data.
    _silent: Arc<dyn DataChannel>,
}

/// How the transport stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathState {
    /// On its way.
    Connecting,
    /// There.
    Connected,
    /// Gone, or never there.
    Failed,
}

impl Transport {
    pub(crate) async fn open(bind: IpAddr) -> Result<Self, ClientError> {
        let (sender, state) = watch::channel(PathState::Connecting);
        let largest = SctpMaxMessageSize::Bounded(limit::DATA_BYTES as u32);
        let settings = SettingEngineBuilder::new().with_sctp_max_message_size(largest).build();
        let connection = PeerConnectionBuilder::new()
            .with_udp_addrs(vec![(bind, 0)])
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_setting_engine(settings)
            .with_data_channel_send_buffer_limit(SEND_BUFFER_BYTES)
            .with_handler(Arc::new(Handler { state: sender }))
            .build()
            .await?;
        let connection: Arc<dyn PeerConnection> = Arc::new(connection);
        let silent = RTCDataChannelInit { negotiated: Some(SILENT_STREAM), ..RTCDataChannelInit::default() };
        let silent = connection.create_data_channel("", Some(silent)).await?;
        Ok(Self { connection, state, _silent: silent })
    }

    /// The offer that a join carries.
    pub(crate) async fn offer(&self) -> Result<(RTCSessionDescription, Description), ClientError> {
        let offer = self.connection.create_offer(None).await?;
        let description = Description {
            sdp: offer.sdp.clone(),
            publications: Vec::new(),
            slots: Vec::new(),
            channels: Vec::new(),
        };
        Ok((offer, description))
    }

    /// What came back. Gathering starts here, so that the ICE servers are known.
    pub(crate) async fn accept(
        &self,
        offer: RTCSessionDescription,
        answer: String,
        ice_servers: Vec<IceServer>,
    ) -> Result<(), ClientError> {
        if !ice_servers.is_empty() {
            let servers = ice_servers.into_iter().map(|server| RTCIceServer {
                urls: server.urls,
                username: server.username.unwrap_or_default(),
                credential: server.credential.unwrap_or_default(),
            });
            let configuration = RTCConfigurationBuilder::new().with_ice_servers(servers.collect()).build();
            self.connection.set_configuration(configuration).await?;
        }
        self.connection.set_local_description(offer).await?;
        self.connection.set_remote_description(RTCSessionDescription::answer(answer)?).await?;
        Ok(())
    }

    pub(crate) fn state(&self) -> watch::Receiver<PathState> {
        self.state.clone()
    }

    pub(crate) async fn channel(
        &self,
        label: &str,
        options: &TopicOptions,
    ) -> Result<Arc<dyn DataChannel>, ClientError> {
        let init = RTCDataChannelInit {
            ordered: options.ordered,
            max_retransmits: options.max_retransmits,
            max_packet_life_time: options.max_packet_life_time,
            protocol: options.protocol(),
            ..RTCDataChannelInit::default()
        };
        Ok(self.connection.create_data_channel(label, Some(init)).await?)
    }

    pub(crate) async fn close(&self) {
        let _ = self.connection.close().await;
    }
}

/// Sends one message; waits until the stack has room for it.
pub(crate) async fn send(channel: &Arc<dyn DataChannel>, message: &[u8]) -> Result<(), ClientError> {
    channel.writable().await?;
    channel.send(BytesMut::from(message)).await?;
    Ok(())
}

/// The local address for datagrams: loopback for a server there, else every interface.
pub(crate) fn bind_for(server: &str) -> IpAddr {
    let host = server.split("://").nth(1).unwrap_or(server);
    let is_local = ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local));
    if is_local { Ipv4Addr::LOCALHOST.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

struct Handler {
    state: watch::Sender<PathState>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let state = match state {
            RTCPeerConnectionState::Connected => PathState::Connected,
            RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => PathState::Failed,
            _ => return,
        };
        self.state.send_replace(state);
    }
}
