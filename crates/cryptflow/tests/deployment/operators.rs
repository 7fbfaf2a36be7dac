//! Four operators who do not trust each other, and have nothing but the page of three organisations: each types its
//! commands in a network namespace and a folder of its own, where it sees neither those of the others nor this
//! machine's names. What one of them gives to another is copied here, file by file.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::namespaces::{HOSTS, Network, network};
use crate::sites::{PATIENCE, finish, signal};

/// The page's commands, which are indented by four spaces.
struct Page(Vec<String>);

impl Page {
    fn read() -> Page {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deployment.md");
        let text = std::fs::read_to_string(page).unwrap();
        // One that goes on in the next line.
        let text = text.replace("\\\n        ", "");
        Page(text.lines().filter_map(|line| line.strip_prefix("    ")).map(String::from).collect())
    }

    /// The first one that begins like this, without its comment, and with other words in the place of its own.
    fn line(&self, begins: &str, instead: &[(&str, &str)]) -> String {
        let line = self.0.iter().find(|line| line.starts_with(begins));
        let line = line.unwrap_or_else(|| panic!("the page has no command {begins:?}"));
        let mut line = line.split("     #").next().unwrap().to_string();
        for (from, to) in instead {
            assert!(line.contains(from), "{from:?} is not in the page's {line:?}");
            line = line.replace(from, to);
        }
        line
    }
}

/// One of them.
struct Operator<'a> {
    network: &'a Network,
    place: &'static str,
    all: &'a Path,
    party: Option<Child>,
}

impl Operator<'_> {
    /// Its folder, as nobody else sees it.
    fn folder(&self) -> PathBuf {
        self.all.join(self.place)
    }

    /// What it types, in its folder; the others' are not there.
    fn command(&self, line: &str) -> Command {
        let script = "set -e; mount --bind \"$1/hosts\" /etc/hosts; mount --bind \"$1/$2\" \"$1\"; cd \"$1\"; exec bash -c \"$3\"";
        let binary = Path::new(env!("CARGO_BIN_EXE_cryptflow")).parent().unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash"]).arg(self.all).args([self.place, line]);
        command.env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()));
        self.network.within(self.place, &command)
    }

    /// What it reads then.
    fn types(&self, line: &str) -> String {
        println!("{}$ {line}", self.place);
        let output = finish(self.command(line).spawn().unwrap());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, complaints) = (text(&output.stdout), text(&output.stderr));
        println!("{said}{complaints}");
        assert!(output.status.success(), "{}$ {line}\n{said}\n{complaints}", self.place);
        said
    }

    /// Leaves its party running.
    fn leaves_running(&mut self, line: &str) {
        println!("{}$ {line} &", self.place);
        let before = self.log().len();
        let log = std::fs::File::options().create(true).append(true).open(self.folder().join("log")).unwrap();
        let mut command = self.command(&format!("exec {line}"));
        self.party = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.await_log(before, "listens on");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    fn await_log(&self, before: usize, said: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log()[before..].contains(said) {
            assert!(Instant::now() < end, "{} never says {said:?}: {}", self.place, self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a file to somebody.
    fn sends(&self, file: &str, to: &Operator<'_>, name: &str) {
        println!("{} sends {file} to {}", self.place, to.place);
        std::fs::copy(self.folder().join(file), to.folder().join(name)).unwrap();
    }

    /// Stops its party, as a system does.
    fn stops(&mut self) {
        let party = self.party.take().unwrap();
        signal(party.id(), "-TERM");
        assert!(finish(party).status.success(), "{}", self.log());
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        if let Some(party) = &mut self.party {
            let _ = party.kill();
            let _ = party.wait();
        }
    }
}

/// Each operator has a folder; their machines find each other by name.
fn folders() -> TempDir {
    let all = tempfile::tempdir().unwrap();
    let mut hosts = "127.0.0.1 localhost\n".to_string();
    for (place, address) in HOSTS.iter().take(3) {
        hosts += &format!("{address} {place}.example.org\n");
    }
    std::fs::write(all.path().join("hosts"), hosts).unwrap();
    for (place, _) in HOSTS {
        std::fs::create_dir(all.path().join(place)).unwrap();
    }
    all
}

#[test]
fn from_nothing_to_an_answer() {
    let Some(network) = network() else { return };
    let (page, all) = (Page::read(), folders());
    let operator = |place| Operator { network: &network, place, all: all.path(), party: None };
    let mut parties = ["p0", "p1", "p2"].map(operator);
    let alice = operator("client");

    // 1. Each makes its site.
    let names = ["St. Anne's hospital", "City bank", "University"];
    for (party, name) in parties.iter().zip(names) {
        party.types(&page.line("cryptflow init p0", &[("p0", party.place), ("St. Anne's hospital", name)]));
    }
    alice.types(&page.line("cryptflow init client", &[]));

    // 2. They exchange their tables, and take them in.
    let own = |operator: &Operator<'_>| match operator.place {
        "client" => "alice.toml".to_string(),
        party => format!("{party}.toml"),
    };
    for operator in parties.iter().chain([&alice]) {
        operator.types(&page.line("cryptflow site show", &[("p0.toml", &own(operator))]));
    }
    for party in &parties {
        for other in parties.iter().filter(|other| other.place != party.place) {
            other.sends(&own(other), party, &own(other));
            party.types(&page.line("cryptflow site add p1.toml", &[("p1.toml", &own(other))]));
        }
        alice.sends("alice.toml", party, "alice.toml");
        party.types(&page.line("cryptflow site add alice.toml", &[("resnet50", "digits")]));
        party.sends(&own(party), &alice, &own(party));
        alice.types(&page.line("cryptflow site add p1.toml", &[("p1.toml", &own(party))]));
    }

    // Over the telephone: each reads its fingerprint out, and it is what the others have.
    let site = |operator: &Operator<'_>| operator.types("cat site/cryptflow.toml");
    for (index, party) in parties.iter().enumerate() {
        let said = party.types("cryptflow site show --config site/cryptflow.toml");
        let fingerprint = said.lines().find(|line| line.starts_with("fingerprint = ")).unwrap();
        let others = parties.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
        others
            .chain([&alice])
            .for_each(|other| assert!(site(other).contains(fingerprint), "{}", other.place));
    }

    // 3. They start their parties, and the client looks whether all is well.
    for party in &mut parties {
        // The page says that `cryptflow party` is the same service; this crate's tests have that alone.
        party.leaves_running(
            &page.line("cryptflow-party --config", &[("cryptflow-party", "cryptflow party")]),
        );
    }
    let said = alice.types(&page.line("cryptflow status --config site", &[]));
    assert!(names.iter().all(|name| said.contains(name)), "{said}");

    // 4. A model is deployed, 5. and answers.
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits");
    std::fs::create_dir_all(alice.folder().join("models/digits")).unwrap();
    for file in std::fs::read_dir(models).unwrap().map(|file| file.unwrap()) {
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), alice.folder().join("models/digits").join(file.file_name())).unwrap();
        }
    }
    alice.types(&page.line("cryptflow compile", &[]));
    alice.types(&page.line("cryptflow deploy resnet50", &[("resnet50", "digits")]));
    let said = alice.types(&page.line("cryptflow models list", &[]));
    assert!(said.contains("digits"), "{said}");
    let input = "models/digits/inputs.npy --labels models/digits/labels.txt";
    let predict = page.line("cryptflow predict resnet50", &[("resnet50", "digits"), ("picture.jpg", input)]);
    let said = alice.types(&predict);
    assert!(said.contains("inputs.npy[0]   four"), "{said}");

    for party in &mut parties {
        party.stops();
    }

    // With a simulated root of trust, which alice makes, as nobody needs to trust it.
    alice.types(&page.line("cryptflow attest insecure-simulated-root", &[]));
    let said = alice.types(&page.line("cryptflow attest measure", &[]));
    let measured = said.lines().find_map(|line| line.strip_prefix("policy ")).unwrap().trim();
    alice.types(&page.line("cryptflow attest policy --insecure", &[("insecure-simulated:DIGITS", measured)]));
    for party in &parties {
        std::fs::create_dir(party.folder().join("tee")).unwrap();
        for file in std::fs::read_dir(alice.folder().join("tee")).unwrap() {
            let file = format!("tee/{}", file.unwrap().file_name().to_str().unwrap());
            alice.sends(&file, party, &file);
        }
        alice.sends("policy.toml", party, "policy.toml");
    }
    for operator in parties.iter().chain([&alice]) {
        operator.types(&page.line("cp policy.toml", &[]));
        operator.types(&page.line("printf", &[]));
    }
    for party in &mut parties {
        party.leaves_running(&page.line("cryptflow party --config site", &[]));
    }
    let said = alice.types(&page.line("cryptflow status --config site/cryptflow.toml --insecure", &[]));
    assert!(names.iter().all(|name| said.contains(name)), "{said}");
    let said = alice.types(&format!("{predict} --insecure-simulated-tee tee"));
    assert!(said.contains("inputs.npy[0]   four") && said.contains("insecure-simulated"), "{said}");

    // They stop, and compare their logs.
    for party in &mut parties {
        party.stops();
    }
    for party in &parties {
        let logs: Vec<String> = parties
            .iter()
            .filter(|other| other.place != party.place)
            .map(|other| {
                let name = format!("{}.jsonl", other.place);
                other.sends("site/audit.jsonl", party, &name);
                name
            })
            .collect();
        party.types(&format!("cryptflow audit site/audit.jsonl --compare {} {}", logs[0], logs[1]));
    }

    // Nobody sees what is another's.
    let everybody = || parties.iter().chain([&alice]);
    for own in everybody() {
        own.types("test -e site/site.key.pem");
        for other in everybody().filter(|other| other.place != own.place) {
            assert!(other.folder().join("site/site.key.pem").exists());
            own.types(&format!("! test -e {}", other.folder().display()));
        }
    }
}
