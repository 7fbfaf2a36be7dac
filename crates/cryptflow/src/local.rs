//! The parties on this machine: a process each, which nobody but the process that started them can
//! join.
//!
//! The launcher hands every party the session's token over its standard input: a command line or an
//! environment can be read by others. A party answers with its port on its standard output, and
//! learns the others' over its standard input. When that closes, the launcher is gone, and the
//! party goes, too.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cryptflow_wire::Network;
use cryptflow_wire::{Link, LinkOptions, Role, Token, WireError, tcp};

use cryptflow_party::messages::{Obstacle, SessionError};
use cryptflow_party::stock::StockError;
use cryptflow_party::{ALLOCATOR, Supply};

use crate::error::Error;

/// Time for a process to start and to find the others.
const START: Duration = Duration::from_secs(20);
/// Time for a process to end once its session has ended.
const END: Duration = Duration::from_secs(3);
/// How much longer than a party the client is patient, so that it hears from the parties who is
/// silent.
const GRACE: Duration = Duration::from_secs(10);
/// A session may be idle, and a batch may take long: neither is a failure, as long as both sides
/// give signs of life.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// Why the parties' processes did not come up.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A process cannot be started or spoken to.
    #[error("cannot start the process of P{party}: {reason}")]
    Process {
        /// Which party.
        party: usize,
        /// The operating system's reason.
        reason: String,
    },
    /// A link cannot be made.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// What the parties' processes run: the `cryptflow` command, wherever it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Executable {
    /// The file that runs here.
    #[default]
    This,
    /// Another file, with what stands before the command's own arguments: an interpreter, and the
    /// script that it reads.
    Through {
        /// The file.
        file: PathBuf,
        /// Its first arguments.
        arguments: Vec<OsString>,
    },
}

impl Executable {
    /// The command, without arguments of its own.
    pub(crate) fn command(&self) -> std::io::Result<Command> {
        match self {
            Executable::This => std::env::current_exe().map(Command::new),
            Executable::Through { file, arguments } => {
                let mut command = Command::new(file);
                command.args(arguments);
                Ok(command)
            }
        }
    }
}

/// Where what the dealer sends comes from, or goes: for processes of [`Parties`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dealing<'a> {
    /// It deals while a program runs.
    Live,
    /// It deals ahead: evaluators keep that in this folder, each in one of its own.
    Ahead(&'a Path),
    /// It dealt ahead, into this folder, and is not there.
    Kept(&'a Path),
}

/// The folder of an evaluator, in that of all.
pub(crate) fn folder_of(folder: &Path, party: usize) -> PathBuf {
    folder.join(format!("p{party}"))
}

impl Dealing<'_> {
    /// The arguments that tell a party, which may be the dealer, of it.
    fn arguments(self, party: usize, dealer: bool) -> Vec<OsString> {
        let folder = |option: &str, folder| vec![option.into(), folder_of(folder, party).into_os_string()];
        match self {
            Dealing::Live => Vec::new(),
            Dealing::Ahead(_) if dealer => vec!["--deal".into()],
            Dealing::Ahead(path) => folder("--keep", path),
            Dealing::Kept(path) => folder("--stock", path),
        }
    }
}

/// The processes of all parties. Dropping them ends them.
pub struct Parties {
    children: Vec<Running>,
}

struct Running {
    process: Child,
    /// Open as long as the party shall live.
    _stdin: Option<ChildStdin>,
}

impl Parties {
    /// Starts so many processes of this executable (each as `EXECUTABLE party-local INDEX
    /// PARTIES`), links them with one another, and connects to each as their client. `deadline` is
    /// the silence after which a party counts as gone; `network` is what the parties' links among
    /// themselves shall be like, where that is not this machine.
    ///
    /// # Errors
    /// A process does not start, or does not come up in time.
    pub fn launch(
        executable: &Executable,
        parties: usize,
        deadline: Duration,
        network: Option<Network>,
    ) -> Result<(Parties, Vec<Link>), LaunchError> {
        Parties::launch_dealing(executable, parties, deadline, network, Dealing::Live)
    }

    /// The same, where what the dealer sends comes from elsewhere than from it, or goes elsewhere. The dealer
    /// is the last of the parties, where it is one of them.
    ///
    /// # Errors
    /// As [`Parties::launch`].
    pub fn launch_dealing(
        executable: &Executable,
        parties: usize,
        deadline: Duration,
        network: Option<Network>,
        dealing: Dealing<'_>,
    ) -> Result<(Parties, Vec<Link>), LaunchError> {
        let token = Token::fresh()?;
        let mut running = Parties { children: Vec::with_capacity(parties) };
        let (ports_found, ports) = mpsc::channel();
        for party in 0..parties {
            let failed = |e: std::io::Error| LaunchError::Process { party, reason: e.to_string() };
            let mut process = executable
                .command()
                .map_err(failed)?
                .arg("party-local")
                .args([party.to_string(), parties.to_string()])
                .arg("--timeout")
                .arg(deadline.as_secs_f64().to_string())
                .args(network.iter().flat_map(emulation))
                .args(dealing.arguments(party, party + 1 == parties))
                .envs(ALLOCATOR.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(failed)?;
            let (mut stdin, stdout) = (process.stdin.take(), process.stdout.take());
            let told = stdin.as_mut().map(|stdin| stdin.write_all(token.as_bytes()));
            running.children.push(Running { process, _stdin: stdin });
            told.transpose().map_err(failed)?;
            let ports_found = ports_found.clone();
            std::thread::Builder::new()
                .spawn(move || {
                    // The launcher gave up if nobody takes the answer.
                    let _ = ports_found.send((party, stdout.and_then(read_port)));
                })
                .map_err(failed)?;
        }

        let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); parties];
        let end = Instant::now() + START;
        for _ in 0..parties {
            let left = end.saturating_duration_since(Instant::now());
            let (party, port) = ports.recv_timeout(left).map_err(|_| LaunchError::Process {
                party: addresses.iter().position(|a| a.port() == 0).unwrap_or_default(),
                reason: format!("it did not come up within {} s", START.as_secs()),
            })?;
            let port = port.ok_or_else(|| LaunchError::Process {
                party,
                reason: match running.exit(party) {
                    Some(status) => format!("it ended at once, {status}"),
                    None => "it did not say where it listens".into(),
                },
            })?;
            if let Some(address) = addresses.get_mut(party) {
                address.set_port(port);
            }
        }
        let ports: Vec<u8> = addresses.iter().flat_map(|a| a.port().to_le_bytes()).collect();
        for (party, child) in running.children.iter_mut().enumerate() {
            if let Some(stdin) = &mut child._stdin {
                stdin
                    .write_all(&ports)
                    .and_then(|()| stdin.flush())
                    .map_err(|e| LaunchError::Process { party, reason: e.to_string() })?;
            }
        }

        let deadline = deadline.saturating_add(GRACE);
        let options = LinkOptions { deadline, stall_limit: IDLE, ..LinkOptions::default() };
        let clock = Arc::default();
        let connect = |(party, &address): (usize, &SocketAddr)| {
            let peer = Role::Party(party as u8);
            tcp::connect(address, Role::Client, peer, &token, START)?
                .into_link(Arc::clone(&clock), options.clone())
        };
        let links = addresses.iter().enumerate().map(connect).collect::<Result<_, _>>()?;
        Ok((running, links))
    }

    /// The process ids, for whoever watches them.
    pub fn ids(&self) -> Vec<u32> {
        self.children.iter().map(|child| child.process.id()).collect()
    }

    /// Waits for the processes to end by themselves, as they do when a session has ended, and ends
    /// those that do not. An error of the session is told how each of them ended that did not end
    /// well by itself: `P1 was ended by signal 9`.
    ///
    /// # Errors
    /// That of the session.
    pub fn end<T>(mut self, session: Result<T, Error>) -> Result<T, Error> {
        let end = Instant::now() + END;
        let mut oddities = Vec::new();
        for (party, child) in self.children.iter_mut().enumerate() {
            loop {
                match child.process.try_wait() {
                    Ok(Some(status)) => {
                        oddities.extend(odd(party, status));
                        break;
                    }
                    Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                    _ => {
                        oddities.push(format!("the process of P{party} did not end and was killed"));
                        break;
                    }
                }
            }
        }
        session.map_err(|error| {
            Error::new(std::iter::once(error.to_string()).chain(oddities).collect::<Vec<_>>().join("; "))
        })
    }

    fn exit(&mut self, party: usize) -> Option<ExitStatus> {
        let child = self.children.get_mut(party)?;
        // Its output is closed already: it is about to end.
        for _ in 0..100 {
            if let Ok(Some(status)) = child.process.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Parties {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Both fail for a process that has ended, and was waited for, already.
            let _ = child.process.kill();
            let _ = child.process.wait();
        }
    }
}

/// The arguments that tell a party of its network.
fn emulation(network: &Network) -> Vec<String> {
    let mut arguments = vec!["--rtt".into(), (network.rtt.as_secs_f64() * 1e3).to_string()];
    if network.bandwidth_bits_per_s > 0 {
        arguments.extend(["--bandwidth".into(), (network.bandwidth_bits_per_s as f64 / 1e6).to_string()]);
    }
    arguments
}

/// The network of these numbers, as [`Parties::launch`] tells parties of it: milliseconds there and
/// back, and Mbit/s; none where neither is given.
///
/// # Errors
/// A number that is no time or no bandwidth.
pub fn network(rtt: Option<f64>, bandwidth: Option<f64>) -> Result<Option<Network>, Error> {
    let delay = rtt.map_or(Ok(Duration::ZERO), |ms| {
        Duration::try_from_secs_f64(ms / 1000.0)
            .map_err(|_| Error::new(format_args!("--rtt {ms}: give a number of milliseconds")))
    })?;
    let bandwidth_bits_per_s = match bandwidth {
        None => 0,
        Some(mbit) if mbit > 0.0 && (1.0..1e15).contains(&(mbit * 1e6)) => (mbit * 1e6) as u64,
        Some(mbit) => return Err(Error::new(format_args!("--bandwidth {mbit}: give a number of Mbit/s"))),
    };
    Ok((rtt.is_some() || bandwidth.is_some()).then_some(Network { rtt: delay, bandwidth_bits_per_s }))
}

/// How a process ended, if not by itself: a party that gives up says why over its links, and ends
/// with status 1.
fn odd(party: usize, status: ExitStatus) -> Option<String> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Some(format!("the process of P{party} was ended by signal {signal}"));
    }
    match status.code() {
        Some(0 | 1) => None,
        _ => Some(format!("the process of P{party} ended with {status}")),
    }
}

fn read_port(stdout: impl Read) -> Option<u16> {
    let mut line = String::new();
    BufReader::new(stdout.take(64)).read_line(&mut line).ok()?;
    line.trim().strip_prefix("port ")?.parse().ok()
}

/// The process of one party: the other side of [`Parties::launch`]. Ends when its session ends, or
/// with status 1 when its standard input closes.
///
/// # Errors
/// Whatever ended the session before its time.
pub fn run_party(
    index: usize,
    parties: usize,
    deadline: Duration,
    network: Option<Network>,
    supply: impl FnOnce() -> Result<Supply, StockError>,
) -> Result<(), SessionError> {
    let broken = |e: std::io::Error| {
        SessionError::Wire(WireError::Io { peer: "the launcher".into(), reason: e.to_string() })
    };
    let mut token = [0; 32];
    std::io::stdin().read_exact(&mut token).map_err(broken)?;
    let token = Token::from_bytes(token);
    let listener = tcp::Listener::loopback()?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "port {}", listener.address().port()).and_then(|()| stdout.flush()).map_err(broken)?;
    let mut addresses = Vec::with_capacity(parties);
    for _ in 0..parties {
        let mut port = [0; 2];
        std::io::stdin().read_exact(&mut port).map_err(broken)?;
        addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, u16::from_le_bytes(port))));
    }
    std::thread::Builder::new().name("launcher's watch".into()).spawn(end_with_launcher).map_err(broken)?;

    let options = LinkOptions { deadline, network, ..LinkOptions::default() };
    let (links, clients) = tcp::join(index, &listener, &addresses, &[Role::Client], &token, &options, START)?;
    drop(listener);
    let patient = LinkOptions { stall_limit: IDLE, network: None, ..options };
    let client = clients.into_iter().next().map(|client| client.into_link(Arc::default(), patient));
    match client {
        Some(client) => cryptflow_party::serve_alone(links, client?, supply()),
        None => Err(Obstacle::NoClient.into()),
    }
}

/// Standard input says nothing more, and closes when the launcher ends, whatever ended it.
fn end_with_launcher() {
    let mut rest = [0; 64];
    loop {
        match std::io::stdin().read(&mut rest) {
            Ok(n) if n > 0 => {}
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            _ => std::process::exit(1),
        }
    }
}
