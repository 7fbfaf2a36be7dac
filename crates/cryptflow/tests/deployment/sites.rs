//! The sites of a consortium, each in a folder of its own.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use cryptflow::remote::Site;
use cryptflow_aramis::{hex, simulated};
use cryptflow_party::store::Store;
use cryptflow_wire::tls::{Fingerprint, Identity};
use tempfile::TempDir;

use crate::common;
use crate::namespaces::{self, Network};
pub(crate) use crate::process::{PATIENCE, cryptflow, finish};

/// Processes that wait for sessions at each party.
pub const SPARES: usize = 2;

/// Three parties and a client, alice.
pub struct Sites {
    pub folder: TempDir,
    pub addresses: [String; 3],
    pub fingerprints: [Fingerprint; 3],
    pub attested: bool,
    deadline: u64,
    processes: [Option<Child>; 3],
    /// Where each has a network namespace of its own.
    pub network: Option<Network>,
}

/// An address that nobody listens on, and that no other call returns. It is below the ports that
/// systems give to outgoing connections: one of those cannot take it before its party listens, or
/// while it is restarted.
pub fn free_address() -> String {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 12_000;
    const PORTS: u16 = 20_000;
    let start = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap();
    loop {
        let next = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + next % PORTS) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
}

/// A field of `/proc/ID/stat` behind the name, which may hold anything: 0 is the state, 1 the parent.
pub fn stat(id: u32, field: usize) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(field).map(String::from)
}

/// Sends a process a signal.
pub fn signal(id: u32, name: &str) {
    assert!(Command::new("kill").args([name, &id.to_string()]).status().unwrap().success());
}

/// Copies the files of one folder into another.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// What the command prints, where it succeeds; what it complains of, where it fails.
pub fn outcome(mut command: Command) -> Result<String, String> {
    let output = finish(command.spawn().unwrap());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

impl Sites {
    /// Makes the sites: keys, certificates and configurations, as `cryptflow init` does.
    pub fn new(attested: bool) -> Sites {
        // Evidence takes its time, on a machine that has other work.
        let deadline = if attested { 20 } else { 10 };
        Sites::at([(); 3].map(|()| free_address()), attested, deadline, None)
    }

    /// The same, each in a network namespace of its own; nothing where this machine has none.
    pub fn apart(attested: bool, deadline: u64) -> Option<Sites> {
        let network = namespaces::network()?;
        Some(Sites::at(namespaces::addresses(), attested, deadline, Some(network)))
    }

    fn at(addresses: [String; 3], attested: bool, deadline: u64, network: Option<Network>) -> Sites {
        let folder = tempfile::tempdir().unwrap();
        for role in ["p0", "p1", "p2", "client"] {
            let out = folder.path().join(role);
            outcome(cryptflow(&["init", role, "--name", role, "-o", out.to_str().unwrap()])).unwrap();
            std::fs::remove_file(out.join("cryptflow.toml")).unwrap();
        }
        let fingerprint = |role: &str| {
            let site = folder.path().join(role);
            Identity::read(&site.join("site.cert.pem"), &site.join("site.key.pem")).unwrap().fingerprint()
        };
        let fingerprints = ["p0", "p1", "p2"].map(fingerprint);
        let processes = [None, None, None];
        let sites = Sites { addresses, fingerprints, attested, deadline, processes, network, folder };
        if attested {
            simulated::create(&sites.tee(), std::time::SystemTime::now()).unwrap();
            sites.write_policy(600, &[]);
        }
        for role in ["p0", "p1", "p2", "client"] {
            sites.configure(role, &sites.addresses);
        }
        sites
    }

    /// The folder of the simulated root of trust.
    pub fn tee(&self) -> PathBuf {
        self.folder.path().join("tee")
    }

    pub fn site(&self, role: &str) -> PathBuf {
        self.folder.path().join(role)
    }

    pub fn config(&self, role: &str) -> PathBuf {
        self.site(role).join("cryptflow.toml")
    }

    /// The policy that allows the `cryptflow` command at every party, with lines added to it.
    pub fn write_policy(&self, reattest_seconds: u64, more: &[&str]) {
        let measurement = simulated::measure(Path::new(env!("CARGO_BIN_EXE_cryptflow"))).unwrap();
        let mut text = "version = 1\n".to_string();
        for party in ["p0", "p1", "p2"] {
            text += &format!(
                "[[party.{party}.insecure-simulated]]\nmrenclave = \"{}\"\n",
                hex::encode(&measurement)
            );
        }
        text += "[insecure-simulated-tee]\ninsecure_allow = true\n";
        text += &format!("[freshness]\nreattest_seconds = {reattest_seconds}\n");
        text += &more.join("\n");
        std::fs::write(self.folder.path().join("policy.toml"), text).unwrap();
    }

    /// Writes a site's configuration, in which the parties are found at these addresses.
    pub fn configure(&self, role: &str, addresses: &[String; 3]) {
        let client = self.site("client");
        let client = Identity::read(&client.join("site.cert.pem"), &client.join("site.key.pem")).unwrap();
        let mut text =
            format!("[site]\nrole = \"{role}\"\ncertificate = \"site.cert.pem\"\nkey = \"site.key.pem\"\n");
        if let Some(index) = ["p0", "p1", "p2"].iter().position(|party| *party == role) {
            text += &format!("listen = \"{}\"\n", self.addresses[index]);
        }
        for (i, address) in addresses.iter().enumerate() {
            text += &format!("[p{i}]\naddress = \"{address}\"\nfingerprint = \"{}\"\n", self.fingerprints[i]);
        }
        if role != "client" {
            text += &format!(
                "[clients.alice]\nfingerprint = \"{}\"\nmay = [\"deploy\", \"predict\"]\n",
                client.fingerprint()
            );
        }
        text += &format!("[session]\ndeadline_seconds = {}\n", self.deadline);
        text += "protocols = [\"mirror\", \"porthos\", \"porthos-exact\"]\n";
        if self.attested {
            text += "[attestation]\npolicy = \"../policy.toml\"\n";
        }
        std::fs::write(self.config(role), text).unwrap();
    }

    /// Changes a site's configuration.
    pub fn edit(&self, role: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config(role)).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(self.config(role), text.replace(from, to)).unwrap();
    }

    /// The command of a party, as a process of this executable.
    pub fn party(&self, index: usize, executable: &Path) -> Command {
        let mut command = Command::new(executable);
        command.arg("party").arg("--config").arg(self.config(&format!("p{index}")));
        if self.attested {
            command.arg("--insecure-simulated-tee").arg(self.tee());
        }
        command
    }

    /// Starts a party as a process of this executable, and waits until it listens.
    pub fn start_with(&mut self, index: usize, executable: &Path) {
        self.start_command(index, self.party(index, executable));
    }

    /// Starts a party as this process, and waits until it listens.
    pub fn start_command(&mut self, index: usize, command: Command) {
        let mut command = self.within(&format!("p{index}"), command);
        let log = File::options().create(true).append(true).open(self.log_file(index)).unwrap();
        let process = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.processes[index] = Some(process);
        let end = Instant::now() + PATIENCE;
        while !self.listens(index) {
            assert!(self.ended(index).is_none(), "P{index} has ended: {}", self.log(index));
            assert!(Instant::now() < end, "P{index} does not come up: {}", self.log(index));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A command, where this participant is.
    pub fn within(&self, role: &str, command: Command) -> Command {
        match &self.network {
            Some(network) => network.within(role, &command),
            None => command,
        }
    }

    /// Changes the network between the sites.
    pub fn tell_network(&self, change: &str) -> String {
        self.network.as_ref().unwrap().tell(change)
    }

    fn listens(&self, index: usize) -> bool {
        match &self.network {
            Some(_) => namespaces::listens(index, self.id(index)),
            None => TcpStream::connect(&self.addresses[index]).is_ok(),
        }
    }

    /// Starts all parties.
    pub fn start(&mut self) {
        (0..3).for_each(|i| self.start_with(i, Path::new(env!("CARGO_BIN_EXE_cryptflow"))));
    }

    /// Kills a party.
    pub fn kill(&mut self, index: usize) {
        let mut process = self.processes[index].take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// How a party's process has ended, if it has.
    pub fn ended(&mut self, index: usize) -> Option<std::process::ExitStatus> {
        let status = self.processes[index].as_mut().unwrap().try_wait().unwrap()?;
        self.processes[index] = None;
        Some(status)
    }

    /// Waits until a party's process has ended; its exit code.
    pub fn await_end(&mut self, index: usize) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended(index) {
                return status.code();
            }
            assert!(Instant::now() < end, "P{index} does not end: {}", self.log(index));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A party's process.
    pub fn id(&self, index: usize) -> u32 {
        self.processes[index].as_ref().unwrap().id()
    }

    /// Sends a party's process a signal.
    pub fn signal(&self, index: usize, name: &str) {
        signal(self.id(index), name);
    }

    /// Waits until no session runs any more, at any party.
    pub fn await_rest(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let (rest, states) = self.states();
            if rest {
                return;
            }
            assert!(Instant::now() < end, "{states}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether no session runs, and what the parties say of themselves.
    fn states(&self) -> (bool, String) {
        if self.network.is_some() {
            let output = finish(self.client(&["status", "--json"]).spawn().unwrap());
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let parties = report["parties"].as_array().unwrap();
            let rest = parties.iter().all(|party| party["status"]["sessions"][0] == 0);
            return (rest, report.to_string());
        }
        let tee = self.attested.then(|| self.tee());
        let states = Site::read(&self.config("client"), tee.as_deref()).unwrap().status();
        let rest = states.iter().all(|state| state.as_ref().is_ok_and(|state| state.sessions.0 == 0));
        (rest, format!("{states:?}"))
    }

    /// The processes that a party has started, those included that have ended and were not waited for.
    pub fn children(&self, index: usize) -> Vec<u32> {
        let party = self.id(index).to_string();
        let all = std::fs::read_dir("/proc").unwrap();
        let ids = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        ids.filter(|&id| stat(id, 1) == Some(party.clone())).collect()
    }

    /// Waits until every party has as many processes as wait for sessions: one that was taken is replaced a
    /// moment later.
    pub fn await_spares(&self) {
        let end = Instant::now() + PATIENCE;
        while !(0..3).all(|party| self.children(party).len() == SPARES) {
            assert!(Instant::now() < end, "processes wait for sessions");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Bytes of memory that a party's processes have taken, all of them together.
    pub fn memory(&self, index: usize) -> u64 {
        let ids = self.children(index).into_iter().chain([self.id(index)]);
        let taken = |id| {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
            Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
        };
        ids.filter_map(taken).sum()
    }

    /// Descriptors that a party's process has open.
    pub fn descriptors(&self, index: usize) -> usize {
        let id = self.processes[index].as_ref().unwrap().id();
        std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
    }

    /// Makes the site of another client, configured as alice's is; its fingerprint, for the parties.
    pub fn another_client(&self, name: &str) -> Fingerprint {
        let folder = self.site(name);
        outcome(cryptflow(&["init", "client", "--name", name, "-o", folder.to_str().unwrap()])).unwrap();
        std::fs::copy(self.config("client"), self.config(name)).unwrap();
        Identity::read(&folder.join("site.cert.pem"), &folder.join("site.key.pem")).unwrap().fingerprint()
    }

    fn log_file(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("p{index}.log"))
    }

    /// What a party has told its operator.
    pub fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.log_file(index)).unwrap_or_default()
    }

    /// Waits until a party's log says something.
    pub fn await_log(&self, index: usize, what: &str) {
        self.await_log_after(index, 0, what);
    }

    /// The same, behind the first so many bytes.
    pub fn await_log_after(&self, index: usize, before: usize, what: &str) {
        self.says_after(index, before, what).unwrap();
    }

    /// Whether a party's log comes to say something behind the first so many bytes; all that it says, where not.
    pub fn says_after(&self, index: usize, before: usize, what: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while !self.log(index)[before..].contains(what) {
            if Instant::now() > end {
                return Err(format!("P{index} never says {what:?}: {}", &self.log(index)[before..]));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// A command of the client.
    pub fn client(&self, arguments: &[&str]) -> Command {
        self.command_of("client", arguments)
    }

    /// A command of one of the clients.
    pub fn command_of(&self, client: &str, arguments: &[&str]) -> Command {
        let mut command = cryptflow(arguments);
        command.arg("--config").arg(self.config(client));
        if self.attested {
            command.arg("--insecure-simulated-tee").arg(self.tee());
        }
        self.within(client, command)
    }

    /// The store of a party.
    pub fn store(&self, party: usize) -> Store {
        Store::open(&self.site(&format!("p{party}")).join("store"), party).unwrap()
    }

    /// The file of the part of a model that a party uses.
    pub fn part(&self, party: usize, model: &str) -> PathBuf {
        let current = self.store(party).current(model).unwrap().unwrap();
        let file = format!("{}.part", hex::encode(&current.version.content.digest()));
        self.site(&format!("p{party}")).join("store").join(format!("{model}.model")).join(file)
    }

    /// The folder of what a party keeps under a name.
    pub fn model_folder(&self, party: usize, model: &str) -> PathBuf {
        self.site(&format!("p{party}")).join("store").join(format!("{model}.model"))
    }

    /// A copy of what a party keeps under a name.
    pub fn set_aside(&self, party: usize, model: &str) -> TempDir {
        let aside = tempfile::tempdir().unwrap();
        copy(&self.model_folder(party, model), aside.path());
        aside
    }

    /// Puts such a copy in the place of what the party keeps now.
    pub fn put_back(&self, party: usize, model: &str, aside: &TempDir) {
        let folder = self.model_folder(party, model);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        copy(aside.path(), &folder);
    }

    /// Deploys the tiny model.
    pub fn deploy(&self, protocol: &str) -> Result<String, String> {
        let (model, _) = common::write(self.folder.path(), 3);
        let model = model.to_str().unwrap();
        outcome(self.client(&["deploy", model, "--name", "tiny", "--protocol", protocol, "--replace"]))
    }

    /// Runs it on three rows, in two batches; checks the answer.
    pub fn predict(&self) -> Result<serde_json::Value, String> {
        // Several may do so at once.
        let own = tempfile::tempdir_in(self.folder.path()).unwrap();
        let (_, input) = common::write(own.path(), 3);
        let report =
            outcome(self.client(&["predict", "tiny", "--json", "--input", input.to_str().unwrap()]))?;
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        check(&report, 3);
        Ok(report)
    }
}

/// Whether an answer to so many rows is right.
pub fn check(report: &serde_json::Value, rows: usize) {
    let answers = report["top"].as_array().unwrap();
    assert_eq!(answers.len(), rows, "{report}");
    for (row, top) in common::rows(rows).iter().zip(answers) {
        let expected = common::expected(row);
        for ranked in top.as_array().unwrap() {
            let class = ranked["class"].as_u64().unwrap() as usize;
            let logit = ranked["logit"].as_f64().unwrap();
            assert!((logit - f64::from(expected[class])).abs() <= 16.0 / 4096.0, "{report}");
        }
    }
}

impl Drop for Sites {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            (0..3).for_each(|i| eprintln!("P{i} said:\n{}", self.log(i)));
        }
    }
}
