//! The client's side of a session: shares weights and inputs, waits until every party holds them,
//! and opens the outputs. It is no party: all that it has is a link to each.

use std::cell::Cell;
use std::time::{Duration, Instant};

use cryptflow_engine::worth_threads;
use cryptflow_mpc::Owner;
use cryptflow_party::attested::{Discord, Statement, consistent};
use cryptflow_party::code::Code;
use cryptflow_party::commitments::{Told, What, at_once, commit, digest};
use cryptflow_party::edition::{Edition, spoken};
use cryptflow_party::messages::{
    BATCH_LIMIT, BatchRecord, Manifest, Obstacle, Reply, Request, SessionError, elements, receive, send,
    unexpected,
};
use cryptflow_party::profile::Profile;
use cryptflow_party::supported;
use cryptflow_program::{Checked, Program};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::{Breaker, Link, LinkMeter};
use serde_bytes::ByteBuf;

/// Bytes of shares that are sent together with the word to begin: those of a small network. One round trip
/// between client and parties is most of what that takes.
const AT_ONCE: u64 = 1 << 20;

/// A session with all parties.
pub struct Client<'a> {
    /// By the party's index.
    links: Vec<Link>,
    breaker: Breaker,
    owner: Box<dyn Owner>,
    program: &'a Checked,
    protocol: ProtocolName,
    edition: Edition,
    /// Batches that may run at once.
    most: usize,
    /// Of how many batches the parties take the next inputs to be.
    runs: Cell<usize>,
    /// Outputs are opened only if the parties' statements go together.
    attested: bool,
    /// The parties give a time line of each batch.
    profiled: bool,
}

/// The outputs of a batch, in the program's order: fixed-point numbers at their value's scale. None where the
/// program's guard found that a value left its bounds: then there are no outputs.
pub type Outputs = Option<Vec<Vec<i64>>>;

/// What came out of a batch, or of several that ran at once.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of each batch, in order.
    pub outputs: Vec<Outputs>,
    /// Time to share the inputs, until every party held its parts.
    pub share: Duration,
    /// From then until the client held the outputs.
    pub online: Duration,
    /// What each party saw, in order.
    pub records: Vec<BatchRecord>,
    /// The time line of each party, in order, where they were asked for ([`Client::profile`]).
    pub profiles: Vec<Profile>,
}

impl Answer {
    /// The outputs of the one batch that was asked for.
    pub fn of_one(self) -> Outputs {
        self.outputs.into_iter().next().flatten()
    }
}

/// Batches whose inputs were given to the parties.
#[derive(Debug)]
#[must_use = "the parties wait for what follows"]
pub struct HandedIn {
    runs: usize,
    committed: [u8; 32],
    word: Word,
    took: Duration,
}

/// The word to begin.
#[derive(Clone, Copy, Debug)]
enum Word {
    /// It was with the inputs.
    Given,
    /// It followed the inputs.
    Follows,
    /// It waits until all parties hold the inputs.
    Due,
}

/// Batches that run.
#[derive(Debug)]
#[must_use = "the parties send what comes out"]
pub struct Underway {
    runs: usize,
    committed: [u8; 32],
    share: Duration,
    begun: Instant,
}

impl<'a> Client<'a> {
    /// Begins a session over links to the parties, in order. When one of them fails, all do.
    ///
    /// # Errors
    /// A party is gone or does not agree.
    pub fn begin(
        links: Vec<Link>,
        program: &'a Checked,
        protocol: ProtocolName,
    ) -> Result<Client<'a>, SessionError> {
        Client::begin_as(links, program, Manifest::new(program, protocol)?)
    }

    /// Begins a session with the evaluators alone, whose runs were dealt ahead for this deployment.
    ///
    /// # Errors
    /// An evaluator is gone, does not agree, or has no such runs.
    pub fn begin_dealt(
        links: Vec<Link>,
        program: &'a Checked,
        protocol: ProtocolName,
        deployment: [u8; 32],
    ) -> Result<Client<'a>, SessionError> {
        let manifest = Manifest { deployment: Some(deployment), ..Manifest::new(program, protocol)? };
        Client::begin_as(links, program, manifest)
    }

    /// Begins a session of a program that the client brings, with this manifest.
    ///
    /// # Errors
    /// A party is gone or does not agree.
    pub fn begin_as(
        links: Vec<Link>,
        program: &'a Checked,
        manifest: Manifest,
    ) -> Result<Client<'a>, SessionError> {
        supported(manifest.protocol, program)?;
        let mut client = Client::over(links, program, &manifest, false)?;
        let json = serde_json::to_string::<Program>(program).map_err(Obstacle::from)?;
        client.most = client.attempt(|client| {
            client.tell(&Request::Setup { manifest, program: json })?;
            client.await_ready()
        })?;
        Ok(client)
    }

    /// Joins a session that was asked for with this manifest, of a program that was deployed, once the parties
    /// agree on it. Where the links are `attested`, no output is opened before all parties have
    /// stated the same of their links.
    ///
    /// # Errors
    /// A party is gone or does not agree.
    pub fn join(
        links: Vec<Link>,
        program: &'a Checked,
        manifest: &Manifest,
        attested: bool,
    ) -> Result<Client<'a>, SessionError> {
        let mut client = Client::over(links, program, manifest, attested)?;
        client.most = client.attempt(Client::await_ready)?;
        Ok(client)
    }

    /// The same client, which has no more batches run at once than these.
    #[must_use]
    pub fn at_once_at_most(mut self, batches: usize) -> Client<'a> {
        self.most = self.most.min(batches).max(1);
        self
    }

    /// Batches that may run at once, as far as the parties take them: at least one.
    pub fn at_once(&self) -> usize {
        self.most
    }

    fn over(
        links: Vec<Link>,
        program: &'a Checked,
        manifest: &Manifest,
        attested: bool,
    ) -> Result<Client<'a>, SessionError> {
        let edition = spoken(manifest.version, Edition::NEWEST).map_err(Obstacle::from)?;
        let breaker = Breaker::new();
        for link in &links {
            breaker.tie(link);
        }
        if worth_threads(program) == 1 {
            breaker.read_by_users();
        }
        let (protocol, owner) = (manifest.protocol, manifest.protocol.owner(program.ring_bits));
        let (most, runs, profiled) = (1, Cell::new(1), false);
        Ok(Client { links, breaker, owner, program, protocol, edition, most, runs, attested, profiled })
    }

    /// What ends the session for everybody, from wherever it is used.
    pub fn breaker(&self) -> Breaker {
        self.breaker.clone()
    }

    /// The messages that the session speaks.
    pub fn edition(&self) -> Edition {
        self.edition
    }

    /// Has the parties give a time line of each batch from now on; no batches run at once then.
    ///
    /// # Errors
    /// The session's messages know of none, as a party is older; the session goes on. A party that is gone.
    pub fn profile(&mut self) -> Result<(), SessionError> {
        if self.edition < Edition::Seven {
            return Err(SessionError::NoProfile(self.edition));
        }
        (self.profiled, self.most) = (true, 1);
        self.attempt(|client| client.tell(&Request::Profile))
    }

    /// Something between the client and each party, outside of the session's own messages; `step`
    /// is told which party.
    ///
    /// # Errors
    /// What `step` says; the session is over then.
    pub fn with_each(
        &self,
        request: &Request,
        mut step: impl FnMut(usize, &Link) -> Result<(), SessionError>,
    ) -> Result<(), SessionError> {
        self.attempt(|client| {
            client.tell(request)?;
            client.links.iter().enumerate().try_for_each(|(i, link)| step(i, link))
        })
    }

    /// Shares the model's weights, by id, each row-major. Once is enough for a session.
    ///
    /// # Errors
    /// Weights that do not go with the program, or a party that is gone or refuses its part.
    pub fn deploy(&self, weights: &[Vec<i64>]) -> Result<(), SessionError> {
        let shapes = self.program.weights.iter().map(|w| (w.name.as_str(), elements(&w.shape)));
        check("weight", shapes, weights)?;
        self.attempt(|client| {
            let mut shared = client.nothing();
            for (weight, bits) in weights.iter().zip(shared_in(client.program, client.edition)) {
                add(&mut shared, client.owner.share_weight(words(weight), bits)?);
            }
            let told = commit(client.protocol, &shared)?;
            client.hand_out(shared, told, |told| Request::Weights { told })?;
            client.await_all("holds its weights", |reply| matches!(reply, Reply::WeightsHeld))
        })
    }

    /// Has so many runs dealt ahead, by parties that were started for it and hold the weights. `progress` is
    /// told how many are on the evaluators' disks.
    ///
    /// # Errors
    /// A party is gone or fails.
    pub fn deal(&self, runs: u32, progress: &mut dyn FnMut(u32)) -> Result<(), SessionError> {
        self.attempt(|client| {
            client.tell(&Request::Deal { runs })?;
            (1..=runs).try_for_each(|due| {
                client
                    .await_all("dealt a run", |reply| matches!(reply, Reply::Dealt { run } if *run == due))?;
                progress(due);
                Ok(())
            })
        })
    }

    /// Runs the program on one batch: one fixed-point tensor an input, in the program's order, at
    /// its value's scale. `progress` is told which step P0 has begun, counted from 0.
    ///
    /// # Errors
    /// Inputs that do not go with the program, or a party that is gone or fails: its name and its
    /// reason.
    pub fn infer(
        &self,
        inputs: &[Vec<i64>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Answer, SessionError> {
        let underway = self.begin_batch(self.hand_in(inputs)?)?;
        self.answer(underway, progress)
    }

    /// Gives the parties their parts of a batch's inputs, as in [`Client::infer`]. One batch may run
    /// meanwhile.
    ///
    /// # Errors
    /// As [`Client::infer`].
    pub fn hand_in(&self, inputs: &[Vec<i64>]) -> Result<HandedIn, SessionError> {
        self.check_inputs(inputs)?;
        self.hand_in_runs(1, inputs)
    }

    /// The same of several batches that run at once, no more than [`Client::at_once`].
    ///
    /// # Errors
    /// As [`Client::infer`].
    pub fn hand_in_at_once(&self, batches: &[Vec<Vec<i64>>]) -> Result<HandedIn, SessionError> {
        if batches.is_empty() || batches.len() > self.most {
            let (given, most) = (batches.len(), self.most);
            return Err(SessionError::Operands(format!("{given} batches at once, and 1 to {most} may be")));
        }
        batches.iter().try_for_each(|inputs| self.check_inputs(inputs))?;
        let of =
            |input: usize| batches.iter().filter_map(|batch| batch.get(input)).flatten().copied().collect();
        let inputs: Vec<Vec<i64>> = (0..self.program.inputs.len()).map(of).collect();
        self.hand_in_runs(batches.len(), &inputs)
    }

    fn check_inputs(&self, inputs: &[Vec<i64>]) -> Result<(), SessionError> {
        let shape = |id: usize| self.program.values.get(id).map(|v| elements(&v.shape)).unwrap_or_default();
        check("input", self.program.inputs.iter().map(|i| (i.name.as_str(), shape(i.value.0))), inputs)
    }

    /// Each input has so many batches, one after another.
    fn hand_in_runs(&self, runs: usize, inputs: &[Vec<i64>]) -> Result<HandedIn, SessionError> {
        self.attempt(|client| {
            let (begun, before) = (Instant::now(), client.sent());
            let (shared, told) = client.share(inputs)?;
            let committed = at_once(digest(What::Inputs, &commitments_of(&told)), runs);
            if client.runs.replace(runs) != runs {
                client.tell(&Request::AtOnce { runs: u32::try_from(runs).unwrap_or(u32::MAX) })?;
            }
            let small = shared.iter().all(|parts| parts.iter().map(Vec::len).sum::<usize>() <= BATCH_LIMIT);
            if small && client.edition >= Edition::Seven {
                for (link, (told, parts)) in client.links.iter().zip(told.into_iter().zip(shared)) {
                    let parts = parts.into_iter().map(ByteBuf::from).collect();
                    send(link, &Request::Batch { told, parts })?;
                }
                return Ok(HandedIn { runs, committed, word: Word::Given, took: begun.elapsed() });
            }
            client.hand_out(shared, told, |told| Request::Inputs { told })?;
            // Parties that have theirs wait for the others either way: for what is sent at once, not for long.
            let word = if client.sent() - before <= AT_ONCE { Word::Follows } else { Word::Due };
            if let Word::Follows = word {
                client.tell(&Request::Go)?;
            }
            Ok(HandedIn { runs, committed, word, took: begun.elapsed() })
        })
    }

    /// Has a batch run, once all parties hold its inputs and the batch before it was answered.
    ///
    /// # Errors
    /// As [`Client::infer`].
    pub fn begin_batch(&self, batch: HandedIn) -> Result<Underway, SessionError> {
        self.attempt(|client| {
            let begun = Instant::now();
            match batch.word {
                Word::Given => {}
                Word::Follows | Word::Due => {
                    client.await_all("holds its inputs", |reply| matches!(reply, Reply::InputsHeld))?;
                }
            }
            let share = batch.took + begun.elapsed();
            if let Word::Due = batch.word {
                client.tell(&Request::Go)?;
            }
            Ok(Underway { runs: batch.runs, committed: batch.committed, share, begun: Instant::now() })
        })
    }

    /// What comes out of a batch that runs; `progress` as in [`Client::infer`].
    ///
    /// # Errors
    /// As [`Client::infer`].
    pub fn answer(&self, batch: Underway, progress: &mut dyn FnMut(usize)) -> Result<Answer, SessionError> {
        // P0 tells the steps of runs that take a while.
        progress(0);
        self.attempt(|client| {
            let (mut parts, mut records, mut statements) = (Vec::new(), Vec::new(), Vec::new());
            let mut profiles = Vec::new();
            for link in &client.links {
                let (party_parts, record, statement) = client.outputs_of(link, progress)?;
                parts.push(party_parts);
                records.push(record);
                statements.push(statement);
                if client.profiled {
                    profiles.push(client.profile_of(link)?);
                }
            }
            if client.attested {
                agreed(statements, batch.committed)?;
            }
            let outputs = client.open(batch.runs, &parts)?;
            Ok(Answer { outputs, share: batch.share, online: batch.begun.elapsed(), records, profiles })
        })
    }

    /// Ends the session; returns the most memory that each party ever held, in bytes.
    ///
    /// # Errors
    /// A party that is gone.
    pub fn finish(self) -> Result<Vec<Option<u64>>, SessionError> {
        self.attempt(|client| {
            client.tell(&Request::Finish)?;
            let peak = |link| match receive(link)? {
                Reply::Finished { peak_rss } => Ok(peak_rss),
                _ => Err(unexpected(link, "it was due to leave")),
            };
            client.links.iter().map(peak).collect()
        })
    }

    /// Whether a party has ended the session, or is gone.
    pub fn is_over(&self) -> bool {
        self.links.iter().any(Link::has_ended)
    }

    /// Payload bytes that went to the parties so far.
    pub fn sent(&self) -> u64 {
        self.links.iter().map(|link| link.meter().sent_bytes).sum()
    }

    /// What went to each party and came from it so far.
    pub fn meters(&self) -> Vec<LinkMeter> {
        self.links.iter().map(Link::meter).collect()
    }

    /// Whatever fails ends the session for everybody.
    fn attempt<T>(&self, step: impl FnOnce(&Self) -> Result<T, SessionError>) -> Result<T, SessionError> {
        step(self).map_err(|error| {
            self.breaker.abort_all(Code::from(&error).reason(format!("the client gave up: {error}")));
            error
        })
    }

    fn tell(&self, request: &Request) -> Result<(), SessionError> {
        self.links.iter().try_for_each(|link| send(link, request))
    }

    /// Shares the inputs of a batch: each party's parts, and what keeps them together.
    fn share(&self, inputs: &[Vec<i64>]) -> Result<(Vec<Vec<Vec<u8>>>, Vec<Told>), SessionError> {
        let mut shared = self.nothing();
        for input in inputs {
            add(&mut shared, self.owner.share_value(words(input))?);
        }
        let told = commit(self.protocol, &shared)?;
        Ok((shared, told))
    }

    /// Each party's parts of nothing yet.
    fn nothing(&self) -> Vec<Vec<Vec<u8>>> {
        vec![Vec::new(); self.links.len()]
    }

    /// Gives each party its parts, behind a request with what keeps them together.
    fn hand_out(
        &self,
        shared: Vec<Vec<Vec<u8>>>,
        told: Vec<Told>,
        request: impl Fn(Told) -> Request,
    ) -> Result<(), SessionError> {
        for (link, (told, parts)) in self.links.iter().zip(told.into_iter().zip(shared)) {
            send(link, &request(told))?;
            parts.into_iter().try_for_each(|part| link.send(part))?;
        }
        Ok(())
    }

    fn await_all(&self, what: &str, due: impl Fn(&Reply) -> bool) -> Result<(), SessionError> {
        self.links.iter().try_for_each(|link| {
            if due(&receive(link)?) { Ok(()) } else { Err(unexpected(link, format!("not that it {what}"))) }
        })
    }

    /// Waits until all parties agree on the manifest; how many batches all of them take at once.
    fn await_ready(&self) -> Result<usize, SessionError> {
        let mut most = usize::MAX;
        for link in &self.links {
            most = most.min(match receive(link)? {
                Reply::Ready if self.edition < Edition::Eight => 1,
                Reply::ReadyFor { runs } if runs > 0 && self.edition >= Edition::Eight => {
                    usize::try_from(runs).unwrap_or(usize::MAX)
                }
                _ => return Err(unexpected(link, "not that it agrees on the manifest")),
            });
        }
        Ok(most)
    }

    fn outputs_of(
        &self,
        link: &Link,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(Vec<Vec<u8>>, BatchRecord, Option<Statement>), SessionError> {
        loop {
            match receive(link)? {
                Reply::Progress { step } => progress(step as usize),
                Reply::Outputs { parts, record, statement } => {
                    if parts.len() != self.program.opened().count() {
                        return Err(unexpected(link, format!("{} outputs", parts.len())));
                    }
                    if record.sent.len() != self.protocol.facts().parties {
                        return Err(unexpected(
                            link,
                            format!("what it sent to {} parties", record.sent.len()),
                        ));
                    }
                    let parts = parts.into_iter().map(ByteBuf::into_vec).collect();
                    return Ok((parts, record, statement.map(|statement| *statement)));
                }
                _ => return Err(unexpected(link, "its outputs were due")),
            }
        }
    }

    fn profile_of(&self, link: &Link) -> Result<Profile, SessionError> {
        match receive(link)? {
            Reply::Profile(profile) if profile.fits(self.program.steps.len(), self.links.len()) => {
                Ok(profile)
            }
            Reply::Profile(_) => Err(unexpected(link, "a time line of something else")),
            _ => Err(unexpected(link, "its time line was due")),
        }
    }

    /// The outputs of so many runs; none of one whose guard says that there are none.
    fn open(&self, runs: usize, parts: &[Vec<Vec<u8>>]) -> Result<Vec<Outputs>, SessionError> {
        let mut opened = vec![Vec::new(); runs];
        for (i, id) in self.program.opened().enumerate() {
            let len = self.program.values.get(id.0).map(|v| elements(&v.shape)).unwrap_or_default();
            // A dealer who is not there has nothing to say.
            let of_output: Vec<&[u8]> = (0..self.protocol.facts().parties)
                .map(|party| {
                    parts.get(party).and_then(|party| party.get(i)).map(Vec::as_slice).unwrap_or_default()
                })
                .collect();
            let all = self.owner.open(len.saturating_mul(runs), &of_output)?;
            let mut each = all.chunks(len.max(1));
            opened.iter_mut().for_each(|run| run.push(each.next().unwrap_or_default().to_vec()));
        }
        Ok(opened.into_iter().map(|run| outputs_of(self.program, run)).collect())
    }
}

/// The outputs, of all that was opened; none where the program's guard says that there are none.
pub(crate) fn outputs_of(program: &Program, mut opened: Vec<Vec<i64>>) -> Outputs {
    let within = match program.guard {
        Some(_) => opened.pop().is_some_and(|flag| flag.iter().all(|&outside| outside == 0)),
        None => true,
    };
    within.then_some(opened)
}

/// Whether all parties state the same of their links, and of the inputs that the client gave them.
fn agreed(statements: Vec<Option<Statement>>, told: [u8; 32]) -> Result<(), SessionError> {
    let statements: Option<Vec<Statement>> = statements.into_iter().collect();
    let Some(statements) = statements else {
        return Err(Discord::NoStatement.into());
    };
    consistent(&statements)?;
    let mut stated = statements.iter().flat_map(|statement| statement.inputs.iter().enumerate());
    match stated.find_map(|(party, stated)| (*stated != told).then_some(party)) {
        Some(party) => Err(Discord::Input(party).into()),
        None => Ok(()),
    }
}

/// What all parties are told alike.
fn commitments_of(told: &[Told]) -> Vec<[u8; 32]> {
    told.first().map(|told| told.commitments.clone()).unwrap_or_default()
}

/// Adds the parts of a tensor to those that each party gets.
fn add(shared: &mut [Vec<Vec<u8>>], parts: Vec<Vec<u8>>) {
    for (shared, part) in shared.iter_mut().zip(parts) {
        shared.push(part);
    }
}

/// Signed integers in two's complement.
/// Bits of the ring in which each weight is shared: those that its steps need, or those of the program, where a party reads
/// no other parts.
pub(crate) fn shared_in(program: &Checked, edition: Edition) -> Vec<u32> {
    match edition {
        Edition::Six | Edition::Seven | Edition::Eight | Edition::Nine => {
            vec![program.ring_bits; program.weights.len()]
        }
        Edition::Ten => program.weight_rings(),
    }
}

pub(crate) fn words(x: &[i64]) -> &[u64] {
    bytemuck::cast_slice(x)
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
