//! Parties of two lanes: each lane is three processes of its own, and a client comes to whichever has room.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use cryptflow::patience::Patience;
use cryptflow::remote::Site;
use cryptflow_protocols::ProtocolName;

use crate::sites::{Sites, cryptflow, finish, outcome};

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
    // A session's end is written down a moment after its client has its answer.
    let end = std::time::Instant::now() + crate::sites::PATIENCE;
    loop {
        let log = std::fs::read_to_string(sites.site("p2").join("audit-1.jsonl")).unwrap();
        if log.matches("\"outcome\":\"finished\"").count() >= 3 {
            break;
        }
        assert!(std::time::Instant::now() < end, "{log}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
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

/// The doctor looks at every lane, and says in which a fault is.
#[test]
fn the_doctor_looks_at_every_lane() {
    let (sites, mut second) = start("");
    sites.deploy("mirror").unwrap();
    let doctor = |role: &str, more: &[&str]| {
        let mut command = cryptflow(&["doctor", "--json", "--config"]);
        let output = finish(command.arg(sites.config(role)).args(more).spawn().unwrap());
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), said["findings"].as_array().unwrap().clone())
    };
    let lanes = |found: &[serde_json::Value], check: &str, party: usize| -> Vec<(i64, String)> {
        let of_it = found.iter().filter(|it| it["check"] == check && it["party"] == party);
        of_it.map(|it| (it["lane"].as_i64().unwrap_or(-1), it["outcome"].as_str().unwrap().into())).collect()
    };
    let both = vec![(0, "ok".to_string()), (1, "ok".into())];
    for role in ["client", "p0"] {
        let (code, found) = doctor(role, &[]);
        assert_eq!((code, lanes(&found, "connection", 1)), (0, both.clone()), "{role}: {found:?}");
        assert_eq!(found.iter().filter(|it| it["check"] == "permissions").count(), 1);
    }
    // P1 is away, in the second lane alone; and its store there is open to others.
    second.0[1].kill().unwrap();
    second.0[1].wait().unwrap();
    for role in ["client", "p0"] {
        let (code, found) = doctor(role, &[]);
        let expected = vec![(0, "ok".to_string()), (1, "failed".into())];
        assert_eq!((code, lanes(&found, "connection", 1)), (1, expected), "{role}: {found:?}");
    }
    let (code, found) = doctor("p0", &["--lane", "0"]);
    assert_eq!((code, lanes(&found, "connection", 1)), (0, vec![(-1, "ok".into())]), "{found:?}");
    let store = sites.site("p2").join("store-1");
    std::fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (_, found) = doctor("p2", &[]);
    let wide = found.iter().find(|it| it["check"] == "permissions").unwrap();
    assert!(wide["message"].as_str().unwrap().contains("store-1"), "{wide}");
}
