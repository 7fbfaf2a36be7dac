//! `cryptflow local-cluster`: three organisations, a client and a gateway on this machine.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use cryptflow_aramis::{hex, simulated};

use super::init;
use crate::attest::policy::{self, Recipe};
use crate::error::{Error, Result};
use crate::local::Executable;
use crate::site_file::{Rights, SiteFile};

/// Make three parties, a client and a gateway in a folder, and run them on this machine, until Ctrl-C.
///
/// It is what three organisations do, on one machine: for trying, not for secrets, as whoever has this machine has all
/// three. A folder that holds such sites already is started as it is.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder; made where it does not exist.
    dir: PathBuf,
    /// The first party's port; the others have the next two.
    #[arg(long, value_name = "PORT", default_value_t = 7843, value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: u16,
    /// Where the gateway listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    gateway: String,
    /// Make the sites, and start nothing.
    #[arg(long)]
    no_start: bool,
    /// Have the parties attest with a simulated root of trust: proves nothing, protects nothing.
    #[arg(long)]
    insecure_simulated_tee: bool,
}

const PARTIES: [&str; 3] = ["p0", "p1", "p2"];

/// The client that brings models and asks; the gateway asks alone.
const CLIENTS: [(&str, &[&str]); 2] = [("alice", &["predict", "deploy"]), ("gateway", &["predict"])];

/// How long a party may take to listen, and all of them to stop.
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(90);

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, executable: &Executable) -> Result<()> {
    let dir = &arguments.dir;
    if PARTIES.iter().all(|party| config(dir, party).exists()) {
        super::print(&format!("{}: the sites are there already", dir.display()))?;
    } else {
        make(arguments)?;
        super::print(&format!(
            "{}: made the sites {} and of {}",
            dir.display(),
            PARTIES.join(", "),
            names()
        ))?;
    }
    if arguments.no_start { Ok(()) } else { serve(arguments, executable) }
}

fn names() -> String {
    CLIENTS.map(|(name, _)| name).join(", ")
}

fn config(dir: &Path, site: &str) -> PathBuf {
    dir.join(site).join("cryptflow.toml")
}

fn tee(dir: &Path) -> PathBuf {
    dir.join("tee")
}

/// What each organisation does by itself, with `init` and `site add`.
fn make(arguments: &Arguments) -> Result<()> {
    let dir = &arguments.dir;
    let site = |role: &str, name: &str, port: u16| {
        let address = format!("127.0.0.1:{port}");
        init::make(&init::Arguments {
            role: role.into(),
            out: dir.join(name),
            name: Some(name.into()),
            address: address.clone(),
            listen: Some(address),
        })
    };
    let mut tables = Vec::new();
    for (party, port) in PARTIES.into_iter().zip(arguments.port..) {
        tables.push((party, site(party, party, port)?.0.lines(), Rights::default()));
    }
    for (client, may) in CLIENTS {
        let may = Some(may.iter().map(|right| right.to_string()).collect());
        tables.push((client, site("client", client, 0)?.0.lines(), Rights { may, models: None }));
    }
    let is_party = |name: &str| PARTIES.contains(&name);
    for (name, ..) in &tables {
        let mut file = SiteFile::read(&config(dir, name))?;
        let others = tables.iter().filter(|(other, ..)| other != name && (is_party(name) || is_party(other)));
        for (_, table, rights) in others {
            file.add(table, rights, false)?;
        }
        if arguments.insecure_simulated_tee {
            file.insert("attestation", "policy", "../policy.toml");
        }
        file.write()?;
    }
    if arguments.insecure_simulated_tee {
        simulated::create(&tee(dir), SystemTime::now()).map_err(Error::new)?;
        let own = cryptflow_party::this_executable().map_err(Error::new)?;
        let measured = hex::encode(&simulated::measure(&own).map_err(Error::new)?);
        let recipe = Recipe {
            parties: PARTIES.iter().map(|party| format!("{party}=insecure-simulated:{measured}")).collect(),
            insecure_simulated_tee: true,
            ..Recipe::default()
        };
        let text = policy::write(&recipe)?.to_toml().map_err(Error::new)?;
        std::fs::write(dir.join("policy.toml"), text).map_err(|e| Error::at(dir, e))?;
    }
    Ok(())
}

/// A process of the cluster.
struct Member {
    name: &'static str,
    child: Child,
}

/// What happens to the cluster.
enum Event {
    /// Somebody wants it to stop.
    Stop,
    /// A member says something, or has closed its mouth.
    Said(&'static str, Option<String>),
}

fn serve(arguments: &Arguments, executable: &Executable) -> Result<()> {
    let dir = &arguments.dir;
    let (events, happens) = mpsc::channel();
    on_signals({
        let events = events.clone();
        move || drop(events.send(Event::Stop))
    })?;
    let start = |name: &'static str, more: &[&str]| -> Result<Member> {
        let mut command = executable.command().map_err(Error::new)?;
        command.args(more).arg("--config").arg(config(dir, name));
        if tee(dir).exists() {
            command.arg("--insecure-simulated-tee").arg(tee(dir));
        }
        alone(&mut command);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let stderr = child.as_mut().ok().and_then(|child| child.stderr.take());
        let child = child.map_err(|e| Error::new(format!("{name} cannot be started: {e}")))?;
        let events = events.clone();
        thread::spawn(move || {
            for line in stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()) {
                let Ok(line) = line else { break };
                let _ = events.send(Event::Said(name, Some(line)));
            }
            let _ = events.send(Event::Said(name, None));
        });
        Ok(Member { name, child })
    };
    let mut members = Vec::new();
    let started = (|| {
        for party in PARTIES {
            members.push(start(party, &["party"])?);
        }
        await_listening(&happens)?;
        members.push(start("gateway", &["gateway", "--listen", &arguments.gateway])?);
        Ok(())
    })();
    let ended = started.and_then(|()| {
        greet(dir, &arguments.gateway)?;
        watch(&mut members, &happens)
    });
    stop(&mut members, &happens);
    ended
}

/// Waits until all parties listen; a client that came earlier would be told that nobody is there.
fn await_listening(happens: &Receiver<Event>) -> Result<()> {
    let (end, mut listening) = (Instant::now() + START, 0);
    while listening < PARTIES.len() {
        match happens.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Event::Said(name, Some(line))) => {
                eprintln!("{name:>7} | {line}");
                listening += usize::from(line.contains(" listens on "));
            }
            Ok(Event::Said(name, None)) => return Err(Error::new(format!("{name} has ended: it says why"))),
            Ok(Event::Stop) => return Err(Error::new("stopped before all parties had started")),
            Err(_) => return Err(Error::new("not all parties listen yet")),
        }
    }
    Ok(())
}

/// Says what may be done now.
fn greet(dir: &Path, gateway: &str) -> Result<()> {
    let simulated = match tee(dir).exists() {
        true => format!(" --insecure-simulated-tee {}", tee(dir).display()),
        false => String::new(),
    };
    let alice = format!("--config {}{simulated}", config(dir, "alice").display());
    super::print(&format!(
        "three parties and a gateway run; Ctrl-C stops them. All are on this machine: for trying, not for secrets. Beside them:\n\n  \
           cryptflow status {alice}\n  \
           cryptflow deploy MODEL.safetensors --name MODEL {alice}\n  \
           cryptflow predict MODEL --input INPUT {alice}\n  \
           curl http://{gateway}/v2/models\n"
    ))
}

/// Tells what the members say, until somebody wants them to stop.
fn watch(members: &mut [Member], happens: &Receiver<Event>) -> Result<()> {
    while let Ok(event) = happens.recv() {
        match event {
            Event::Stop => return Ok(()),
            Event::Said(name, Some(line)) => eprintln!("{name:>7} | {line}"),
            Event::Said(name, None) => {
                let ended = members.iter_mut().find(|member| member.name == name);
                let status = ended.and_then(|member| member.child.wait().ok());
                let how = status.map(|status| format!(" ({status})")).unwrap_or_default();
                eprintln!(
                    "{name:>7} | has ended{how}; the others go on. Stop this and start it again to have all"
                );
            }
        }
    }
    Ok(())
}

/// Has all members stop, and waits for them.
fn stop(members: &mut [Member], happens: &Receiver<Event>) {
    members.iter().for_each(|member| interrupt(&member.child));
    let end = Instant::now() + STOP;
    let running =
        |members: &mut [Member]| members.iter_mut().any(|m| m.child.try_wait().is_ok_and(|s| s.is_none()));
    while running(members) {
        match happens.recv_timeout(Duration::from_millis(50)) {
            Ok(Event::Said(name, Some(line))) => eprintln!("{name:>7} | {line}"),
            // Whoever says it twice means it, and each of them hears it twice.
            Ok(Event::Stop) => members.iter().for_each(|member| interrupt(&member.child)),
            Ok(Event::Said(_, None)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() > end {
            members.iter_mut().for_each(|member| drop(member.child.kill()));
            break;
        }
    }
    members.iter_mut().for_each(|member| drop(member.child.wait()));
}

/// Keeps what interrupts this command at a terminal from its members: it stops them in its own way.
fn alone(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Has a process end, as its operator would.
fn interrupt(child: &Child) {
    #[cfg(unix)]
    if let Some(id) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // One that has ended needs none.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    #[cfg(not(unix))]
    let _ = child;
}

/// Calls `then` each time somebody wants this command to stop.
#[cfg(unix)]
fn on_signals(then: impl Fn() + Send + 'static) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(Error::new)?;
    thread::spawn(move || signals.forever().for_each(|_| then()));
    Ok(())
}

#[cfg(not(unix))]
fn on_signals(_then: impl Fn() + Send + 'static) -> Result<()> {
    Ok(())
}
