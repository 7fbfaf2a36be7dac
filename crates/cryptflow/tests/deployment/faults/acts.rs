//! How faults are brought about, and how they are mended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::Asked;
use super::asking::{Asking, ask, ask_as, await_hold, judged, packets, reported};
use crate::sites::{Sites, cryptflow, finish, signal};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cryptflow");

/// Nothing is to be done.
pub(super) fn nothing(_: &mut Sites, _: usize) {}

pub(super) fn start(sites: &mut Sites, party: usize) {
    sites.start_with(party, Path::new(PROGRAM));
}

pub(super) fn restart(sites: &mut Sites, party: usize) {
    sites.kill(party);
    start(sites, party);
}

fn role(party: usize) -> String {
    format!("p{party}")
}

// Parties.

pub(super) fn down(sites: &mut Sites, party: usize) -> Asked {
    sites.kill(party);
    ask(sites)
}

/// It is started again while the client asks.
pub(super) fn started_late(sites: &mut Sites, party: usize) -> Asked {
    sites.kill(party);
    let asking = Asking::begin(sites, "client", 3, &[]);
    thread::sleep(Duration::from_secs(1));
    start(sites, party);
    asking.end()
}

pub(super) fn killed(sites: &mut Sites, party: usize) -> Asked {
    let asking = Asking::in_the_middle(sites, party);
    sites.kill(party);
    sites.tell_network("release");
    asking.end()
}

/// Sends a party and the processes of its sessions a signal.
fn all(sites: &Sites, party: usize, name: &str) {
    sites.signal(party, name);
    sites.children(party).into_iter().for_each(|id| signal(id, name));
}

pub(super) fn stopped(sites: &mut Sites, party: usize) -> Asked {
    all(sites, party, "-STOP");
    ask(sites)
}

pub(super) fn stopped_in_the_middle(sites: &mut Sites, party: usize) -> Asked {
    let asking = Asking::in_the_middle(sites, party);
    all(sites, party, "-STOP");
    sites.tell_network("release");
    asking.end()
}

pub(super) fn go_on(sites: &mut Sites, party: usize) {
    all(sites, party, "-CONT");
}

pub(super) fn told_to_stop(sites: &mut Sites, party: usize) -> Asked {
    let asking = Asking::in_the_middle(sites, party);
    sites.signal(party, "-TERM");
    sites.await_log(party, "stopping: 1 sessions have");
    sites.tell_network("release");
    asking.end()
}

/// It has ended in good order, and is started again.
pub(super) fn start_after_its_end(sites: &mut Sites, party: usize) {
    assert_eq!(sites.await_end(party), Some(0));
    start(sites, party);
}

pub(super) fn told_to_read(sites: &mut Sites, party: usize) -> Asked {
    let asking = Asking::in_the_middle(sites, party);
    sites.signal(party, "-HUP");
    thread::sleep(Duration::from_millis(100));
    sites.tell_network("release");
    asking.end()
}

/// A second process on the site, which does not start.
pub(super) fn second_process(sites: &mut Sites, party: usize) -> Asked {
    let second = sites.within(&role(party), sites.party(party, Path::new(PROGRAM)));
    let said = finish({ second }.spawn().unwrap());
    let said = String::from_utf8_lossy(&said.stderr);
    let holder = format!("another process, {}, runs the party of this site already", sites.id(party));
    assert!(said.contains(&holder), "{said}");
    ask(sites)
}

/// The library that tells a process another time, where Debian's package has it.
pub(super) fn faketime() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders
        .map(|folder| Path::new(folder).join("faketime/libfaketime.so.1"))
        .into_iter()
        .find(|file| file.exists())
}

pub(super) fn clock(sites: &mut Sites, party: usize) -> Asked {
    sites.kill(party);
    let command = in_ten_years(sites.party(party, Path::new(PROGRAM)));
    sites.start_command(party, command);
    ask(sites)
}

pub(super) fn clock_of_a_client(sites: &mut Sites, _: usize) -> Asked {
    let (_, input) = crate::common::write(sites.folder.path(), 3);
    let command = sites.client(&["predict", "tiny", "--json", "--input", input.to_str().unwrap()]);
    judged(finish(in_ten_years(command).spawn().unwrap()), 3)
}

fn in_ten_years(mut command: Command) -> Command {
    command.env("LD_PRELOAD", faketime().unwrap());
    // What is measured, and not told, goes on as it is.
    command.env("FAKETIME", "+10y").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command
}

/// A program of another version, with its key and at its address.
pub(super) fn another_version(sites: &mut Sites, party: usize) -> Asked {
    sites.kill(party);
    let command = super::elder::command(&sites.config(&role(party)));
    sites.start_command(party, command);
    ask(sites)
}

/// One byte more: another program, to whoever measures it.
pub(super) fn another_program(sites: &mut Sites, party: usize) -> Asked {
    let changed = sites.folder.path().join("changed");
    std::fs::copy(PROGRAM, &changed).unwrap();
    std::io::Write::write_all(&mut std::fs::File::options().append(true).open(&changed).unwrap(), &[0])
        .unwrap();
    sites.kill(party);
    sites.start_with(party, &changed);
    ask(sites)
}

// Networks.

pub(super) fn cut_off(sites: &mut Sites, party: usize) -> Asked {
    sites.tell_network(&format!("cut p{party}"));
    ask(sites)
}

pub(super) fn cut_off_in_the_middle(sites: &mut Sites, party: usize) -> Asked {
    let asking = Asking::in_the_middle(sites, party);
    sites.tell_network(&format!("cut p{party}"));
    sites.tell_network("release");
    asking.end()
}

pub(super) fn reconnect(sites: &mut Sites, party: usize) {
    sites.tell_network(&format!("mend p{party}"));
}

pub(super) fn client_cut_off(sites: &mut Sites, party: usize) -> Asked {
    let mut asking = Asking::in_the_middle(sites, party);
    sites.tell_network("cut client");
    sites.tell_network("release");
    // Who is there, is served meanwhile.
    let asked = ask_as(sites, "bob");
    asking.process().kill().unwrap();
    asking.process().wait().unwrap();
    sites.tell_network("mend client");
    asked
}

pub(super) fn far_and_lossy(sites: &mut Sites, _: usize) -> Asked {
    sites.tell_network("delay 0.1");
    sites.tell_network("loss 0.01");
    Asking::begin(sites, "client", 3, &[]).end()
}

pub(super) fn near(sites: &mut Sites, _: usize) {
    sites.tell_network("delay 0");
    sites.tell_network("loss 0");
}

/// Two kilobytes a second; meanwhile another client is served.
pub(super) fn slow_client(sites: &mut Sites, _: usize) -> Asked {
    sites.tell_network("rate client 4000");
    let asking = Asking::begin(sites, "client", 3, &[]);
    ask_as(sites, "bob").unwrap();
    let asked = asking.end();
    sites.tell_network("rate client 0");
    asked
}

// Keys.

/// Where a configuration is kept that is changed.
fn kept(sites: &Sites, at: &str) -> PathBuf {
    sites.site(at).join("cryptflow.toml.kept")
}

/// What a site's configuration says of a party's key is wrong.
fn another_key(sites: &Sites, at: &str, party: usize) {
    std::fs::copy(sites.config(at), kept(sites, at)).unwrap();
    let wrong = sites.another_client(&format!("wrong-{at}-{party}")).to_string();
    sites.edit(at, &sites.fingerprints[party].to_string(), &wrong);
}

fn right_key(sites: &Sites, at: &str) {
    std::fs::rename(kept(sites, at), sites.config(at)).unwrap();
}

pub(super) fn wrong_key_at_the_client(sites: &mut Sites, party: usize) -> Asked {
    another_key(sites, "client", party);
    ask(sites)
}

pub(super) fn right_key_at_the_client(sites: &mut Sites, _: usize) {
    right_key(sites, "client");
}

pub(super) fn wrong_key_of_the_next(sites: &mut Sites, party: usize) -> Asked {
    wrong_key_at_a_party(sites, party, party + 1)
}

pub(super) fn wrong_key_of_the_last(sites: &mut Sites, party: usize) -> Asked {
    wrong_key_at_a_party(sites, party, party - 1)
}

fn wrong_key_at_a_party(sites: &mut Sites, party: usize, of: usize) -> Asked {
    another_key(sites, &role(party), of);
    restart(sites, party);
    ask(sites)
}

pub(super) fn right_key_at_a_party(sites: &mut Sites, party: usize) {
    right_key(sites, &role(party));
    restart(sites, party);
}

/// Somebody whom this party's configuration does not know.
pub(super) fn unknown_client(sites: &mut Sites, party: usize) -> Asked {
    take_away(sites, party);
    ask_as(sites, "bob")
}

fn take_away(sites: &Sites, party: usize) {
    let mut command = cryptflow(&["site", "remove", "bob", "--config"]);
    command.arg(sites.config(&role(party)));
    crate::sites::outcome(command).unwrap();
    reload(sites, party, "client bob is gone");
}

fn reload(sites: &Sites, party: usize, said: &str) {
    let before = sites.log(party).len();
    sites.signal(party, "-HUP");
    sites.await_log_after(party, before, said);
}

/// A client whose right is taken away in the middle of its session.
pub(super) fn revoked(sites: &mut Sites, party: usize) -> Asked {
    let asking = Asking::in_the_middle_of(sites, "bob", party);
    take_away(sites, party);
    sites.tell_network("release");
    asking.end()
}

pub(super) fn give_back(sites: &mut Sites, party: usize) {
    let bob = super::bob(sites);
    let table = format!("[clients.bob]\nfingerprint = \"{bob}\"\nmay = [\"predict\"]\n[session]\n");
    sites.edit(&role(party), "[session]\n", &table);
    reload(sites, party, "client bob is new");
    ask_as(sites, "bob").unwrap();
}

// Disks.

pub(super) fn damaged(sites: &mut Sites, party: usize) -> Asked {
    let path = sites.part(party, "tiny");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    ask(sites)
}

pub(super) fn deploy_again(sites: &mut Sites, _: usize) {
    sites.deploy("mirror").unwrap();
}

/// A backup of its store is brought back.
pub(super) fn store_of_yesterday(sites: &mut Sites, party: usize) -> Asked {
    let yesterday = sites.set_aside(party, "tiny");
    sites.deploy("mirror").unwrap();
    sites.kill(party);
    sites.put_back(party, "tiny", &yesterday);
    start(sites, party);
    ask(sites)
}

/// Its store is gone.
pub(super) fn no_store(sites: &mut Sites, party: usize) -> Asked {
    sites.kill(party);
    std::fs::remove_dir_all(sites.site(&role(party)).join("store")).unwrap();
    start(sites, party);
    ask(sites)
}

/// Its store is on a small disk of its own, with the parts that are there; then a larger model comes.
pub(super) fn full_store(sites: &mut Sites, party: usize) -> Asked {
    on_a_small_disk(sites, party, "store", "512k");
    let model = crate::models::written(sites, 30_000);
    let arguments = ["deploy", model.to_str().unwrap(), "--name", "tiny", "--replace", "--json"];
    reported(finish(sites.client(&arguments).spawn().unwrap()))
}

/// What was there is used on, before there is more room.
pub(super) fn larger_disk(sites: &mut Sites, party: usize) {
    sites.predict().unwrap();
    sites.await_rest();
    restart(sites, party);
}

/// A file of its site, as its own process sees it.
fn as_it_sees(sites: &Sites, party: usize, file: &str) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", sites.id(party)));
    root.join(sites.site(&role(party)).strip_prefix("/").unwrap()).join(file)
}

/// Nothing can be written any more, the log neither.
pub(super) fn full_disk(sites: &mut Sites, party: usize) -> Asked {
    on_a_small_disk(sites, party, ".", "1m");
    let mut filled = std::fs::File::create(as_it_sees(sites, party, "filled")).unwrap();
    while std::io::Write::write(&mut filled, &[0; 64]).is_ok_and(|written| written > 0) {}
    // What is left of the log's last page holds some entries more.
    for _ in 0..20 {
        ask(sites)?;
    }
    ask(sites)
}

/// There is room again: that is enough. Then the site is where it was, with what was written meanwhile.
pub(super) fn room_again(sites: &mut Sites, party: usize) {
    std::fs::remove_file(as_it_sees(sites, party, "filled")).unwrap();
    sites.predict().unwrap();
    sites.await_rest();
    let log = as_it_sees(sites, party, "audit.jsonl");
    std::fs::copy(log, sites.site(&role(party)).join("audit.jsonl")).unwrap();
    restart(sites, party);
}

/// Starts a party with a folder of its site on a disk of its own, in a mount namespace: it holds what the folder
/// held.
fn on_a_small_disk(sites: &mut Sites, party: usize, folder: &str, size: &str) {
    sites.kill(party);
    let script = "set -e; mkdir \"$2\"; cp -a \"$1/.\" \"$2/\"; mount -t tmpfs -o size=\"$3\",mode=700 none \"$1\"; \
                  cp -a \"$2/.\" \"$1/\"; rm -r \"$2\"; exec \"$4\" party --config \"$5\"";
    let mut command = Command::new("sh");
    let site = sites.site(&role(party));
    command.args(["-c", script, "sh"]).arg(site.join(folder)).arg(sites.site("moved")).arg(size);
    command.arg(PROGRAM).arg(sites.config(&role(party)));
    sites.start_command(party, command);
}

// Clients.

pub(super) fn a_hundred(sites: &mut Sites, _: usize) -> Asked {
    let clients = |client| (0..50).map(move |_| client);
    let all: Vec<Asking> = clients("client")
        .chain(clients("bob"))
        .map(|client| Asking::begin(sites, client, 1, &["--patience", "200"]))
        .collect();
    let answers: Result<Vec<_>, _> = all.into_iter().map(Asking::end).collect();
    sites.await_rest();
    answers.map(|mut all| all.remove(0))
}

/// A client that is killed; another is served meanwhile.
pub(super) fn gone_client(sites: &mut Sites, party: usize) -> Asked {
    let mut asking = Asking::in_the_middle(sites, party);
    asking.process().kill().unwrap();
    asking.process().wait().unwrap();
    sites.tell_network("release");
    ask_as(sites, "bob")
}

/// A client that is killed while it deploys; the model that was there is used on.
pub(super) fn gone_owner(sites: &mut Sites, party: usize) -> Asked {
    let (model, _) = crate::common::write(sites.folder.path(), 1);
    let deploy = ["deploy", model.to_str().unwrap(), "--name", "tiny", "--replace"];
    let place = role(party);
    let whole = packets(sites, &place, || finish(sites.client(&deploy).spawn().unwrap()));
    sites.tell_network(&format!("hold {place} {}", whole / 2));
    let mut owner = sites.client(&deploy).spawn().unwrap();
    assert!(await_hold(sites, &mut owner), "it ended before its middle");
    owner.kill().unwrap();
    owner.wait().unwrap();
    sites.tell_network("release");
    ask_as(sites, "bob")
}

/// It is killed while the network holds all packets, and started again as they go on.
pub(super) fn restart_while_held(sites: &mut Sites, party: usize) {
    sites.kill(party);
    sites.tell_network("release");
    start(sites, party);
}
