//! The client's side of a session: shares weights and inputs, waits until every party holds them, and opens the outputs. It
//! is no party: all that it has is a link to each.

use std::time::{Duration, Instant};

use cryptflow_mirror::MirrorOwner;
use cryptflow_mpc::{Clear, Owner, Party};
use cryptflow_porthos::PorthosOwner;
use cryptflow_program::Program;
use cryptflow_wire::{Breaker, Link};

use crate::session::{
    BatchRecord, Manifest, ProtocolName, Reply, Request, SessionError, elements, receive, send, supported,
    unexpected,
};

/// A session with three parties.
pub struct Client<'a> {
    links: [Link; 3],
    breaker: Breaker,
    owner: Box<dyn Owner>,
    program: &'a Program,
}

/// What came out of a batch.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The outputs, in the program's order: fixed-point numbers at their value's scale.
    pub outputs: Vec<Vec<i64>>,
    /// Time to share the inputs, until every party held its parts.
    pub share: Duration,
    /// From then until the client held the outputs.
    pub online: Duration,
    /// What each party saw.
    pub records: [BatchRecord; 3],
}

impl<'a> Client<'a> {
    /// Begins a session over links to P0, P1 and P2. When one of them fails, all do.
    ///
    /// # Errors
    /// A party is gone or does not agree.
    pub fn begin(
        links: [Link; 3],
        program: &'a Program,
        protocol: ProtocolName,
    ) -> Result<Client<'a>, SessionError> {
        supported(protocol, program)?;
        let breaker = Breaker::new();
        for link in &links {
            breaker.tie(link);
        }
        let owner: Box<dyn Owner> = match protocol {
            ProtocolName::Mirror => Box::new(MirrorOwner::new(program.ring_bits)),
            ProtocolName::Porthos | ProtocolName::PorthosExact => {
                Box::new(PorthosOwner::new(program.ring_bits))
            }
            ProtocolName::Clear => Box::new(Clear::new(Party::P0, program.ring_bits)),
        };
        let client = Client { links, breaker, owner, program };
        let manifest = Manifest::new(program, protocol)?;
        let json = serde_json::to_string(program).map_err(|e| SessionError::Manifest(e.to_string()))?;
        client.attempt(|client| {
            client.tell(&Request::Setup { manifest, program: json })?;
            client.await_all("agrees on the manifest", |reply| matches!(reply, Reply::Ready))
        })?;
        Ok(client)
    }

    /// Shares the model's weights, by id, each row-major. Once is enough for a session.
    ///
    /// # Errors
    /// Weights that do not go with the program, or a party that is gone or refuses its part.
    pub fn deploy(&self, weights: &[Vec<i64>]) -> Result<(), SessionError> {
        let shapes = self.program.weights.iter().map(|w| (w.name.as_str(), elements(&w.shape)));
        check("weight", shapes, weights)?;
        self.attempt(|client| {
            client.tell(&Request::Weights)?;
            for weight in weights {
                client.hand_out(client.owner.share_weight(&words(weight))?)?;
            }
            client.await_all("holds its weights", |reply| matches!(reply, Reply::WeightsHeld))
        })
    }

    /// Runs the program on one batch: one fixed-point tensor an input, in the program's order, at its value's scale.
    /// `progress` is told which step P0 has begun, counted from 0.
    ///
    /// # Errors
    /// Inputs that do not go with the program, or a party that is gone or fails: its name and its reason.
    pub fn infer(
        &self,
        inputs: &[Vec<i64>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Answer, SessionError> {
        let shape = |id: usize| self.program.values.get(id).map(|v| elements(&v.shape)).unwrap_or_default();
        check("input", self.program.inputs.iter().map(|i| (i.name.as_str(), shape(i.value.0))), inputs)?;
        self.attempt(|client| {
            let begun = Instant::now();
            client.tell(&Request::Inputs)?;
            for input in inputs {
                client.hand_out(client.owner.share_value(&words(input))?)?;
            }
            client.await_all("holds its inputs", |reply| matches!(reply, Reply::InputsHeld))?;
            let share = begun.elapsed();

            let begun = Instant::now();
            client.tell(&Request::Go)?;
            let mut parts = Vec::with_capacity(3);
            let mut records = <[BatchRecord; 3]>::default();
            for (link, record) in client.links.iter().zip(&mut records) {
                parts.push(client.outputs_of(link, record, progress)?);
            }
            let outputs = client.open(&parts)?;
            Ok(Answer { outputs, share, online: begun.elapsed(), records })
        })
    }

    /// Ends the session; returns the most memory that each party ever held, in bytes.
    ///
    /// # Errors
    /// A party that is gone.
    pub fn finish(self) -> Result<[Option<u64>; 3], SessionError> {
        self.attempt(|client| {
            client.tell(&Request::Finish)?;
            let mut peaks = [None; 3];
            for (link, peak) in client.links.iter().zip(&mut peaks) {
                match receive(link)? {
                    Reply::Finished { peak_rss } => *peak = peak_rss,
                    _ => return Err(unexpected(link, "it was due to leave")),
                }
            }
            Ok(peaks)
        })
    }

    /// Payload bytes that went to the parties so far.
    pub fn sent(&self) -> u64 {
        self.links.iter().map(|link| link.meter().sent_bytes).sum()
    }

    /// Whatever fails ends the session for everybody.
    fn attempt<T>(&self, step: impl FnOnce(&Self) -> Result<T, SessionError>) -> Result<T, SessionError> {
        step(self).map_err(|error| {
            self.breaker.abort_all(&format!("the client gave up: {error}"));
            error
        })
    }

    fn tell(&self, request: &Request) -> Result<(), SessionError> {
        self.links.iter().try_for_each(|link| send(link, request))
    }

    fn hand_out(&self, parts: [Vec<u8>; 3]) -> Result<(), SessionError> {
        for (link, part) in self.links.iter().zip(parts) {
            link.send(part)?;
        }
        Ok(())
    }

    fn await_all(&self, what: &str, due: impl Fn(&Reply) -> bool) -> Result<(), SessionError> {
        self.links.iter().try_for_each(|link| {
            if due(&receive(link)?) { Ok(()) } else { Err(unexpected(link, format!("not that it {what}"))) }
        })
    }

    fn outputs_of(
        &self,
        link: &Link,
        record: &mut BatchRecord,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<u8>>, SessionError> {
        loop {
            match receive(link)? {
                Reply::Progress { step } => progress(step as usize),
                Reply::Outputs { parts, record: batch } => {
                    if parts.len() != self.program.outputs.len() {
                        return Err(unexpected(link, format!("{} outputs", parts.len())));
                    }
                    *record = batch;
                    return Ok(parts);
                }
                _ => return Err(unexpected(link, "its outputs were due")),
            }
        }
    }

    fn open(&self, parts: &[Vec<Vec<u8>>]) -> Result<Vec<Vec<i64>>, SessionError> {
        let part = |party: usize, output: usize| {
            parts.get(party).and_then(|p| p.get(output)).map(Vec::as_slice).unwrap_or_default()
        };
        let outputs = self.program.outputs.iter().enumerate().map(|(i, output)| {
            let len = self.program.values.get(output.value.0).map(|v| elements(&v.shape)).unwrap_or_default();
            Ok(self.owner.open(len, [part(0, i), part(1, i), part(2, i)])?)
        });
        outputs.collect()
    }
}

/// Signed integers in two's complement.
fn words(x: &[i64]) -> Vec<u64> {
    x.iter().map(|&v| v as u64).collect()
}

fn check<'n>(
    what: &str,
    needed: impl ExactSizeIterator<Item = (&'n str, usize)>,
    given: &[Vec<i64>],
) -> Result<(), SessionError> {
    if needed.len() != given.len() {
        return Err(SessionError::Operands(format!(
            "the program has {} {what}s, and {} were given",
            needed.len(),
            given.len()
        )));
    }
    for ((name, len), given) in needed.zip(given) {
        if len != given.len() {
            return Err(SessionError::Operands(format!(
                "the {what} {name:?} has {len} elements, and {} were given",
                given.len()
            )));
        }
    }
    Ok(())
}
