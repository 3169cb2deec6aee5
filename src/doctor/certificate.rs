//! The certificate: readable, a pair with its key, valid now, and for the name that clients use.

use std::time::{Duration, SystemTime};

use patchbay_signaling::{Certificate, CertificateInfo, Config, SELF_SIGNED_FILE, TlsSource};

use super::Check;

const NAME: &str = "certificate";
/// Renewals happen a month before: less means that they fail.
const SOON: Duration = Duration::from_secs(14 * 86_400);

pub(super) fn check(config: &Config, host: Option<&str>, checks: &mut Vec<Check>) {
    let info = match &config.tls {
        None if config.listen.ip().is_loopback() => return,
        None => {
            checks.push(Check::warning(
                NAME,
                "no_tls",
                "No TLS: browsers elsewhere give no camera or microphone to plain HTTP.",
                "Use --tls-cert and --tls-key, --tls-self-signed in a local network, or a proxy that speaks TLS.",
            ));
            return;
        }
        Some(TlsSource::Files { certificate, key }) => match Certificate::read(certificate, key) {
            Ok(certificate) => certificate.info,
            Err(error) => {
                let remedy = "Give --tls-cert the full chain and --tls-key the key that belongs to it.";
                checks.push(Check::failed(NAME, "unusable", format!("{error}."), remedy));
                return;
            }
        },
        Some(TlsSource::SelfSigned { state_dir, .. }) => {
            let kept = state_dir.as_ref().map(|it| it.join(SELF_SIGNED_FILE));
            match kept.filter(|path| path.exists()).map(|path| Certificate::read(&path, &path)) {
                Some(Ok(certificate)) => certificate.info,
                Some(Err(error)) => {
                    let remedy = "The server makes a new one at its next start; browsers ask again then.";
                    checks.push(Check::warning(NAME, "unusable", format!("{error}."), remedy));
                    return;
                }
                None => {
                    checks.push(Check::ok(NAME, "The server will make a certificate of its own."));
                    return;
                }
            }
        }
    };
    checks.push(judge(&info, host, SystemTime::now()));
}

fn judge(info: &CertificateInfo, host: Option<&str>, now: SystemTime) -> Check {
    const RENEW: &str =
        "Renew it; the running server takes the new files within a minute, or at once on SIGHUP.";
    if let Some(words) = info.trouble(now, SOON) {
        let words = format!("The certificate {words}.");
        return if now >= info.not_after {
            Check::failed(NAME, "expired", words, RENEW)
        } else if now < info.not_before {
            Check::failed(NAME, "not_yet_valid", words, "Set this machine's clock, or wait.")
        } else {
            Check::warning(NAME, "expires_soon", words, RENEW)
        };
    }
    match host {
        Some(host) if !info.is_for(host) => Check::failed(
            NAME,
            "wrong_name",
            format!("The certificate is for {}, not for {host}.", info.names.join(", ")),
            "Get one for the name that clients use.",
        ),
        _ => Check::ok(NAME, format!("Certificate {info}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_are_judged() {
        let now = SystemTime::now();
        let day = Duration::from_secs(86_400);
        let info = |from: SystemTime, to: SystemTime| CertificateInfo {
            fingerprint: "AA".into(),
            names: vec!["*.example.org".into()],
            not_before: from,
            not_after: to,
            is_self_signed: false,
        };
        let good = info(now - day, now + 60 * day);
        assert_eq!(judge(&good, Some("a.example.org"), now).finding, "ok");
        assert_eq!(judge(&good, Some("example.org"), now).finding, "wrong_name");
        assert_eq!(judge(&info(now - day, now - day / 2), None, now).finding, "expired");
        assert_eq!(judge(&info(now - day, now + 3 * day), None, now).finding, "expires_soon");
        assert_eq!(judge(&info(now + day, now + 60 * day), None, now).finding, "not_yet_valid");
    }
}
