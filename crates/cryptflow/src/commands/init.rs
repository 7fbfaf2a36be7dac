//! `cryptflow init`: a site's key, certificate and configuration.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::tls::{Fingerprint, Identity};

/// Make a site: a key that never leaves it, a certificate that carries its public half, and a
/// configuration to complete.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What this site is.
    #[arg(value_parser = PossibleValuesParser::new(roles()))]
    pub(super) role: String,
    /// The folder; made where it does not exist.
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    pub(super) out: PathBuf,
    /// The organisation's name; for a client, what the parties shall call it.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Where others reach this party.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:7843")]
    pub(super) address: String,
    /// Where it listens; every interface, at the port of its address by default.
    #[arg(long, value_name = "IP:PORT")]
    pub(super) listen: Option<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (entry, files) = make(arguments)?;
    let [config, certificate, key] = &files;
    super::print(&format!(
        "made {}, {} and {}\n\n\
         fingerprint  {}\n\n\
         Send the others these lines for their configurations, and read the fingerprint out to them over the telephone:\n\n{}\n\n\
         Then complete {} with theirs (cryptflow site add){}",
        config.display(),
        certificate.display(),
        key.display(),
        entry.fingerprint,
        entry.lines(),
        config.display(),
        if arguments.role == "client" {
            ", and ask how the parties are: cryptflow status"
        } else {
            ", and start: cryptflow party"
        },
    ))
}

/// Makes a site; its table, and its configuration, certificate and key.
pub(super) fn make(arguments: &Arguments) -> Result<(Entry, [PathBuf; 3])> {
    let folder = &arguments.out;
    std::fs::create_dir_all(folder).map_err(|e| Error::at(folder, e))?;
    let files = ["cryptflow.toml", "site.cert.pem", "site.key.pem"].map(|file| folder.join(file));
    let [config, certificate, key] = &files;
    if let Some(there) = files.iter().find(|file| file.exists()) {
        return Err(Error::at(there, "is there already; a site keeps its key, so nothing was changed"));
    }
    let name = arguments.name.clone().unwrap_or_else(|| arguments.role.clone());
    if name.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) {
        return Err(Error::new(format!("--name {name:?}: a name has no quotes, backslashes or line ends")));
    }
    let fingerprint = make_key(certificate, key)?;
    let port = arguments.address.rsplit_once(':').map_or("7843", |(_, port)| port);
    let listen = arguments.listen.clone().unwrap_or_else(|| format!("0.0.0.0:{port}"));
    let text = template(&arguments.role, &name, &arguments.address, &listen, &fingerprint.to_string());
    write(config, &text, false)?;

    let (role, address) = (arguments.role.clone(), arguments.address.clone());
    let entry = Entry { role, name, address, fingerprint, next: None };
    Ok((entry, files))
}

/// A participant's table, for the configurations of the others.
pub(super) struct Entry {
    /// `p0`, `p1` and so on, or `client`.
    pub(super) role: String,
    pub(super) name: String,
    /// Where a party is reached.
    pub(super) address: String,
    pub(super) fingerprint: Fingerprint,
    /// The key that it is about to have.
    pub(super) next: Option<Fingerprint>,
}

impl Entry {
    /// As it is written. What a client may do is for each party to say.
    pub(super) fn lines(&self) -> String {
        let Entry { role, name, address, fingerprint, next } = self;
        let mut lines = match role.as_str() {
            "client" => format!(
                "[clients.{}]\nfingerprint = \"{fingerprint}\"\n# may = [\"predict\"]          # and \"deploy\": each party says",
                plain(name)
            ),
            party => format!(
                "[{party}]\nname = \"{name}\"\naddress = \"{address}\"\nfingerprint = \"{fingerprint}\""
            ),
        };
        if let Some(next) = next {
            lines += &format!("\nnext_fingerprint = \"{next}\"");
        }
        lines
    }
}

/// Makes a key, which nobody else may read, and its certificate.
pub(super) fn make_key(certificate: &Path, key: &Path) -> Result<Fingerprint> {
    let pair = rcgen::generate_simple_self_signed(vec!["cryptflow".to_string()])
        .map_err(|e| Error::new(format!("no key can be made: {e}")))?;
    write(key, &pair.signing_key.serialize_pem(), true)?;
    write(certificate, &pair.cert.pem(), false)?;
    Ok(Identity::read(certificate, key).map_err(Error::new)?.fingerprint())
}

/// The parties of the protocols that are run where the configuration names none.
fn party_names() -> impl Iterator<Item = String> {
    let parties = ProtocolName::usual().map(|protocol| protocol.facts().parties).max().unwrap_or(0);
    (0..parties).map(|index| format!("p{index}"))
}

fn roles() -> impl Iterator<Item = PossibleValue> {
    party_names().chain(["client".to_string()]).map(PossibleValue::new)
}

/// A client's name, as a key of the parties' configurations.
fn plain(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) && !name.is_empty();
    if plain { name.to_string() } else { format!("\"{name}\"") }
}

fn write(path: &Path, text: &str, secret: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if secret { 0o600 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = secret;
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|e| Error::at(path, e))
}

fn template(role: &str, name: &str, address: &str, listen: &str, fingerprint: &str) -> String {
    let mut text = format!(
        "# A site of CrypTFlow. Paths are relative to this file's folder.\n\n[site]\nrole = \"{role}\"\n\
         certificate = \"site.cert.pem\"\nkey = \"site.key.pem\"           # never leaves this machine\n"
    );
    if role == "client" {
        text += &format!("name = \"{name}\"                 # what the parties call it\n");
    } else {
        text += &format!(
            "listen = \"{listen}\"\nstore = \"store\"                # this party's parts of deployed models\n\
             audit = \"audit.jsonl\"          # what it did, for whom, with what outcome\n"
        );
    }
    text += "\n# The three parties. Every participant has the same three tables; compare each fingerprint over the telephone.\n";
    for party in party_names() {
        let (name, address, fingerprint) =
            if party == role { (name, address, fingerprint) } else { ("", "CHANGE-ME:7843", "") };
        text += &format!(
            "[{party}]\nname = \"{name}\"\naddress = \"{address}\"\nfingerprint = \"{fingerprint}\"\n\n"
        );
    }
    if role != "client" {
        text += "# Who may ask this party for what. A table for each client:\n\
                 # [clients.alice]\n# fingerprint = \"...\"\n# may = [\"deploy\", \"predict\"]\n\
                 # models = [\"resnet50\"]            # only these; all where this line is missing\n\n";
    }
    text += "[session]\ndeadline_seconds = 30\n";
    if role != "client" {
        let protocols: Vec<String> =
            ProtocolName::usual().map(|protocol| format!("\"{protocol}\"")).collect();
        text += &format!("idle_seconds = 600\nmax_sessions = 8\nprotocols = [{}]\n", protocols.join(", "));
    }
    text += "\n# Security against parties that cheat, on attested hardware. The policy is the same file at every participant.\n\
             # [attestation]\n# policy = \"policy.toml\"\n# collateral = \"collateral.json\"\n";
    if role != "client" {
        text += "\n# A second port, for this party's operator alone: health, metrics, a page.\n\
                 # [operator]\n# listen = \"127.0.0.1:7850\"\n";
    }
    text
}
