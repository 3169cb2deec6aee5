//! A certificate that the server signs itself, kept over restarts if there is a place to keep it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use tracing::{info, warn};

use super::certificate::{Certificate, TlsError};

/// The file in the state directory: certificate and key, PEM, for the owner's eyes only.
pub const SELF_SIGNED_FILE: &str = "self-signed.pem";
/// How long it holds. Some systems refuse certificates for longer than 398 days whoever signed them.
const LIFE: Duration = Duration::from_secs(397 * 86_400);
/// Clocks in a local network disagree.
const HEAD_START: Duration = Duration::from_secs(86_400);
/// One that ends sooner is not used again.
const LEAST_LEFT: Duration = Duration::from_secs(30 * 86_400);

/// Names under which this host is reached in its own network: its name, `NAME.local`, `localhost` and its addresses.
pub fn host_names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = own.trim().to_ascii_lowercase();
    let is_name = !own.is_empty()
        && own.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if is_name && own != "localhost" {
        if !own.contains('.') {
            names.push(format!("{own}.local"));
        }
        names.push(own);
    }
    let mut addresses: Vec<IpAddr> =
        if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|it| it.ip()).collect();
    addresses.sort();
    addresses.dedup();
    let is_link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    names.extend(addresses.iter().filter(|ip| !is_link_local(ip)).map(ToString::to_string));
    names
}

/// The kept one if it is still good, or a new one.
pub(super) fn obtain(names: &[String], state_dir: Option<&Path>) -> Result<Certificate, TlsError> {
    let Some(directory) = state_dir else {
        let text = make(names)?;
        return Certificate::parse(
            (Path::new("memory"), text.as_bytes()),
            (Path::new("memory"), text.as_bytes()),
        );
    };
    let path = directory.join(SELF_SIGNED_FILE);
    if path.exists() {
        match Certificate::read(&path, &path) {
            Ok(certificate) if is_good(&certificate, names) => return Ok(certificate),
            Ok(_) => info!("{} is old or for other addresses: making a new one", path.display()),
            Err(error) => warn!("making a new certificate: {error}"),
        }
    }
    let text = make(names)?;
    keep(directory, &path, &text).map_err(|source| TlsError::Keep { path: path.clone(), source })?;
    Certificate::read(&path, &path)
}

/// IPv6 addresses come and go by themselves, so a missing one is no reason for a new certificate, which browsers would
/// have to be told to accept again.
fn is_good(certificate: &Certificate, names: &[String]) -> bool {
    let is_needed = |name: &&String| !name.contains(':');
    !certificate.info.is_ending(SystemTime::now(), LEAST_LEFT)
        && names.iter().filter(is_needed).all(|name| certificate.info.is_for(name))
}

fn make(names: &[String]) -> Result<String, TlsError> {
    let failed = |error: rcgen::Error| TlsError::Make(error.to_string());
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "Patchbay on this network");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = SystemTime::now();
    params.not_before = (now - HEAD_START).into();
    params.not_after = (now + LIFE).into();
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

/// Writes a file that nobody else can read, whole or not at all.
fn keep(directory: &Path, path: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
