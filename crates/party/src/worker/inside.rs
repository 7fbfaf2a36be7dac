//! The process of one session. It listens nowhere, writes no log and signs nothing; it ends with its
//! session, and with the party.

use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use cryptflow_engine::devote_process;
use cryptflow_ring::Common;
use cryptflow_wire::WireError;
use cryptflow_wire::tls::{Arrival, Route};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::control::{Control, Instruction, Report};
use super::teller::Teller;
use crate::StartError;
use crate::attested::{Trust, TrustError};
use crate::audit::Head;
use crate::code::Code;
use crate::config::{Config, ConfigError};
use crate::doors::HANDSHAKE;
use crate::ending::Ending;
use crate::messages::SessionError;
use crate::rendezvous::Rendezvous;
use crate::session::{Order, Session, Wish};
use crate::site::Site;
use crate::surviving::surviving;
use crate::watch::Reporter;

/// Stack of a thread that shakes hands: strangers must not take much.
const STACK: usize = 512 << 10;

/// Bytes that a session may take beside what its program demands: messages, links, threads.
const BESIDE: u64 = 1 << 30;

/// Serves one session of the party that has started this process, with which it speaks over its
/// standard input. `trust` is what the party proves itself with, and judges others by.
///
/// # Errors
/// The process was started by somebody else, or cannot serve a session; the party knows, then.
pub fn session_process(
    trust: impl FnOnce(&Config) -> Result<Option<Trust>, TrustError>,
) -> Result<(), StartError> {
    introduce();
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(|_| StartError::Alone)?;
    let control = Arc::new(Control::over(UnixStream::from(stdin)));
    let Ok(Some((Instruction::Site(source), _))) = control.receive() else {
        return Err(StartError::Alone);
    };
    let path = source.path.clone();
    let site = Config::parse(source)
        .map_err(|reason| ConfigError { path, reason }.into())
        .and_then(|config| Ok((trust(&config)?, config)))
        .and_then(|(trust, config)| Ok(Site::new(config, trust)?));
    let site = match site {
        Ok(site) => Arc::new(site),
        Err(error) => {
            // The party hears it when it asks for something.
            let _ = control
                .send(&Report::Refused { code: Code::Process, reason: StartError::to_string(&error) }, None);
            let _ = control.receive::<Instruction>();
            return Err(error);
        }
    };
    let ending = Ending::new();
    let (order, begin) = listen(&control, &site, &ending);
    // Without an order the party is gone.
    let Ok((order, room, common)) = order.recv() else { return Ok(()) };
    let teller = Teller::begin(&control, site.config.session.deadline / 4);
    serve(&control, &teller, begin, || {
        let common = common.map(mapped).transpose()?;
        Session::prepare(site, room, ending, order, common)
    });
    Ok(())
}

/// Memory that the party has handed over.
fn mapped(memory: OwnedFd) -> Result<Common, SessionError> {
    let refused = |error| SessionError::Process(format!("the weights that it was given: {error}"));
    Common::mapped(memory).map_err(refused)
}

/// Prepares a session, and runs it.
fn serve(
    control: &Arc<Control>,
    teller: &Teller,
    begin: Receiver<(Head, Wish)>,
    prepare: impl FnOnce() -> Result<Session, SessionError>,
) {
    // A party that does not hear this is gone, and this process with it.
    let report = |report: Report| drop(control.send(&report, None));
    let session = match surviving(prepare) {
        Ok(session) => session,
        Err(error) => return report(Report::Refused { code: Code::from(&error), reason: error.to_string() }),
    };
    let most = session.memory().saturating_mul(2).saturating_add(BESIDE);
    limit(Resource::Data, most);
    devote_process(session.program());
    report(Report::Prepared);
    let Ok((head, wish)) = begin.recv() else { return };
    let told = teller.clone();
    let reporter = Reporter::to(move |progress| told.progress(progress));
    let ended = surviving(|| session.run(wish, &head, reporter, |heads| report(Report::Shown(heads))));
    teller.flush();
    report(Report::Ended(ended.map_err(|error| (Code::from(&error), error.to_string()))));
}

/// An order, where those who come to it are let in, and its model's weights, where sessions have them in common.
type Ordered = (Order, Arc<Rendezvous>, Option<OwnedFd>);

/// Listens to the party, in a thread of its own, as long as there is one.
fn listen(
    control: &Arc<Control>,
    site: &Arc<Site>,
    ending: &Arc<Ending>,
) -> (Receiver<Ordered>, Receiver<(Head, Wish)>) {
    let ((orders, order), (begins, begin)) = (mpsc::channel(), mpsc::channel());
    let (control, site, ending) = (Arc::clone(control), Arc::clone(site), Arc::clone(ending));
    thread::spawn(move || {
        let mut inside: Option<(Arc<Rendezvous>, Route)> = None;
        while let Ok(Some((instruction, came))) = control.receive() {
            match (instruction, &inside) {
                (Instruction::Prepare(order), None) => {
                    let room = Arc::new(order.rendezvous(&site));
                    inside = Some((Arc::clone(&room), Route::to_session(&order.manifest.session)));
                    // Where nobody takes it, this process is about to end.
                    let _ = orders.send((*order, room, came));
                }
                (Instruction::Begin(head), _) => {
                    let Some(Ok(wish)) = came.map(|asked| Wish::over(asked.into())) else { break };
                    let _ = begins.send((head, wish));
                }
                (Instruction::Arrival { number, heard }, Some((room, route))) => {
                    let Some(socket) = came.map(TcpStream::from) else { break };
                    let soon = Instant::now() + HANDSHAKE.min(site.config.session.deadline);
                    let arrival = Arrival::taken_over(socket, heard, *route, soon);
                    let_in(&control, &site, room, arrival, number);
                }
                (Instruction::End { code, reason }, _) => ending.end(code.reason(reason)),
                // A party says nothing of this kind.
                (Instruction::Site(_) | Instruction::Prepare(_) | Instruction::Arrival { .. }, _) => {}
            }
        }
        // The party is gone, or wants no more of this session.
        std::process::exit(1);
    });
    (order, begin)
}

/// Shakes hands with whoever has come, in a thread of its own.
fn let_in(control: &Arc<Control>, site: &Arc<Site>, room: &Arc<Rendezvous>, arrival: Arrival, number: u64) {
    let settled = {
        let control = Arc::clone(control);
        move |result: Result<(), WireError>| {
            let not_let_in = match result {
                Ok(()) => None,
                Err(WireError::NotLetIn { peer, reason }) => Some((peer, reason)),
                Err(error) => Some(("a stranger".to_string(), error.to_string())),
            };
            // A party that does not hear this is gone.
            let _ = control.send(&Report::Settled { number, not_let_in }, None);
        }
    };
    let (site, room, else_settled) = (Arc::clone(site), Arc::clone(room), settled.clone());
    let spawned =
        thread::Builder::new().stack_size(STACK).spawn(move || settled(room.let_in(arrival, &site)));
    if let Err(error) = spawned {
        let reason = format!("no thread for it: {error}");
        else_settled(Err(WireError::NotLetIn { peer: "a stranger".into(), reason }));
    }
}

/// Tells the system what this process is. What ends it must not leave its secrets in a file, nor end
/// another one in its place. Best effort: a system that does not know of these goes without.
fn introduce() {
    limit(Resource::Core, 0);
    // Whoever manages services tells all processes of a party to stop: the party decides what becomes of
    // its sessions, and none outlives it.
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
    #[cfg(target_os = "linux")]
    {
        // It was started under the name of a link.
        let _ = rustix::thread::set_name(c"cryptflow-party");
        // Where memory runs out, this process goes before the party's.
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    }
}

fn limit(resource: Resource, most: u64) {
    let most = Some(getrlimit(resource).maximum.map_or(most, |allowed| most.min(allowed)));
    let _ = setrlimit(resource, Rlimit { current: most, maximum: most });
}
