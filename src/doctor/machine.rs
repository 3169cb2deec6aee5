//! The machine itself: buffers, segmentation, files, clock, state directory, secrets.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay_sfu::NodeProbe;
use patchbay_signaling::Config;

use super::Check;

/// Tokens and TURN credentials are compared with clocks of other machines; browsers do so with certificates.
const LARGEST_SKEW: u64 = 60;
/// 2026-01-01: earlier, the clock has not been set since the machine's start.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
/// Descriptors beside one for each connection.
const OWN_FILES: u64 = 256;
/// Bytes under which a secret can be guessed offline by whoever sees what it signs.
const SECRET_BYTES: usize = 16;

pub(super) fn check(
    config: &Config,
    state_dir: Option<&Path>,
    clock_from: Option<&str>,
    probe: Option<&NodeProbe>,
    checks: &mut Vec<Check>,
) {
    if let Some(probe) = probe {
        check_sockets(probe, checks);
    }
    check_files(config, checks);
    check_clock(clock_from, checks);
    check_state(state_dir, checks);
    check_secrets(config, checks);
}

fn check_sockets(probe: &NodeProbe, checks: &mut Vec<Check>) {
    const NAME: &str = "socket_buffers";
    let wanted = probe.wanted_buffer;
    let (receive, send) = probe.granted_buffers;
    if receive.min(send) < wanted {
        checks.push(Check::warning(
            NAME,
            "small",
            format!(
                "The kernel grants {receive} bytes for receiving and {send} for sending, of {wanted} wanted."
            ),
            format!(
                "Bursts of video may be lost: sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}"
            ),
        ));
    } else {
        checks.push(Check::ok(NAME, format!("The kernel grants {wanted} bytes each way.")));
    }
    checks.push(if probe.has_gso {
        Check::ok("gso", "The kernel segments runs of datagrams (UDP GSO).")
    } else {
        let words = "The kernel does not segment runs of datagrams: sending costs about three times as much.";
        Check::warning(
            "gso",
            "missing",
            words,
            "Use Linux 4.18 or later, not gVisor, and a network card that allows it.",
        )
    });
}

fn check_files(config: &Config, checks: &mut Vec<Check>) {
    const NAME: &str = "open_files";
    let Ok(limits) = std::fs::read_to_string("/proc/self/limits") else { return };
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse::<u64>().ok());
    let needed = config.max_connections as u64 + OWN_FILES;
    match soft {
        Some(soft) if soft < needed => checks.push(Check::warning(
            NAME,
            "few",
            format!("{soft} files may be open; {} connections need {needed}.", config.max_connections),
            format!("Raise the limit (LimitNOFILE={needed}, ulimit -n {needed}) or lower --max-connections."),
        )),
        Some(soft) => checks.push(Check::ok(NAME, format!("{soft} files may be open."))),
        None => checks.push(Check::ok(NAME, "No limit on open files.")),
    }
}

fn check_clock(from: Option<&str>, checks: &mut Vec<Check>) {
    const NAME: &str = "clock";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if now < EARLIEST {
        checks.push(Check::failed(
            NAME,
            "not_set",
            "This machine's clock is years behind.",
            "Set it (timedatectl set-ntp true): tokens, TURN credentials and certificates depend on it.",
        ));
        return;
    }
    let Some(host) = from else {
        checks.push(Check::ok(
            NAME,
            "The clock is plausible; --clock-from HOST compares it with a web server's.",
        ));
        return;
    };
    match http_date(host) {
        Err(error) => checks.push(Check::warning(
            NAME,
            "not_compared",
            format!("{host} told no time: {error}."),
            "Name a web server that speaks plain HTTP: HOST or HOST:PORT.",
        )),
        Ok(theirs) if theirs.abs_diff(now.as_secs()) > LARGEST_SKEW => {
            let skew = theirs.abs_diff(now.as_secs());
            let side = if theirs > now.as_secs() { "behind" } else { "ahead of" };
            checks.push(Check::failed(
                NAME,
                "skewed",
                format!("This machine's clock is {skew} s {side} {host}'s."),
                "Set both by NTP: fresh tokens and TURN credentials may count as expired or not yet valid.",
            ));
        }
        Ok(_) => checks.push(Check::ok(NAME, format!("The clock agrees with {host}'s."))),
    }
}

/// The time that a web server tells, in Unix seconds.
fn http_date(host: &str) -> Result<u64, String> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let place = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let ask = || -> std::io::Result<String> {
        let address = place.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
        let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        write!(socket, "HEAD / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        socket.take(65_536).read_to_string(&mut text)?;
        Ok(text)
    };
    let response = ask().map_err(|error| error.to_string())?;
    let date = response.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim())
    });
    date.and_then(parse_date).ok_or_else(|| "no Date header".to_owned())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn parse_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|it| *it == month)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut time = words.next()?.split(':').map(|it| it.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // Days since 1970-03-01 with years that begin in March, so that a leap day comes last.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let days = shifted_year * 365 + leaps(shifted_year) + (153 * shifted_month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn check_state(state_dir: Option<&Path>, checks: &mut Vec<Check>) {
    const NAME: &str = "state_dir";
    let Some(directory) = state_dir else { return };
    let file = directory.join(".doctor");
    let attempt = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&file, b"x"));
    let _ = std::fs::remove_file(&file);
    checks.push(match attempt {
        Ok(()) => Check::ok(NAME, format!("{} can be written.", directory.display())),
        Err(error) => Check::failed(
            NAME,
            "not_writable",
            format!("{} can't be written: {error}.", directory.display()),
            "Give it to the user that runs the server, or name another with --state-dir.",
        ),
    });
}

fn check_secrets(config: &Config, checks: &mut Vec<Check>) {
    const NAME: &str = "secrets";
    let weak: Vec<&str> = [
        ("--node-secret", config.node_secret.as_ref().map(|it| it.as_str())),
        ("the TURN secret", config.turn.as_ref().map(|it| it.secret.as_str())),
    ]
    .into_iter()
    .filter_map(|(name, secret)| secret.filter(|it| is_weak(it)).map(|_| name))
    .collect();
    if config.is_open() && config.insecure_open {
        checks.push(Check::warning(
            NAME,
            "open",
            "Without --keys, whoever reaches the server may join any room.",
            "Set --keys, unless that is what you want.",
        ));
    } else if weak.is_empty() {
        checks.push(Check::ok(NAME, "No weak secret was found."));
    }
    if !weak.is_empty() {
        checks.push(Check::failed(
            NAME,
            "weak",
            format!("Easy to guess: {}.", weak.join(", ")),
            "Use 32 random bytes, such as openssl rand -hex 32 prints.",
        ));
    }
}

/// Short, or made of very few letters.
fn is_weak(secret: &str) -> bool {
    let mut letters: Vec<u8> = secret.bytes().collect();
    letters.sort_unstable();
    letters.dedup();
    secret.len() < SECRET_BYTES || letters.len() < 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        for bad in ["", "yesterday", "Thu, 01 Foo 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn secrets_that_can_be_guessed_are_weak() {
        assert!(is_weak("secret") && is_weak("aaaaaaaaaaaaaaaaaaaaaaaa"));
        assert!(!is_weak("a3f09c1d7be2648505f1"));
    }
}
