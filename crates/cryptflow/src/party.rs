//! A party's side of a session: takes its parts, runs the program with the two other parties, and hands its parts of the
//! outputs to the client.

use std::time::{Duration, Instant};

use cryptflow_engine::{Observer, StepRecord, execute};
use cryptflow_mirror::{Mirror, Tuning};
use cryptflow_mpc::{Clear, Party, Protocol};
use cryptflow_porthos::{Porthos, Truncation};
use cryptflow_program::{Program, Step, digest, validate};
use cryptflow_wire::{Breaker, Link, Links};

use crate::session::{
    BatchRecord, Manifest, ProtocolName, Reply, Request, SessionError, VERSION, elements, part_limit,
    receive, send, supported, unexpected,
};

/// Two messages of progress are at least so far apart.
const PROGRESS: Duration = Duration::from_millis(40);

/// Serves one client's session to its end. When anything fails, everybody is told why.
///
/// # Errors
/// Whatever ended the session before its time.
pub fn serve(links: Links, client: Link) -> Result<(), SessionError> {
    let breaker = links.breaker();
    breaker.tie(&client);
    let (manifest, program) = told(&breaker, set_up(&links, &client))?;
    let ring_bits = manifest.ring_bits;
    match manifest.protocol {
        ProtocolName::Clear => {
            // The links stay open beside it: it is they that notice when a party dies.
            let mut clear = Clear::new(Party::ALL[links.index() % 3], ring_bits);
            told(&breaker, run(&mut clear, &program, &client))
        }
        ProtocolName::Porthos | ProtocolName::PorthosExact => {
            let porthos = Porthos::new(links, ring_bits).map_err(SessionError::from);
            let mut porthos = told(&breaker, porthos)?;
            if manifest.protocol == ProtocolName::PorthosExact {
                porthos = porthos.with_truncation(Truncation::Dealt);
            }
            told(&breaker, run(&mut porthos, &program, &client))
        }
        ProtocolName::Mirror => {
            let mirror = Mirror::new(links, ring_bits, Tuning::default()).map_err(SessionError::from);
            let mut mirror = told(&breaker, mirror)?;
            told(&breaker, run(&mut mirror, &program, &client))
        }
    }
}

/// Breaks the links after an error, while they are still open: whoever drops them first says good-bye instead of why. If
/// it was the links that broke, everybody has been told already.
fn told<T>(breaker: &Breaker, result: Result<T, SessionError>) -> Result<T, SessionError> {
    if let Err(error) = &result {
        breaker.abort_all(&error.to_string());
    }
    result
}

fn set_up(links: &Links, client: &Link) -> Result<(Manifest, Program), SessionError> {
    let Request::Setup { manifest, program } = receive(client)? else {
        return Err(unexpected(client, "a session begins with its setup"));
    };
    let program: Program = serde_json::from_str(&program).map_err(|e| unexpected(client, e))?;
    check(&manifest, &program)?;
    agree(links, &manifest)?;
    Ok((manifest, program))
}

/// Whether the manifest speaks of this program.
fn check(manifest: &Manifest, program: &Program) -> Result<(), SessionError> {
    let refused = |reason: String| Err(SessionError::Manifest(reason));
    if manifest.version != VERSION {
        return refused(format!("the client speaks version {}, this party {VERSION}", manifest.version));
    }
    if let Err(invalid) = validate(program) {
        return refused(invalid.to_string());
    }
    supported(manifest.protocol, program)?;
    let own = digest(program).map_err(|e| SessionError::Manifest(e.to_string()))?;
    if own.0 != manifest.program {
        return refused("the program that came is not the one in the manifest".into());
    }
    if program.ring_bits != manifest.ring_bits {
        return refused(format!(
            "the manifest says 2^{}, the program 2^{}",
            manifest.ring_bits, program.ring_bits
        ));
    }
    Ok(())
}

/// The parties run nothing before they have seen that they were asked for the same.
fn agree(links: &Links, manifest: &Manifest) -> Result<(), SessionError> {
    let own = manifest.digest();
    let others: Vec<usize> = (0..3).filter(|&j| j != links.index()).collect();
    for &j in &others {
        links.to(j).send(own.to_vec())?;
    }
    for &j in &others {
        if links.to(j).recv(own.len())? != own {
            let (me, peer) = (links.index(), links.to(j).peer());
            return Err(SessionError::Manifest(format!(
                "P{me} and {peer} were asked to run different programs or protocols"
            )));
        }
    }
    Ok(())
}

/// The session after its setup.
fn run<P: Protocol>(protocol: &mut P, program: &Program, client: &Link) -> Result<(), SessionError> {
    send(client, &Reply::Ready)?;
    let mut weights = None;
    let mut inputs = None;
    loop {
        match receive(client)? {
            Request::Weights => {
                let mut parts = Vec::with_capacity(program.weights.len());
                for weight in &program.weights {
                    let len = elements(&weight.shape);
                    let part = client.recv_any(part_limit(len))?;
                    parts.push(protocol.receive_weight(&weight.name, len, part)?);
                }
                weights = Some(parts);
                send(client, &Reply::WeightsHeld)?;
            }
            Request::Inputs => {
                let mut parts = Vec::with_capacity(program.inputs.len());
                for input in &program.inputs {
                    let shape = program.values.get(input.value.0).map(|v| v.shape.as_slice());
                    let len = elements(shape.unwrap_or_default());
                    let part = client.recv_any(part_limit(len))?;
                    parts.push(protocol.receive_value(&input.name, len, part)?);
                }
                inputs = Some(parts);
                send(client, &Reply::InputsHeld)?;
            }
            Request::Go => {
                let (Some(weights), Some(inputs)) = (&weights, inputs.take()) else {
                    return Err(unexpected(client, "it starts a program without weights or inputs"));
                };
                let reply = batch(protocol, program, weights, inputs, client)?;
                send(client, &reply)?;
            }
            Request::Finish => {
                return send(client, &Reply::Finished { peak_rss: peak_rss() });
            }
            Request::Setup { .. } => return Err(unexpected(client, "the session has begun already")),
        }
    }
}

fn batch<P: Protocol>(
    protocol: &mut P,
    program: &Program,
    weights: &[P::Weight],
    inputs: Vec<P::Value>,
    client: &Link,
) -> Result<Reply, SessionError> {
    let party = protocol.party();
    let (begun, before) = (Instant::now(), protocol.metered());
    let mut reporter = Reporter { client: (party == Party::P0).then_some(client), last: None, steps: vec![] };
    let outputs = execute(protocol, program, weights, inputs, &mut reporter)?;
    let parts = outputs.iter().map(|x| protocol.reveal(x)).collect::<Result<Vec<_>, _>>()?;
    let after = protocol.metered();
    let sent = |cost: cryptflow_mpc::Cost| cost.bytes[party.index()];
    let record = BatchRecord {
        seconds: begun.elapsed().as_secs_f64(),
        rounds: after.rounds.saturating_sub(before.rounds),
        sent: std::array::from_fn(|j| sent(after)[j].saturating_sub(sent(before)[j])),
        steps: reporter.steps,
    };
    Ok(Reply::Outputs { parts, record })
}

/// Tells the client which step runs, not too often, and keeps the time line.
struct Reporter<'a> {
    client: Option<&'a Link>,
    last: Option<Instant>,
    steps: Vec<StepRecord>,
}

impl Observer for Reporter<'_> {
    fn started(&mut self, index: usize, _step: &Step) {
        let Some(client) = self.client else { return };
        if self.last.is_none_or(|last| last.elapsed() >= PROGRESS) {
            self.last = Some(Instant::now());
            // A client that is gone breaks the links: the program notices it there.
            let _ = send(client, &Reply::Progress { step: u32::try_from(index).unwrap_or(u32::MAX) });
        }
    }

    fn finished(&mut self, _index: usize, _step: &Step, record: &StepRecord) {
        self.steps.push(*record);
    }
}

/// The most memory that this process ever held, in bytes; where the system tells (Linux).
pub fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
