//! Participants come, go, and change their keys, with the commands that their operators type.

use std::path::Path;

use crate::sites::{Sites, cryptflow, outcome};

const PARTIES: [&str; 3] = ["p0", "p1", "p2"];

/// `cryptflow site …` at a site.
fn site(sites: &Sites, role: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = cryptflow(&["site"]);
    command.args(arguments).arg("--config").arg(sites.config(role));
    outcome(command)
}

/// What a site says of itself, in a file for the others.
fn table(sites: &Sites, role: &str) -> String {
    let path = sites.folder.path().join(format!("{role}.toml"));
    std::fs::write(&path, site(sites, role, &["show"]).unwrap()).unwrap();
    path.to_str().unwrap().into()
}

/// Has others take a site's table in, and load it.
fn tell(sites: &Sites, role: &str, others: &[&str], more: &[&str]) {
    let table = table(sites, role);
    for other in others {
        site(sites, other, &[&["add", &table], more].concat()).unwrap();
        if let Some(index) = PARTIES.iter().position(|party| party == other) {
            let before = sites.log(index).len();
            sites.signal(index, "-HUP");
            sites.await_log_after(index, before, "the configuration was read again");
        }
    }
}

/// Runs the tiny model as a client.
fn predict(sites: &Sites, client: &str) -> Result<String, String> {
    let (_, input) = crate::common::write(sites.folder.path(), 3);
    let mut command = cryptflow(&["predict", "tiny", "--input", input.to_str().unwrap()]);
    command.arg("--config").arg(sites.config(client));
    outcome(command)
}

#[test]
fn a_client_comes_and_goes_by_its_table() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.another_client("bob");
    sites.edit("bob", "role = \"client\"\n", "role = \"client\"\nname = \"bob\"\n");
    let error = predict(&sites, "bob").unwrap_err();
    assert!(error.contains("does not accept this key"), "{error}");
    tell(&sites, "bob", &PARTIES, &["--models", "tiny,other"]);
    predict(&sites, "bob").unwrap();
    let text = std::fs::read_to_string(sites.config("p1")).unwrap();
    assert!(
        text.contains("may = [\"predict\"]") && text.contains("models = [\"tiny\", \"other\"]"),
        "{text}"
    );
    // What is known already changes nothing, and rights stay.
    let said = site(&sites, "p1", &["add", &table(&sites, "bob")]).unwrap();
    assert!(said.contains("all of it is known already"), "{said}");
    site(&sites, "p2", &["remove", "bob"]).unwrap();
    sites.signal(2, "-HUP");
    sites.await_log(2, "client bob is gone");
    let error = predict(&sites, "bob").unwrap_err();
    assert!(error.contains("P2") && error.contains("does not accept this key"), "{error}");
    let error = site(&sites, "p2", &["remove", "bob"]).unwrap_err();
    assert!(error.contains("no client is called \"bob\" here"), "{error}");
}

/// The party that runs takes a change in when it is told to, by the command that made it or by another, and the command
/// says what came of it.
#[test]
fn a_party_that_runs_takes_changes_in() {
    let mut sites = Sites::new(false);
    sites.start();
    sites.deploy("mirror").unwrap();
    sites.another_client("bob");
    sites.edit("bob", "role = \"client\"\n", "role = \"client\"\nname = \"bob\"\n");
    let bob = table(&sites, "bob");
    for (index, party) in PARTIES.into_iter().enumerate() {
        let id = sites.id(index);
        let said = site(&sites, party, &["add", &bob, "--reload"]).unwrap();
        let taken = format!("process {id} has read its configuration again: client bob is new");
        assert!(said.contains(&taken), "{said}");
    }
    predict(&sites, "bob").unwrap();

    // What was not asked for is not done, and what to type is said.
    let said = site(&sites, "p1", &["remove", "bob"]).unwrap();
    let type_this = format!(
        "(process {}) has not taken it in yet: cryptflow site reload --config {}",
        sites.id(1),
        sites.config("p1").display()
    );
    assert!(said.contains(&type_this), "{said}");
    predict(&sites, "bob").unwrap();
    let said = site(&sites, "p1", &["reload"]).unwrap();
    assert!(said.contains("has read its configuration again: client bob is gone"), "{said}");
    let error = predict(&sites, "bob").unwrap_err();
    assert!(error.contains("P1") && error.contains("does not accept this key"), "{error}");
    let said = site(&sites, "p1", &["reload"]).unwrap();
    assert!(said.contains("nothing is new"), "{said}");
    let said = site(&sites, "p0", &["add", &bob, "--reload"]).unwrap();
    assert!(said.contains("known already") && said.contains("nothing is new"), "{said}");
    let said = site(&sites, "p0", &["remove", "bob", "--reload"]).unwrap();
    assert!(said.contains("client bob is gone"), "{said}");

    // What cannot change while it runs is said here as in its log.
    let address = sites.addresses[2].clone();
    sites.edit("p2", &format!("listen = \"{address}\""), "listen = \"127.0.0.1:1\"");
    let error = site(&sites, "p2", &["reload"]).unwrap_err();
    assert!(error.contains("has not taken it in: site.listen differs"), "{error}");
    let log = std::fs::read_to_string(sites.site("p2").join("audit.jsonl")).unwrap();
    assert!(log.contains("\"event\":\"not-reloaded\""), "{log}");
    std::fs::write(sites.config("p2"), "role =").unwrap();
    let error = site(&sites, "p2", &["reload"]).unwrap_err();
    assert!(error.contains("cryptflow.toml"), "{error}");
    assert_eq!(sites.ended(2), None);
}

/// Nobody is told anything by mistake: a lock may name a process that is gone, and whose number is another's.
#[test]
fn no_other_process_is_told() {
    let mut sites = Sites::new(false);
    sites.start();
    let error = site(&sites, "client", &["reload"]).unwrap_err();
    assert!(error.contains("it is no party's"), "{error}");
    sites.kill(1);
    for left in [None, Some(std::process::id().to_string()), Some("what".into()), Some(u32::MAX.to_string())]
    {
        if let Some(left) = left {
            std::fs::write(sites.site("p1").join("store").join("lock"), left).unwrap();
        }
        // The process of this test would end.
        let error = site(&sites, "p1", &["reload"]).unwrap_err();
        assert!(error.contains("No process of this party is found on this machine"), "{error}");
    }
    sites.another_client("bob");
    let said = site(&sites, "p1", &["add", &table(&sites, "bob")]).unwrap();
    assert!(said.contains("kill -HUP PROCESS"), "{said}");
}

/// A key that nobody announced could be anybody's.
#[test]
fn a_key_that_was_not_announced_is_not_taken_in() {
    let sites = Sites::new(false);
    let wrong = sites.folder.path().join("wrong.toml");
    let text = site(&sites, "p1", &["show"]).unwrap();
    let other = site(&sites, "p2", &["show"]).unwrap();
    let key = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("fingerprint")).unwrap();
        line.split('"').nth(1).unwrap().to_string()
    };
    std::fs::write(&wrong, text.replace(&key(&text), &sites.another_client("eve").to_string())).unwrap();
    let wrong = wrong.to_str().unwrap();
    let before = std::fs::read_to_string(sites.config("p0")).unwrap();
    let error = site(&sites, "p0", &["add", wrong]).unwrap_err();
    assert!(error.contains("p1 has the key") && error.contains("--replace"), "{error}");
    assert_eq!(std::fs::read_to_string(sites.config("p0")).unwrap(), before);
    let said = site(&sites, "p0", &["add", wrong, "--replace"]).unwrap();
    assert!(said.contains("p1.fingerprint = ") && said.contains("over the telephone"), "{said}");
    // Two with one key would be one.
    std::fs::write(wrong, other.replace("[p2]", "[p1]")).unwrap();
    let said = site(&sites, "p0", &["add", wrong, "--replace"]).unwrap();
    assert!(said.contains("have the same fingerprint"), "{said}");
    for (text, reason) in [
        ("", "it has no table"),
        ("[session]\nmax_sessions = 1\n", "session is no participant"),
        ("[p1]\nname = \"x\"\n", "p1 has no fingerprint"),
        ("[p1]\nfingerprint = \"12\"\n", "p1.fingerprint"),
        ("[p0]\nfingerprint = \"12\"\n", "p0 is this site itself"),
        ("[p1\n", "what is to be taken in"),
    ] {
        std::fs::write(wrong, text).unwrap();
        let error = site(&sites, "p0", &["add", wrong]).unwrap_err();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
    let error = site(&sites, "client", &["add", &table(&sites, "client")]).unwrap_err();
    assert!(error.contains("a client's table is for the parties"), "{error}");
}

/// A party's key, then a client's: nobody is cut off at any moment, and the party's log goes on.
#[test]
fn keys_are_renewed_while_parties_serve() {
    let mut sites = Sites::new(false);
    sites.edit("client", "role = \"client\"\n", "role = \"client\"\nname = \"alice\"\n");
    sites.start();
    sites.deploy("mirror").unwrap();
    let error = site(&sites, "p1", &["renew", "--switch"]).unwrap_err();
    assert!(error.contains("no next key is made yet"), "{error}");

    let said = site(&sites, "p1", &["renew"]).unwrap();
    assert!(said.contains("next_fingerprint") && said.contains("site-2.key.pem"), "{said}");
    let error = site(&sites, "p1", &["renew"]).unwrap_err();
    assert!(error.contains("is made already"), "{error}");
    tell(&sites, "p1", &["p0", "p2", "client"], &[]);
    sites.predict().unwrap();

    let error = site(&sites, "p1", &["renew", "--switch"]).unwrap_err();
    assert!(error.contains("runs the party of this site already"), "{error}");
    sites.kill(1);
    site(&sites, "p1", &["renew", "--switch"]).unwrap();
    sites.start_with(1, Path::new(env!("CARGO_BIN_EXE_cryptflow")));
    // The others know both keys.
    sites.predict().unwrap();
    sites.deploy("mirror").unwrap();
    tell(&sites, "p1", &["p0", "p2", "client"], &[]);
    let text = std::fs::read_to_string(sites.config("p0")).unwrap();
    assert!(!text.contains("next_fingerprint"), "{text}");
    sites.predict().unwrap();

    site(&sites, "client", &["renew"]).unwrap();
    tell(&sites, "client", &PARTIES, &[]);
    sites.predict().unwrap();
    site(&sites, "client", &["renew", "--switch"]).unwrap();
    sites.predict().unwrap();
    tell(&sites, "client", &PARTIES, &[]);
    sites.predict().unwrap();
    sites.await_rest();

    let log = |party: &str| sites.site(party).join("audit.jsonl").to_str().unwrap().to_string();
    let [p0, p1, p2] = PARTIES.map(log);
    let said = outcome(cryptflow(&["audit", &p1, "--compare", &p0, &p2])).unwrap();
    assert!(said.contains("renewed"), "{said}");
    outcome(cryptflow(&["audit", &p0, "--compare", &p1, &p2])).unwrap();
}
