//! Parties of two lanes: each lane is three processes of its own, and a client comes to whichever has room.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use cryptflow_protocols::ProtocolName;

use crate::sites::{Sites, outcome};

/// The processes of the second lane.
struct Second(Vec<Child>);

impl Drop for Second {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Lane i of each party is found at 127.0.i.1.
fn start(limits: &str) -> (Sites, Second) {
    let mut sites = Sites::new(false);
    for role in ["p0", "p1", "p2", "client"] {
        sites.edit(role, "127.0.0.1:", "127.0.{lane}.1:");
        sites.edit(role, "[site]\n", "[site]\nlanes = 2\n");
        if role != "client" {
            sites.edit(role, "[session]\n", &format!("[session]\n{limits}"));
        }
    }
    let executable = Path::new(env!("CARGO_BIN_EXE_cryptflow"));
    let lane = |index: usize| {
        let mut command = Command::new(executable);
        command.args(["party", "--lane", "1", "--config"]).arg(sites.config(&format!("p{index}")));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let second = Second((0..3).map(lane).collect());
    for address in &sites.addresses {
        let end = std::time::Instant::now() + crate::sites::PATIENCE;
        while std::net::TcpStream::connect(address.replace("127.0.0.1", "127.0.1.1")).is_err() {
            assert!(std::time::Instant::now() < end, "the second lane does not come up");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    sites.start();
    (sites, second)
}

#[test]
fn lanes_serve_beside_each_other() {
    let (mut sites, _second) = start("max_sessions = 1\n");
    sites.deploy("mirror").unwrap();
    let listed = |lane: &str| outcome(sites.client(&["models", "list", "--lane", lane])).unwrap();
    assert!(listed("0").contains("tiny") && listed("1").contains("tiny"));
    assert!(sites.site("p0").join("store-1").is_dir());

    // Each lane has room for one: two are served at once, and a third waits.
    let alice = Site::read(&sites.config("client"), None).unwrap();
    let (deployment, program) = alice.describe("tiny").unwrap();
    let open = |patience: &mut Patience<'_>| {
        let opened = alice.open(&deployment, &program, ProtocolName::Mirror, patience);
        opened.map_err(|error| error.to_string())
    };
    let held = [open(&mut Patience::none()).unwrap(), open(&mut Patience::none()).unwrap()];
    assert_ne!(held[0].deployment.digest(), held[1].deployment.digest());
    let error = open(&mut Patience::none()).map(drop).unwrap_err();
    assert!(error.contains("there is no room for another now"), "{error}");
    drop(held);
    sites.await_rest();

    // A lane of which a party is gone is passed over.
    sites.kill(1);
    for _ in 0..3 {
        sites.predict().unwrap();
    }
    let log = std::fs::read_to_string(sites.site("p2").join("audit-1.jsonl")).unwrap();
    assert!(log.matches("\"outcome\":\"finished\"").count() >= 3, "{log}");
    let error = outcome(sites.client(&["status"])).unwrap_err();
    assert!(error.contains("2 of 3 parties can be reached"), "{error}");
    outcome(sites.client(&["status", "--lane", "1"])).unwrap();
    let error = outcome(sites.client(&["status", "--lane", "2"])).unwrap_err();
    assert!(error.contains("lane 2 is none of this site's"), "{error}");
}

#[test]
fn models_are_changed_at_each_lane() {
    let (sites, _second) = start("");
    sites.deploy("mirror").unwrap();
    sites.deploy("mirror").unwrap();
    let said = outcome(sites.client(&["models", "rollback", "tiny", "--json"])).unwrap();
    let lanes: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
    assert_eq!(lanes.len(), 2, "{said}");
    for (number, lane) in lanes.iter().enumerate() {
        assert_eq!((&lane["lane"], &lane["version"]), (&number.into(), &3.into()), "{said}");
    }
    sites.predict().unwrap();
    outcome(sites.client(&["models", "rm", "tiny"])).unwrap();
    let error = sites.predict().unwrap_err();
    assert!(error.contains("was removed"), "{error}");
}
