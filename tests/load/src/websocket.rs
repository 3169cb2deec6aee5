//! What data channels are compared with: a plain WebSocket relay (RFC 6455 over TCP), as a game's server often is one.
//!
//! The relay passes each message on to everybody else, at once and with `TCP_NODELAY`. Its clients send what players on a
//! topic send, at the same rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::args::Arguments;
use crate::data::Histogram;
use crate::figure;
use crate::load_peer::phase_of;

/// Messages that wait for one client in the relay.
const BACKLOG: usize = 65_536;
const WARM_UP: Duration = Duration::from_secs(1);
/// After the last message was sent: what is late still counts, as nothing is lost.
const GRACE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(20);

/// Is the relay, for as long as the process lives.
pub(crate) fn relay(address: SocketAddr) -> Result<(), String> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
        figure::line("listening");
        let (all, _) = broadcast::channel::<(u64, Bytes)>(BACKLOG);
        let mut next = 0;
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            next += 1;
            tokio::spawn(serve(stream, next, all.clone()));
        }
    })
}

async fn serve(stream: TcpStream, own: u64, all: broadcast::Sender<(u64, Bytes)>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut heard = all.subscribe();
    let (mut sink, mut source) = accept_async(stream).await.ok()?.split();
    let receive = async {
        while let Some(Ok(message)) = source.next().await {
            if let Message::Binary(payload) = message {
                // Nobody else may be there.
                let _ = all.send((own, payload));
            }
        }
    };
    let send = async {
        // A client that is tens of thousands of messages behind is cut off.
        while let Ok((from, payload)) = heard.recv().await {
            if from != own && sink.send(Message::Binary(payload)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = receive => {}
        () = send => {}
    }
    Some(())
}

/// What a client tells of.
enum Told {
    Sent,
    Latency(Duration),
    Failed(String),
}

/// Plays through the relay, and prints how long messages took.
pub(crate) fn compare(arguments: &Arguments) -> Result<(), String> {
    let address = arguments.relay_at.ok_or("--relay-at names the relay")?;
    let players = arguments.players.unwrap_or(6);
    let how_long = Duration::from_secs(arguments.seconds);
    let (mut latencies, mut sent) = (Histogram::default(), 0u64);
    runtime()?.block_on(async {
        let (told, mut tales) = mpsc::unbounded_channel();
        let mut sockets = Vec::new();
        for _ in 0..players {
            sockets.push(connect(address).await?);
        }
        let interval = Duration::from_secs_f64(1.0 / arguments.rate);
        let start = Instant::now();
        for (at, socket) in sockets.into_iter().enumerate() {
            let plan = Plan {
                origin: start,
                first: phase_of(interval, at, players),
                interval,
                counts: WARM_UP..WARM_UP + how_long,
                bytes: arguments.message_bytes,
            };
            tokio::spawn(player(socket, plan, told.clone()));
        }
        drop(told);
        let end = tokio::time::Instant::from_std(start + WARM_UP + how_long + GRACE);
        while let Ok(Some(tale)) = tokio::time::timeout_at(end, tales.recv()).await {
            match tale {
                Told::Sent => sent += 1,
                Told::Latency(latency) => latencies.record(latency),
                Told::Failed(reason) => return Err(reason),
            }
        }
        Ok(())
    })?;
    let expected = sent * (players as u64 - 1);
    if latencies.count() == 0 {
        return Err("nothing came through the relay".into());
    }
    let prefix = format!("{}_websocket", arguments.prefix);
    figure::latencies(&prefix, &latencies);
    let missing = 100.0 * (1.0 - latencies.count() as f64 / expected.max(1) as f64);
    figure::one(&format!("{prefix}_late_percent"), missing.max(0.0), "%");
    Ok(())
}

async fn connect(address: SocketAddr) -> Result<WebSocketStream<TcpStream>, String> {
    let connecting = async {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let url = format!("ws://{address}/");
        client_async(url, stream).await.map(|(socket, _)| socket).map_err(|error| error.to_string())
    };
    timeout(PATIENCE, connecting).await.map_err(|_| format!("{address} does not answer"))?
}

/// When a client sends, and what.
struct Plan {
    origin: Instant,
    first: Duration,
    interval: Duration,
    /// Since the origin: what is sent then counts.
    counts: std::ops::Range<Duration>,
    bytes: usize,
}

async fn player(socket: WebSocketStream<TcpStream>, plan: Plan, told: mpsc::UnboundedSender<Told>) {
    let (mut sink, mut source) = socket.split();
    let plan = Arc::new(plan);
    let (own, tell) = (plan.clone(), told.clone());
    let receive = async move {
        while let Some(Ok(message)) = source.next().await {
            let Message::Binary(payload) = message else { continue };
            let now = own.origin.elapsed();
            let Some((sent, _)) = payload.split_first_chunk::<8>() else { continue };
            let sent = Duration::from_micros(u64::from_be_bytes(*sent));
            if own.counts.contains(&sent) {
                // Once the run is over nobody listens any more.
                let _ = tell.send(Told::Latency(now.saturating_sub(sent)));
            }
        }
        Told::Failed("the relay closed a connection".into())
    };
    let send = async {
        let mut ticks = interval_at((plan.origin + plan.first).into(), plan.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = plan.origin.elapsed();
            let mut payload = vec![0; plan.bytes.max(8)];
            payload[..8].copy_from_slice(&(now.as_micros() as u64).to_be_bytes());
            if let Err(error) = sink.send(Message::Binary(payload.into())).await {
                return Told::Failed(error.to_string());
            }
            // By the same rounding as the receivers'.
            if plan.counts.contains(&Duration::from_micros(now.as_micros() as u64)) {
                let _ = told.send(Told::Sent);
            }
            if now >= plan.counts.end {
                return std::future::pending().await;
            }
        }
    };
    let end = tokio::select! {
        end = receive => end,
        end = send => end,
    };
    let _ = told.send(end);
}

fn runtime() -> Result<Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}
