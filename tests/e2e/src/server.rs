//! A server of the real binary, in one process or two.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use patchbay_peer::{PeerConfig, Request, request};

use crate::until;

/// Bytes of log that a test may cause at most: what hostile input must not exceed.
const LOG_FLOOD_BYTES: u64 = 512 * 1024;
/// The secret between signaling and its node.
const NODE_SECRET: &str = "end-to-end-node-secret";

/// How the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `patchbay`: signaling with an SFU in the same process.
    Embedded,
    /// `patchbay signaling` and `patchbay sfu`.
    TwoProcesses,
}

/// A running server. Its processes end with it.
pub struct Server {
    url: String,
    processes: Vec<(Child, PathBuf)>,
    /// How the process that listens on HTTP was started.
    first: Vec<String>,
}

impl Server {
    /// Starts a server on free ports of loopback and waits until it is ready for participants.
    pub async fn start(mode: Mode, test: &str) -> Result<Self, String> {
        Self::start_with(mode, test, &[]).await
    }

    /// The same with further arguments for the process that listens on HTTP.
    pub async fn start_with(mode: Mode, test: &str, arguments: &[&str]) -> Result<Self, String> {
        Self::start_each(mode, test, arguments, &[]).await
    }

    /// The same with further arguments for each process.
    pub async fn start_with_both(mode: Mode, test: &str, arguments: &[&str]) -> Result<Self, String> {
        Self::start_each(mode, test, arguments, arguments).await
    }

    async fn start_each(
        mode: Mode,
        test: &str,
        arguments: &[&str],
        of_node: &[&str],
    ) -> Result<Self, String> {
        let port = free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let mut server = Self { url: format!("http://{listen}"), processes: Vec::new(), first: Vec::new() };
        let mut first = match mode {
            Mode::Embedded => vec!["serve", "--listen", &listen, "--media-port", "0"],
            Mode::TwoProcesses => vec!["signaling", "--listen", &listen, "--node-secret", NODE_SECRET],
        };
        first.extend(arguments);
        server.first = first.iter().map(|argument| (*argument).to_owned()).collect();
        server.spawn(test, &first)?;
        server.wait_for(if mode == Mode::Embedded { "/readyz" } else { "/healthz" }).await?;
        if mode == Mode::TwoProcesses {
            let link = format!("ws://{listen}/v1/nodes");
            let mut second =
                vec!["sfu", "--signaling", &link, "--node-secret", NODE_SECRET, "--media-port", "0"];
            second.extend(of_node);
            server.spawn(test, &second)?;
            server.wait_for("/readyz").await?;
        }
        Ok(server)
    }

    fn spawn(&mut self, test: &str, arguments: &[&str]) -> Result<(), String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let directory = target_directory().join("e2e-logs");
        std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = directory.join(format!("{test}-{number}-{}.log", arguments.first().copied().unwrap_or("")));
        let file = File::create(&log).map_err(|error| error.to_string())?;
        let copy = file.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(program("patchbay")?)
            .args(arguments)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(copy)
            .spawn()
            .map_err(|error| error.to_string())?;
        self.processes.push((child, log));
        Ok(())
    }

    async fn wait_for(&mut self, path: &str) -> Result<(), String> {
        let url = format!("{}{path}", self.url);
        let ready = until(Duration::from_secs(20), &format!("{path} of the server"), || async {
            let response = request(Request { method: "GET", url: &url, ..Request::default() }).await;
            response.is_ok_and(|response| response.status == 200).then_some(())
        })
        .await;
        ready.map_err(|error| format!("{error}\n{}", self.logs()))
    }

    /// Where it listens, such as `http://127.0.0.1:40001`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A peer for a room of this server.
    pub fn peer(&self, room: &str, identity: &str) -> PeerConfig {
        PeerConfig::new(&self.url, room).identity(identity)
    }

    /// The value of a metric, summed over its labels; 0 if it is not there.
    pub async fn metric(&self, name: &str) -> Result<f64, String> {
        let text = self.metrics().await?;
        Ok(text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok()).flatten()
            })
            .sum())
    }

    /// Everything under `/metrics`.
    pub async fn metrics(&self) -> Result<String, String> {
        let url = format!("{}/metrics", self.url);
        let response = request(Request { method: "GET", url: &url, ..Request::default() }).await;
        response.map(|response| response.body).map_err(|error| error.to_string())
    }

    /// Memory that the first process holds, in KiB (VmRSS).
    pub fn resident_kib(&self) -> Result<u64, String> {
        let (child, _) = self.processes.first().ok_or("no process")?;
        let path = format!("/proc/{}/status", child.id());
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        line.split_whitespace().next().and_then(|value| value.parse().ok()).ok_or_else(|| line.to_owned())
    }

    /// Fails if a process ended, panicked, or wrote more log than any input should cause.
    pub fn check(&mut self) -> Result<(), String> {
        for (child, log) in &mut self.processes {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("the server ended: {status}\n{}", tail(log)));
            }
            let text = std::fs::read_to_string(&*log).unwrap_or_default();
            if text.contains("panicked at") {
                return Err(format!("the server panicked\n{}", tail(log)));
            }
            let size = std::fs::metadata(&*log).map_or(0, |found| found.len());
            if size > LOG_FLOOD_BYTES {
                return Err(format!("{size} bytes of log\n{}", tail(log)));
            }
        }
        Ok(())
    }

    /// Sends a signal, by its name without `SIG`, to a process: the first listens on HTTP.
    pub fn signal(&self, process: usize, name: &str) -> Result<(), String> {
        let (child, _) = self.processes.get(process).ok_or("no such process")?;
        let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
        let is_sent = sent.map_err(|error| error.to_string())?.success();
        is_sent.then_some(()).ok_or_else(|| format!("SIG{name} was not taken"))
    }

    /// Ends the process that listens on HTTP as nothing can be caught.
    pub fn kill_first(&mut self) -> Result<(), String> {
        let (child, _) = self.processes.first_mut().ok_or("no process")?;
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// Starts that process again as it was started first, without waiting for anything.
    pub fn restart_first(&mut self, test: &str) -> Result<(), String> {
        let arguments = self.first.clone();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.spawn(test, &arguments)?;
        let again = self.processes.pop().ok_or("no process")?;
        *self.processes.first_mut().ok_or("no process")? = again;
        Ok(())
    }

    /// Waits until a process has ended.
    pub async fn ended(&mut self, process: usize, within: Duration) -> Result<ExitStatus, String> {
        let logs = self.logs();
        let (child, _) = self.processes.get_mut(process).ok_or("no such process")?;
        let child = std::sync::Mutex::new(child);
        let ended = until(within, "a process to end", || async {
            child.lock().ok().and_then(|mut child| child.try_wait().ok().flatten())
        });
        ended.await.map_err(|error| format!("{error}\n{logs}"))
    }

    /// Everything a process has logged so far.
    pub fn log(&self, process: usize) -> String {
        let path = self.processes.get(process).map(|(_, log)| log.clone()).unwrap_or_default();
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn logs(&self) -> String {
        self.processes.iter().map(|(_, log)| tail(log)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for (child, _) in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A token that `patchbay token` mints.
pub fn token(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program("patchbay")?)
        .arg("token")
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The headless peer as a program.
pub fn peer_program() -> Result<PathBuf, String> {
    program("patchbay-peer")
}

/// An example of the client crate.
pub fn example_program(name: &str) -> Result<PathBuf, String> {
    let directory = program("patchbay")?;
    let path = directory.parent().unwrap_or(Path::new(".")).join("examples").join(name);
    if path.exists() { Ok(path) } else { Err(format!("{} is not there", path.display())) }
}

/// A program of this workspace, built once unless `PATCHBAY_PREBUILT` says that it was.
fn program(name: &str) -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            if std::env::var_os("PATCHBAY_PREBUILT").is_some() {
                return Ok(());
            }
            for what in [
                &["--package", "patchbay", "--package", "patchbay-peer"][..],
                &["--package", "patchbay-client", "--examples"],
            ] {
                let output = Command::new(env!("CARGO"))
                    .args(["build", "--quiet"])
                    .args(what)
                    .current_dir(env!("CARGO_MANIFEST_DIR"))
                    .output()
                    .map_err(|error| error.to_string())?;
                if !output.status.success() {
                    return Err(String::from_utf8_lossy(&output.stderr).into_owned());
                }
            }
            Ok(())
        })
        .clone()?;
    let path = target_directory().join(name);
    if path.exists() { Ok(path) } else { Err(format!("{} is not there", path.display())) }
}

/// Where this test was built, which is where the programs are built too.
fn target_directory() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    format!("{}:\n{}\n", log.display(), lines[lines.len().saturating_sub(30)..].join("\n"))
}
