//! A site's own files, and the machine that it is on.

use std::path::Path;
use std::time::{Duration, SystemTime};

use cryptflow_figures::table::bytes;
use cryptflow_party::attested::Trust;
use cryptflow_party::code::Code;
use cryptflow_party::config::Config;
use cryptflow_party::store::Store;
use cryptflow_wire::Role;
use cryptflow_wire::tls::exposed;

use super::Finding;

/// A disk with less room than that is full soon.
const ROOM: u64 = 1 << 30;

/// Collateral that was fetched longer ago may be refused soon: policies allow a week, unless they say otherwise.
const OLD: Duration = Duration::from_secs(5 * 24 * 3600);

/// Rights to what others must not read, or change, of all these lanes. The key's are a matter of the configuration,
/// which is not read where they are too wide.
pub(super) fn permissions(lanes: &[Config], path: &Path) -> Vec<Finding> {
    let wide = |what: &str, path: &Path, mode: u32, verb: &str, rights: &str| {
        let message = format!("others than its owner may {verb} {what}, {} ({mode:03o})", path.display());
        Finding::failed("permissions", Code::Failed, message, format!("chmod go-{rights} {}", path.display()))
    };
    let mut found = Vec::new();
    found.extend(
        mode(path)
            .filter(|mode| mode & 0o022 != 0)
            .map(|mode| wide("the configuration", path, mode, "change", "w")),
    );
    for config in lanes.iter().filter(|config| matches!(config.role, Role::Party(_))) {
        for (what, path) in [("the store", &config.store), ("the audit log", &config.audit)] {
            let mode = mode(path).filter(|mode| mode & 0o077 != 0);
            found.extend(mode.map(|mode| wide(what, path, mode, "read or change", "rwx")));
        }
    }
    // It is the same for all lanes.
    let token = lanes.first().and_then(|config| config.operator.as_ref()?.token.as_deref());
    let read = token.and_then(|path| Some((path, exposed(path)?)));
    found.extend(read.map(|(path, mode)| wide("the operator's token", path, mode, "read or change", "rwx")));
    if found.is_empty() {
        found.push(Finding::ok("permissions", "key, configuration and what is kept are their owner's alone"));
    }
    found
}

/// The rights of a file that there is, where the system has such.
fn mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = std::fs::metadata(path).ok()?;
        // Those of a device are the system's.
        (file.is_file() || file.is_dir()).then(|| file.permissions().mode() & 0o777)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// What evidence is made and judged with.
pub(super) fn attestation(config: &Config, trust: Option<&Trust>) -> Vec<Finding> {
    let (Some(trust), Some(files)) = (trust, &config.attestation) else {
        return vec![Finding::ok("attestation", "none: secure if the parties follow the protocol")];
    };
    let mut found = vec![Finding::ok("attestation", format!("policy {}", hex::encode(trust.policy)))];
    if trust.allows_insecure_simulated() {
        let advice = "use hardware that attests, and start without --insecure-simulated-tee";
        found.push(Finding::warning(
            "attestation",
            "INSECURE: evidence may be simulated; it proves nothing",
            advice,
        ));
    }
    let age = files.collateral.as_deref().and_then(age);
    if let Some(age) = age.filter(|age| *age > OLD) {
        let message = format!("the collateral was fetched {} days ago", age.as_secs() / 86400);
        found.push(Finding::warning("attestation", message, "fetch it again: cryptflow attest fetch"));
    }
    found
}

fn age(path: &Path) -> Option<Duration> {
    SystemTime::now().duration_since(std::fs::metadata(path).ok()?.modified().ok()?).ok()
}

/// Memory, where the system says how much of it is free (Linux).
pub(super) fn memory(config: &Config) -> Option<Finding> {
    let Role::Party(_) = config.role else { return None };
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)?;
    let most = config.session.run.memory;
    let message = format!("{} are free, and a session may take {}", bytes(free), bytes(most));
    let advice = "stop what else runs here, or allow sessions less: session.max_memory_mb";
    Some(if free < most {
        Finding::warning("memory", message, advice)
    } else {
        Finding::ok("memory", message)
    })
}

/// Room, and whether there can be written.
pub(super) fn disk(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (what, path) in [("the store", &config.store), ("the audit log", &config.audit)] {
        match std::fs::metadata(path) {
            Ok(_) => found.extend(room(what, path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let message = format!("{what}, {}, is not there yet", path.display());
                found.push(Finding::warning(
                    "disk",
                    message,
                    "a party makes it when it starts: cryptflow party",
                ));
            }
            Err(error) => {
                let message = format!("{what}, {}: {error}", path.display());
                let advice = "let this user at it, who must be the one that runs the party";
                found.push(Finding::failed("disk", Code::Storage, message, advice));
            }
        }
    }
    found
}

/// Runs that were dealt ahead, as a party keeps them.
pub(super) fn dealt(config: &Config, party: usize) -> Vec<Finding> {
    let store = Store::look_at(&config.store, party);
    let mut found = Vec::new();
    // What is wrong with the store is said elsewhere.
    for name in store.names().unwrap_or_default() {
        match store.stocks(&name, config) {
            Err(error) => {
                found.push(Finding::failed(
                    "dealt ahead",
                    Code::from(&error),
                    error,
                    "look at the folder's disk",
                ));
            }
            Ok(stocks) => found.extend(stocks.into_iter().map(|stock| match &stock.found {
                Ok(_) => Finding::ok(
                    "dealt ahead",
                    format!("{name}: {} runs are left, {}", stock.left(), bytes(stock.bytes)),
                ),
                Err(reason) => Finding::warning(
                    "dealt ahead",
                    format!("{name}: {reason}"),
                    "remove that folder, and have runs dealt anew: cryptflow preprocess",
                ),
            })),
        }
    }
    found
}

fn room(what: &str, path: &Path) -> Option<Finding> {
    #[cfg(unix)]
    {
        let message = |of: &str| format!("{what}, {}{of}", path.display());
        if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
            let advice = "let this user write there, who must be the one that runs the party";
            return Some(Finding::failed("disk", Code::Storage, message(" cannot be written"), advice));
        }
        let system = rustix::fs::statvfs(path).ok()?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let said = message(&format!(": {} are free", bytes(free)));
        let advice = "make room: where the log cannot be written, no session is served";
        Some(if free < ROOM { Finding::warning("disk", said, advice) } else { Finding::ok("disk", said) })
    }
    #[cfg(not(unix))]
    {
        let _ = (what, path);
        None
    }
}
