//! `patchbay turn-config`: writes coturn's configuration, its firewall, and the secret that both servers share.

use std::fs::{DirBuilder, OpenOptions, read_to_string, rename};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use patchbay_turn_config::{
    Checked, Quota, Settings, SettingsError, TURN_PORT, Tls, firewall_nft, turnserver_conf,
};

use crate::args::{self, TurnFile};
use crate::run::Failure;

const CONFIGURATION: &str = "turnserver.conf";
const FIREWALL: &str = "firewall.nft";
const SECRET: &str = "turn-secret";
/// For its owner alone.
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnConfigError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{}: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {problem}", .path.display())]
    Secret { path: PathBuf, problem: SettingsError },
    #[error("can't write the output: {0}")]
    Output(std::io::Error),
}

/// Writes the files, or prints one.
pub(crate) fn make(raw: args::TurnConfig) -> Result<(), Failure> {
    let mut output = std::io::stdout();
    run(raw, &mut output)?;
    Ok(())
}

fn run(raw: args::TurnConfig, output: &mut impl Write) -> Result<(), TurnConfigError> {
    let (print, out, secret_file, show_secret) =
        (raw.print, raw.out.clone(), raw.secret_file.clone(), raw.show_secret);
    let settings = settings(raw)?;
    let text = match (print, out) {
        (Some(TurnFile::Firewall), _) => firewall_nft(&settings),
        (Some(TurnFile::Turnserver), _) => {
            let path = secret_file.filter(|_| show_secret);
            let secret = path.as_deref().map(secret).transpose()?;
            turnserver_conf(&settings, secret.as_deref())?
        }
        (None, Some(out)) => {
            let secret_file = secret_file.unwrap_or_else(|| out.join(SECRET));
            write_all(&settings, &out, &secret_file)?;
            next_steps(&settings, &out, &secret_file)
        }
        (None, None) => String::new(),
    };
    output.write_all(text.as_bytes()).map_err(TurnConfigError::Output)
}

fn settings(raw: args::TurnConfig) -> Result<Checked, SettingsError> {
    let tls = Tls::from_flags(raw.tls_cert, raw.tls_key, raw.tls_ports, raw.no_tls)?;
    let settings = Settings {
        realm: raw.realm,
        public: raw.public_ip,
        sfu: raw.sfu_ip,
        media_ports: raw.media_ports,
        tls,
        relay_ports: raw.relay_ports,
        quota: Quota { session: raw.session_quota, total: raw.total_quota, allocation_kbps: raw.max_kbps },
        private_network: raw.private_network,
    };
    settings.check()
}

fn write_all(settings: &Checked, out: &Path, secret_file: &Path) -> Result<(), TurnConfigError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(out)
        .map_err(|source| TurnConfigError::File { path: out.to_owned(), source })?;
    let secret = secret(secret_file)?;
    let configuration = turnserver_conf(settings, Some(&secret))
        .map_err(|problem| TurnConfigError::Secret { path: secret_file.to_owned(), problem })?;
    write(&out.join(CONFIGURATION), &configuration, PRIVATE)?;
    write(&out.join(FIREWALL), &firewall_nft(settings), PUBLIC)
}

/// The secret in a file; a new one is made where there is none.
fn secret(path: &Path) -> Result<String, TurnConfigError> {
    match read_to_string(path) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let bytes: [u8; 32] = rand::random();
            let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            write(path, &format!("{secret}\n"), PRIVATE)?;
            Ok(secret)
        }
        Err(source) => Err(TurnConfigError::File { path: path.to_owned(), source }),
    }
}

/// Puts a whole file in place at once, never readable by more than its mode says.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), TurnConfigError> {
    let failed = |source| TurnConfigError::File { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    // What an interrupted run left has a mode of its own.
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    rename(&fresh, path).map_err(failed)
}

/// What to do with the files.
fn next_steps(settings: &Checked, out: &Path, secret_file: &Path) -> String {
    let mut text = format!(
        "{configuration}: coturn's, readable by its owner alone\n{firewall}: nft -f it on coturn's machine and on the SFU's\n{secret}: \
         the secret they share\n\nPatchbay hands out credentials with\n  --turn-secret-file {secret}",
        configuration = out.join(CONFIGURATION).display(),
        firewall = out.join(FIREWALL).display(),
        secret = secret_file.display(),
    );
    let realm = &settings.realm;
    for transport in ["udp", "tcp"] {
        text += &format!(" \\\n  --turn-server turn:{realm}:{TURN_PORT}?transport={transport}");
    }
    for port in settings.tls.iter().flat_map(|tls| &tls.ports) {
        text += &format!(" \\\n  --turn-server turns:{realm}:{port}?transport=tcp");
    }
    text.push('\n');
    for path in settings.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]) {
        if !Path::new(path).exists() {
            text += &format!(
                "\n{path} is not on this machine; coturn's must have it, or it starts without TLS.\n"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    const GOOD: &str = "--realm turn.example.org --public-ip 203.0.113.10 --sfu-ip 203.0.113.20 --no-tls";

    fn make(line: &str) -> Result<String, String> {
        let words = ["patchbay", "turn-config"].into_iter().chain(line.split_whitespace());
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let Some(Command::TurnConfig(raw)) = arguments.command else { panic!("{line}") };
        let mut output = Vec::new();
        run(raw, &mut output).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(output).unwrap())
    }

    /// The command in the head of a file.
    fn command(text: &str) -> String {
        let lines =
            text.lines().skip_while(|line| !line.starts_with("#   patchbay")).take_while(|line| *line != "#");
        let words: Vec<&str> =
            lines.map(|line| line.trim_start_matches('#').trim_end_matches('\\').trim()).collect();
        words.join(" ").strip_prefix("patchbay turn-config ").unwrap().to_owned()
    }

    #[test]
    fn the_samples_are_what_their_command_makes() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("turn-config");
        for name in [CONFIGURATION, FIREWALL] {
            let sample = read_to_string(samples.join(name)).unwrap();
            let made = make(&format!("{} --print {name}", command(&sample))).unwrap();
            assert!(sample == made, "turn-config/{name} is not what its command makes now; write it again");
        }
    }

    #[test]
    fn the_secret_stays_in_files_that_only_their_owner_reads() {
        let out = std::env::temp_dir().join(format!("patchbay-turn-config-{}", std::process::id()));
        let made = make(&format!("{GOOD} --out {}", out.display())).unwrap();
        let mode = |name: &str| out.join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(CONFIGURATION), mode(SECRET), mode(FIREWALL)), (0o600, 0o600, 0o644));
        let secret = read_to_string(out.join(SECRET)).unwrap().trim_end().to_owned();
        assert_eq!(secret.len(), 64);
        assert!(!made.contains(&secret), "{made}");
        let line = format!("static-auth-secret={secret}\n");
        assert!(read_to_string(out.join(CONFIGURATION)).unwrap().contains(&line));

        // Again: the secret stays, and a mode that somebody widened is narrowed.
        std::fs::set_permissions(out.join(CONFIGURATION), PermissionsExt::from_mode(0o644)).unwrap();
        make(&format!("{GOOD} --out {}", out.display())).unwrap();
        assert_eq!(mode(CONFIGURATION), 0o600);
        assert!(read_to_string(out.join(CONFIGURATION)).unwrap().contains(&line));

        let file = out.join(SECRET).display().to_string();
        let printed = make(&format!("{GOOD} --print turnserver.conf --secret-file {file}")).unwrap();
        assert!(!printed.contains(&secret));
        let printed =
            make(&format!("{GOOD} --print turnserver.conf --secret-file {file} --show-secret")).unwrap();
        assert!(printed.contains(&line));

        std::fs::write(out.join(SECRET), "too short").unwrap();
        assert!(make(&format!("{GOOD} --out {}", out.display())).unwrap_err().contains("16 to 256"));
        std::fs::remove_dir_all(out).unwrap();
    }

    #[test]
    fn half_a_configuration_is_none() {
        let replaced =
            |from: &str, to: &str| make(&format!("{} --print turnserver.conf", GOOD.replace(from, to)));
        assert!(replaced("", "").is_ok());
        for (from, to, words) in [
            ("--realm turn.example.org", "", "--realm"),
            ("turn.example.org", "turn_example", "a host name"),
            ("--public-ip 203.0.113.10", "", "where do clients reach coturn"),
            ("--sfu-ip 203.0.113.20", "", "the only ones a relay may reach"),
            ("203.0.113.10", "10.0.0.1", "--private-network"),
            ("203.0.113.10", "203.0.113.10/fd00::1", "IPv4 and the other IPv6"),
            ("203.0.113.10", "203.0.113.10/10.0.0.1,203.0.113.11/10.0.0.1", "two public ones"),
            ("203.0.113.20", "192.168.0.2", "--private-network"),
            ("203.0.113.20", "127.0.0.1", "loopback"),
            ("203.0.113.20", "169.254.169.254", "link-local"),
            ("203.0.113.20", "0.0.0.0", "this host"),
            ("203.0.113.20", "224.0.0.1", "multicast"),
            ("203.0.113.20", "::ffff:10.0.0.1", "disguise"),
            ("203.0.113.20", "64:ff9b::a00:1", "NAT64"),
            ("203.0.113.20", "2001:db8::20", "same family"),
            ("203.0.113.20", "203.0.113.20,203.0.113.20", "given twice"),
            ("203.0.113.20", "0.0.0.0/0", "invalid value"),
            ("--no-tls", "", "--no-tls"),
            ("--no-tls", "--tls-cert /a/b", "belong together"),
            ("--no-tls", "--no-tls --tls-cert /a --tls-key /b", "belong together"),
            ("--no-tls", "--tls-cert a --tls-key /b", "absolute path"),
            ("--no-tls", "--tls-cert /a --tls-key /b --tls-ports 3478", "--tls-ports"),
            ("--no-tls", "--tls-cert /a --tls-key /b --tls-ports 443,443", "--tls-ports"),
            ("--no-tls", "--no-tls --relay-ports 61000-61004", "fewer than"),
            ("--no-tls", "--no-tls --relay-ports 62000-61000", "FIRST-LAST"),
            ("--no-tls", "--no-tls --relay-ports 3000-4000", "3478 is in it"),
            ("--no-tls", "--no-tls --relay-ports 7900-9000", "--media-ports is in it"),
            ("--no-tls", "--no-tls --media-ports 80-90", "from 1024 on"),
            ("--no-tls", "--no-tls --total-quota 1001", "only 1000 relay ports"),
            ("--no-tls", "--no-tls --session-quota 0", "1 or more"),
            ("--no-tls", "--no-tls --total-quota 10", "not over the second"),
            ("--no-tls", "--no-tls --max-kbps 1", "--max-kbps"),
        ] {
            let error = replaced(from, to).expect_err(to);
            assert!(error.contains(words), "{to}: {error}");
        }
        assert!(make(GOOD).unwrap_err().contains("--out"), "it must say where to");
    }

    #[test]
    fn both_families_nat_and_private_networks() {
        let line = "--realm t.example.org --public-ip 203.0.113.10/10.0.0.5 --public-ip 2001:db8::10 --sfu-ip \
                    2001:db8::20,203.0.113.20 --tls-cert /etc/c.pem --tls-key /etc/k.pem";
        let made = make(&format!("{line} --print turnserver.conf")).unwrap();
        for expected in [
            "external-ip=203.0.113.10/10.0.0.5\n",
            "listening-ip=10.0.0.5\nlistening-ip=2001:db8::10\n",
            "aux-server=10.0.0.5:443\naux-server=[2001:db8::10]:443\n",
            "allowed-peer-ip=2001:db8::20\nallowed-peer-ip=203.0.113.20\n",
            "total-quota=2000\n",
        ] {
            assert!(made.contains(expected), "{expected} is missing in\n{made}");
        }
        let private = "--realm turn --public-ip 10.0.0.5 --sfu-ip 10.0.0.5 --no-tls --private-network";
        let made = make(&format!("{private} --print turnserver.conf")).unwrap();
        assert!(made.contains("The SFU is on this machine"));
    }
}
