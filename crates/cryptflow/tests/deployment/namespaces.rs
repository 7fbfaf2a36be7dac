//! A network namespace for each participant, and a network between them that loses, delays and holds packets as
//! it is told (`router.py`): nothing that two participants share but what goes over it. Needs Linux, root,
//! iproute2, Python and /dev/net/tun.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// The participants and their addresses: the same in every network, as networks do not meet.
pub const HOSTS: [(&str, &str); 5] = [
    ("p0", "10.77.0.1"),
    ("p1", "10.77.0.2"),
    ("p2", "10.77.0.3"),
    ("client", "10.77.0.4"),
    ("bob", "10.77.0.5"),
];

/// Where a party listens; each has its own, as each has a machine of its own.
const PORT: u16 = 7843;

/// A network, which is gone when this is dropped.
pub struct Network {
    /// What its namespaces' names begin with: the number of this process is in it.
    prefix: String,
    router: Child,
    speaks: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// Where the three parties listen.
pub fn addresses() -> [String; 3] {
    [0, 1, 2].map(|party| format!("{}:{PORT}", HOSTS[party].1))
}

/// All namespaces of a network.
fn places() -> impl Iterator<Item = &'static str> {
    HOSTS.into_iter().map(|(place, _)| place).chain(["router"])
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))),
    }
}

/// Namespaces of processes that are gone, killed before they could remove them.
fn sweep() {
    let Ok(all) = std::fs::read_dir("/run/netns") else { return };
    for name in all.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix("cryptflow-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another test process may sweep as well.
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

/// A network, or why this machine can have none; that is said, as tests that need one are skipped then.
pub fn network() -> Option<Network> {
    static WHY: Mutex<Option<String>> = Mutex::new(None);
    let mut why = WHY.lock().unwrap();
    if why.is_none() {
        match Network::new() {
            Ok(network) => return Some(network),
            // Once it could, it can.
            Err(reason) => *why = Some(reason),
        }
    }
    let reason = why.as_deref().unwrap_or_default();
    eprintln!("skipped: this machine gives us no network namespaces: {reason}");
    // Where they must be tested, being left out is a failure.
    assert!(std::env::var_os("CRYPTFLOW_NAMESPACES").is_none(), "{reason}");
    None
}

impl Network {
    fn new() -> Result<Network, String> {
        static MADE: AtomicU16 = AtomicU16::new(0);
        sweep();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("cryptflow-{}-{number}", std::process::id());
        let made = Network::built(&prefix);
        if made.is_err() {
            remove(&prefix);
        }
        made
    }

    fn built(prefix: &str) -> Result<Network, String> {
        let within = |place: &str| format!("{prefix}-{place}");
        for place in places() {
            ip(&["netns", "add", &within(place)])?;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deployment/router.py");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &within("router"), "python3", script]);
        command.args(HOSTS.map(|(place, address)| format!("{place}={address}")));
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut router = spawned.map_err(|error| format!("ip: {error}"))?;
        let (stdin, stdout) = (router.stdin.take().unwrap(), router.stdout.take().unwrap());
        let mut network =
            Network { prefix: prefix.into(), router, speaks: Mutex::new((stdin, BufReader::new(stdout))) };
        if network.hear() != "ready" {
            let mut said = String::new();
            let _ = std::io::Read::read_to_string(network.router.stderr.as_mut().unwrap(), &mut said);
            return Err(format!(
                "the router does not start: {}",
                said.lines().last().unwrap_or("it says nothing")
            ));
        }
        for (place, address) in HOSTS {
            let namespace = within(place);
            ip(&["-n", &within("router"), "link", "set", place, "netns", &namespace])?;
            ip(&["-n", &namespace, "address", "add", &format!("{address}/24"), "dev", place])?;
            ip(&["-n", &namespace, "link", "set", place, "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        }
        Ok(network)
    }

    /// This command, in the namespace of a participant. The process has the same number.
    pub fn within(&self, place: &str, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &format!("{}-{place}", self.prefix)]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        // As [`crate::process::cryptflow`] has it; whoever wants something else says so.
        inside.stdout(Stdio::piped()).stderr(Stdio::piped());
        inside
    }

    /// A line of the router.
    fn hear(&mut self) -> String {
        heard(&mut self.speaks.get_mut().unwrap().1)
    }

    /// Changes the network (`router.py` has the words); what the router says to that.
    pub fn tell(&self, change: &str) -> String {
        let mut speaks = self.speaks.lock().unwrap();
        writeln!(speaks.0, "{change}").unwrap();
        match heard(&mut speaks.1).as_str() {
            "" => panic!("the router is gone: {change}"),
            answer => answer.into(),
        }
    }
}

/// Whether a party's process listens, in its namespace.
pub fn listens(party: usize, process: u32) -> bool {
    const LISTENS: &str = "0A";
    // As the kernel writes them: four bytes, the last one first, and the port.
    let address = format!("{:02X}004D0A:{PORT:04X}", party + 1);
    let table = std::fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default();
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1] == address && fields[3] == LISTENS
    })
}

fn heard(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().into()
}

fn remove(prefix: &str) {
    for place in places() {
        let _ = ip(&["netns", "delete", &format!("{prefix}-{place}")]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.router.kill();
        let _ = self.router.wait();
        remove(&self.prefix);
    }
}
