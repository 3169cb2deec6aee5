//! The server: signaling and an SFU node as processes of their own, from the binary built beside this one.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(30);
const NODE_SECRET: &str = "the-secret-of-a-crowd";
/// USER_HZ is 100 on every Linux that has /proc.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server. Its processes and its directory end with it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    arguments: Vec<String>,
    signaling: Child,
    node: Option<Child>,
    state: PathBuf,
}

impl Server {
    /// Starts both processes, signaling with further arguments, and waits until they take participants.
    pub(crate) async fn start(arguments: &[&str]) -> Result<Self, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.map_err(|error| error.to_string())?;
        let state = std::env::temp_dir().join(format!("patchbay-crowd-{}", address.port()));
        let listen = address.to_string();
        let directory = state.display().to_string();
        let mut all = vec!["signaling", "--listen", &listen, "--node-secret", NODE_SECRET, "--log", "warn"];
        all.extend(["--state-dir", &directory]);
        all.extend(arguments);
        let arguments: Vec<String> = all.into_iter().map(str::to_owned).collect();
        let signaling = spawn(&arguments)?;
        let mut server = Self { address, arguments, signaling, node: None, state };
        server.until_answers("/healthz").await?;
        let link = format!("ws://{listen}/v1/nodes");
        let node =
            ["sfu", "--signaling", &link, "--node-secret", NODE_SECRET, "--media-port", "0", "--log", "warn"];
        server.node = Some(spawn(&node.map(str::to_owned))?);
        server.until_answers("/readyz").await?;
        Ok(server)
    }

    /// Ends signaling as nothing can be caught. The node stays.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.signaling
            .kill()
            .and_then(|()| self.signaling.wait())
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Starts signaling again as it was started first, without waiting for anything.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        self.signaling = spawn(&self.arguments)?;
        Ok(())
    }

    /// Memory that signaling holds, in bytes (VmRSS).
    pub(crate) fn resident_bytes(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/status", self.signaling.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let kib: Option<f64> = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        kib.map(|kib| kib * 1024.0).ok_or_else(|| format!("{path} has no VmRSS"))
    }

    /// User and system time of signaling so far, in seconds (proc(5), fields 14 and 15 of stat).
    pub(crate) fn cpu_seconds(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/stat", self.signaling.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The second field is in parentheses and may contain anything.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: Vec<f64> =
            rest.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        match ticks[..] {
            [user, system] => Ok((user + system) / TICKS_PER_SECOND),
            _ => Err(format!("{path} is not what proc(5) says")),
        }
    }

    /// The sum of a metric over the series that a text is in; 0 if there is none.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> Result<f64, String> {
        let text = self.get("/metrics").await?;
        let values = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_meant = series.split('{').next() == Some(name) && series.contains(label);
            is_meant.then(|| value.parse::<f64>().ok())?
        });
        Ok(values.sum())
    }

    /// Bytes that signaling wrote and that wait in the kernel for the client at a port of loopback to read.
    pub(crate) fn unread_bytes(&self, port: u16) -> Result<u64, String> {
        let text = fs::read_to_string("/proc/net/tcp").map_err(|error| error.to_string())?;
        let (own, other) = (format!(":{:04X}", self.address.port()), format!(":{port:04X}"));
        let queue = text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let is_meant = fields.get(1)?.ends_with(&own) && fields.get(2)?.ends_with(&other);
            is_meant.then(|| u64::from_str_radix(fields.get(4)?.split(':').next()?, 16).ok())?
        });
        queue.ok_or_else(|| format!("no connection to port {port}"))
    }

    async fn until_answers(&mut self, path: &str) -> Result<(), String> {
        let began = Instant::now();
        while !self.get(path).await.is_ok_and(|response| response.starts_with("HTTP/1.1 200")) {
            if let Ok(Some(status)) = self.signaling.try_wait() {
                return Err(format!("the server ended: {status}"));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("no {path} after {PATIENCE:?}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<String, String> {
        let host = self.address;
        let mut stream = TcpStream::connect(host).await.map_err(|error| error.to_string())?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await.map_err(|error| error.to_string())?;
        Ok(response)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in [Some(&mut self.signaling), self.node.as_mut()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.state);
    }
}

fn spawn(arguments: &[String]) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("patchbay");
    Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}; build it first", program.display()))
}
