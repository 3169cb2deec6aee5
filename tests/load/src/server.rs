//! The server under load: started here or elsewhere, and what its process costs.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::args::Arguments;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server and its process.
pub(crate) struct Server {
    pub(crate) url: String,
    pid: u32,
    child: Option<Child>,
    ticks_per_second: f64,
}

/// What a process has used since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Usage {
    pub(crate) fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Server {
    /// Takes the server that the arguments name, or starts one.
    pub(crate) fn start(arguments: &Arguments) -> Result<Self, String> {
        // USER_HZ is 100 on every Linux that has /proc.
        let ticks_per_second = 100.0;
        if let (Some(url), Some(pid)) = (&arguments.url, arguments.pid) {
            return Ok(Self { url: url.clone(), pid, child: None, ticks_per_second });
        }
        let program = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("patchbay");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let listen = format!("127.0.0.1:{port}");
        // On a core of its own, if told so; `taskset` becomes the program, so the process is the same.
        let mut command = match arguments.server_core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &core.to_string()]).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        let child = command
            .args(["serve", "--listen", &listen, "--media-port", "0", "--announce-loopback", "--log", "warn"])
            .args(&arguments.server_arg)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}; build it first", program.display()))?;
        let url = format!("http://{listen}");
        let server = Self { url, pid: child.id(), child: Some(child), ticks_per_second };
        let began = Instant::now();
        while !server.get("/readyz").is_ok_and(|response| response.starts_with("HTTP/1.1 200")) {
            if began.elapsed() > PATIENCE {
                return Err(format!("{} is not ready after {PATIENCE:?}", program.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// User and system time of the whole process, in seconds (proc(5), fields 14 and 15).
    pub(crate) fn usage(&self) -> Result<Usage, String> {
        let path = format!("/proc/{}/stat", self.pid);
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The second field is in parentheses and may contain anything.
        let fields: Vec<&str> =
            text.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
        let seconds = |field: usize| {
            let ticks: f64 = fields.get(field)?.parse().ok()?;
            Some(ticks / self.ticks_per_second)
        };
        match (seconds(11), seconds(12)) {
            (Some(user), Some(system)) => Ok(Usage { user, system }),
            _ => Err(format!("{path} is not what proc(5) says")),
        }
    }

    /// Memory in use, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        text.lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok())
            .ok_or_else(|| format!("{path} has no VmRSS"))
    }

    /// A counter of the server's metrics, by the end of its name, summed over labels.
    pub(crate) fn counter(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").ok()?;
        let values: Vec<f64> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                series.split('{').next()?.ends_with(name).then(|| value.parse().ok())?
            })
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    fn get(&self, path: &str) -> Result<String, String> {
        let host = self.url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).map_err(|error| error.to_string())?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut response = String::new();
        stream.read_to_string(&mut response).map_err(|error| error.to_string())?;
        Ok(response)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
