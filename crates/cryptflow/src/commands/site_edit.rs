//! `cryptflow site`: the participants in a site's configuration, and its own key.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use cryptflow_party::config::Config;
use cryptflow_party::{Audit, SiteLock};
use cryptflow_wire::tls::{Fingerprint, Identity};

use super::init::{self, Entry};
use crate::error::{Error, Result};
use crate::running::{Reloaded, Running, running};
use crate::site_file::{Rights, SiteFile};

/// Take participants into a site's configuration, or out of it, and change the site's key.
#[derive(Subcommand)]
pub(crate) enum Arguments {
    /// Print this site's table, for the configurations of the others.
    Show(Where),
    /// Take in a participant's table, as `init` and `site show` print it.
    Add(Add),
    /// Take a client out.
    Remove(Remove),
    /// Have this site's party, which runs on this machine, read its configuration again.
    Reload(Where),
    /// Change this site's key, in two steps, so that nobody is cut off meanwhile.
    Renew(Renew),
}

/// Whose configuration it is.
#[derive(Args)]
pub(crate) struct Where {
    /// The site's configuration, as `cryptflow init` writes it.
    #[arg(long, value_name = "SITE.toml", default_value = "cryptflow.toml")]
    config: PathBuf,
}

/// What a client may do.
#[derive(Clone, Copy, ValueEnum)]
enum May {
    /// Use models.
    Predict,
    /// Bring models.
    Deploy,
}

/// Take in a participant's table, as `init` and `site show` print it.
///
/// Compare its fingerprint with its operator over the telephone. A client's rights are this party's to give:
/// what its own table says of them counts for nothing.
#[derive(Args)]
pub(crate) struct Add {
    /// The file that holds it; - for standard input.
    file: PathBuf,
    /// What a client may do: predict, where nothing is said of a new one.
    #[arg(long, value_delimiter = ',', value_name = "RIGHTS")]
    may: Option<Vec<May>>,
    /// The models that a client may use; all, where nothing is said.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    models: Option<Vec<String>>,
    /// Take in a key that is another than is known, and was not announced.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    then: Then,
    #[command(flatten)]
    site: Where,
}

/// Take a client out. Its sessions end when the party reads its configuration again.
#[derive(Args)]
pub(crate) struct Remove {
    /// Its name.
    client: String,
    #[command(flatten)]
    then: Then,
    #[command(flatten)]
    site: Where,
}

/// What follows a change.
#[derive(Args)]
struct Then {
    /// Have the party, which runs on this machine, take it in at once: as `cryptflow site reload` does.
    #[arg(long)]
    reload: bool,
}

/// Change this site's key, in two steps, so that nobody is cut off meanwhile: make a new one, and have all others
/// take in this site's table, which announces it; then `--switch`, and have them take in the table again.
#[derive(Args)]
pub(crate) struct Renew {
    /// The second step: the new key is this site's from now on. A party is stopped before, and started after.
    #[arg(long)]
    switch: bool,
    #[command(flatten)]
    site: Where,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments {
        Arguments::Show(at) => super::print(&own(&SiteFile::read(&at.config)?, &at.config)?.lines()),
        Arguments::Add(add) => take_in(add),
        Arguments::Remove(remove) => {
            let mut file = SiteFile::read(&remove.site.config)?;
            file.remove(&remove.client)?;
            file.write()?;
            told(&remove.site.config, &[format!("client {} is gone", remove.client)], &remove.then)
        }
        Arguments::Reload(at) => reload(&at.config),
        Arguments::Renew(Renew { switch: false, site }) => announce(&site.config),
        Arguments::Renew(Renew { switch: true, site }) => switch(&site.config),
    }
}

fn take_in(add: &Add) -> Result<()> {
    let text = if add.file.as_os_str() == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|e| Error::new(format!("standard input: {e}")))?;
        text
    } else {
        std::fs::read_to_string(&add.file).map_err(|e| Error::at(&add.file, e))?
    };
    let name = |may: &May| match may {
        May::Predict => "predict".to_string(),
        May::Deploy => "deploy".to_string(),
    };
    let rights = Rights {
        may: add.may.as_ref().map(|may| may.iter().map(name).collect()),
        models: add.models.clone(),
    };
    let mut file = SiteFile::read(&add.site.config)?;
    let changes = file.add(&text, &rights, add.replace)?;
    if changes.is_empty() {
        super::print("all of it is known already: nothing was changed")?;
        return if add.then.reload { reload(&add.site.config) } else { Ok(()) };
    }
    file.write()?;
    told(&add.site.config, &changes, &add.then)?;
    if changes.iter().any(|change| change.contains("fingerprint = ")) {
        super::print("Read the fingerprint out to its operator over the telephone, before you rely on it.")?;
    }
    Ok(())
}

/// Says what has changed, and what that takes, or does it.
fn told(config: &Path, changes: &[String], then: &Then) -> Result<()> {
    super::print(&format!("{}:\n  {}", config.display(), changes.join("\n  ")))?;
    if then.reload {
        return reload(config);
    }
    let site = match Config::read(config) {
        Ok(site) if site.listen.is_some() => site,
        Ok(_) => return Ok(()),
        Err(error) => return super::print(&format!("It is not complete yet: {error}")),
    };
    super::print(&match running(&site) {
        Ok(processes) if processes.is_empty() => NOT_HERE.into(),
        Ok(processes) => format!(
            "The party that runs here ({}) has not taken it in yet: cryptflow site reload --config {}",
            numbers(&processes),
            config.display()
        ),
        Err(error) => error.to_string(),
    })
}

/// What a party takes that does not run on this machine, as far as can be seen.
const NOT_HERE: &str = "No process of this party is found on this machine. Where one runs, it takes the configuration in when it is sent \
                        SIGHUP: kill -HUP PROCESS, or systemctl reload UNIT";

fn numbers(processes: &[Running]) -> String {
    let numbers: Vec<String> = processes.iter().map(|process| format!("process {}", process.id)).collect();
    numbers.join(", ")
}

/// Has the party that runs here read its configuration again, and says what came of it.
fn reload(config: &Path) -> Result<()> {
    let site = Config::read(config).map_err(Error::new)?;
    if site.listen.is_none() {
        return Err(Error::at(config, "it is no party's: there is nothing that would read it again"));
    }
    let processes = running(&site)?;
    if processes.is_empty() {
        return Err(Error::new(NOT_HERE));
    }
    let mut refused = Vec::new();
    for process in &processes {
        let id = process.id;
        match process.reload()? {
            Some(Reloaded::Taken(changes)) if changes.is_empty() => {
                super::print(&format!("process {id} has read its configuration again: nothing is new"))?;
            }
            Some(Reloaded::Taken(changes)) => {
                let changes = changes.join("; ");
                super::print(&format!("process {id} has read its configuration again: {changes}"))?;
            }
            Some(Reloaded::Refused(reason)) => refused.push(format!("process {id} has not taken it in: {reason}")),
            None => refused.push(format!(
                "process {id} was told, and did not write down what came of it: what it says on its standard error does"
            )),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Error::new(refused.join("\n"))) }
}

/// This site's own table.
fn own(file: &SiteFile, path: &Path) -> Result<Entry> {
    let role = file.role()?.to_string();
    let folder = path.parent().unwrap_or(Path::new("."));
    let read = |key: &str| file.text(&["site", key]).map(|name| folder.join(name));
    let missing = |key: &str| Error::at(path, format!("it says no site.{key}"));
    let certificate = read("certificate").ok_or_else(|| missing("certificate"))?;
    let key = read("key").ok_or_else(|| missing("key"))?;
    let identity = Identity::read(&certificate, &key).map_err(Error::new)?;
    let text = |place: &[&str]| file.text(place).unwrap_or_default().to_string();
    let (name, address) = match role.as_str() {
        "client" => (text(&["site", "name"]), String::new()),
        party => (text(&[party, "name"]), text(&[party, "address"])),
    };
    let next = match read("next_certificate").zip(read("next_key")) {
        Some((certificate, key)) => {
            Some(Identity::read(&certificate, &key).map_err(Error::new)?.fingerprint())
        }
        None => None,
    };
    Ok(Entry { role, name, address, fingerprint: identity.fingerprint(), next })
}

/// Makes the key that is to come.
fn announce(config: &Path) -> Result<()> {
    let mut file = SiteFile::read(config)?;
    if let Some(key) = file.text(&["site", "next_key"]) {
        let reason = format!(
            "its next key is made already, {key}: have the others take in what `cryptflow site show` prints, then renew with --switch"
        );
        return Err(Error::at(config, reason));
    }
    let folder = config.parent().unwrap_or(Path::new("."));
    let number = (2..).find(|number| !folder.join(format!("site-{number}.key.pem")).exists()).unwrap_or(2);
    let names = [format!("site-{number}.cert.pem"), format!("site-{number}.key.pem")];
    let [certificate, key] = &names;
    init::make_key(&folder.join(certificate), &folder.join(key))?;
    file.set("site", "next_certificate", Some(certificate))?;
    file.set("site", "next_key", Some(key))?;
    let entry = own(&file, config)?;
    if entry.role != "client" {
        let next = entry.next.as_ref().map(Fingerprint::to_string);
        let role = entry.role.clone();
        file.set(&role, "next_fingerprint", next.as_deref())?;
    }
    file.write()?;
    super::print(&format!(
        "made {} and {}\n\nSend the others these lines, read the fingerprint out to them over the telephone, and have each take them in \
         (cryptflow site add; at a party that runs, with --reload):\n\n{}\n\n\
         Once all have, stop this site's party, and: cryptflow site renew --switch",
        folder.join(certificate).display(),
        folder.join(key).display(),
        entry.lines()
    ))
}

/// The key that was to come is this site's from now on.
fn switch(config: &Path) -> Result<()> {
    let mut file = SiteFile::read(config)?;
    let text = |file: &SiteFile, key: &str| file.text(&["site", key]).map(String::from);
    let Some((certificate, key)) = text(&file, "next_certificate").zip(text(&file, "next_key")) else {
        let reason =
            "no next key is made yet: `cryptflow site renew` makes one, and the others must know it first";
        return Err(Error::at(config, reason));
    };
    let before = own(&file, config)?;
    let next = before.next.ok_or_else(|| Error::at(config, "its next key cannot be read"))?;
    if before.role != "client" {
        // The log goes on with the new key because the old one says so.
        let site = Config::read(config).map_err(Error::new)?;
        let _alone = SiteLock::take(&site.store).map_err(Error::new)?;
        let audit = Audit::open(&site.audit, site.identity.clone()).map_err(|e| Error::at(&site.audit, e))?;
        audit.renew(next).map_err(|e| Error::at(&site.audit, e))?;
        let role = before.role.clone();
        file.set(&role, "fingerprint", Some(&next.to_string()))?;
        file.set(&role, "next_fingerprint", None)?;
    }
    let old = text(&file, "key").unwrap_or_default();
    file.set("site", "certificate", Some(&certificate))?;
    file.set("site", "key", Some(&key))?;
    file.set("site", "next_certificate", None)?;
    file.set("site", "next_key", None)?;
    file.write()?;
    let after = own(&file, config)?;
    super::print(&format!(
        "the key of this site is {} now. Have the others take in these lines, which forget the old key:\n\n{}\n\n\
         Then delete {old}, and its certificate.{}",
        after.fingerprint,
        after.lines(),
        if after.role == "client" {
            ""
        } else {
            " Start the party again: it and all others know both keys until then."
        }
    ))
}
