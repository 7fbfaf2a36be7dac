//! A party's side of a session: takes its parts, runs the program with the other parties, and hands
//! its parts of the outputs to the client.

use std::time::{Duration, Instant};

use cryptflow_engine::{
    EngineError, Observer, StepRecord, devote_process, execute, execute_checked, truncations, worth_threads,
};
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{Definition, Party, Protocol};
use cryptflow_program::{Checked, Input, Program, Step, digest, validate};
use cryptflow_protocols::{ProtocolName, Visitor};
use cryptflow_ring::Words;
use cryptflow_wire::{Breaker, Link, Links};
use serde_bytes::ByteBuf;

use crate::ahead::{Ahead, Supply, Weighed};
use crate::at_once::Runs;
use crate::attested::Accord;
use crate::commitments::{self, Told, Unfit, What};
use crate::deployment::CHANGED;
use crate::difference::Difference;
use crate::edition::{Edition, spoken};
use crate::limits::{Limits, fits_this_machine};
use crate::messages::{
    BatchRecord, Manifest, Obstacle, Reply, Request, SessionError, elements, part_limit, receive,
    receive_short, send, unexpected,
};
use crate::mode::Mode;
use crate::profile::{Profile, Profiler};
use crate::stock::{Order, StockError, WEIGHTS, take};
use crate::store::read_part;
use crate::watch::{Phase, Reporter};

/// Elements of a batch's inputs that may take a while to come.
const LONG: usize = 1 << 15;

/// Two messages of progress are at least so far apart.
const PROGRESS: Duration = Duration::from_millis(40);

/// What a session runs.
pub struct Job {
    /// The program.
    pub program: Checked,
    /// How many runs of it are computed at once, at most.
    pub at_once: usize,
    /// The protocol.
    pub protocol: ProtocolName,
    /// The session's number.
    pub session: [u8; 32],
    /// The messages that its client and the parties speak.
    pub edition: Edition,
    /// What this party has of the weights, where they were deployed before; the client brings them
    /// otherwise.
    pub weights: Option<Weights>,
    /// Whether inputs that are not within their bounds are refused, before each run.
    pub check_inputs: bool,
    /// What the parties keep agreeing on, where they attest what they run.
    pub accord: Option<Accord>,
    /// Who is told how far the session is.
    pub reporter: Reporter,
    /// Where what the dealer sends comes from.
    pub supply: Supply,
}

/// A party's parts of a program's weights, by id.
pub enum Weights {
    /// As their owner has made them.
    Parts(Vec<Vec<u8>>),
    /// What the protocol makes of them ([`Definition::prepare_weight`]), in memory that sessions have in common.
    Prepared(Vec<Words>),
}

/// Serves one client's session, with a program and weights that the client brings, to its end. When
/// anything fails, everybody is told why.
///
/// # Errors
/// Whatever ended the session before its time.
pub fn serve(links: Links, client: Link) -> Result<(), SessionError> {
    serve_supplied(links, client, Ok(Supply::Live))
}

/// The same, with what the dealer sends from elsewhere, or for elsewhere. Where there is no `supply`, everybody
/// is told why.
///
/// # Errors
/// As [`serve`].
pub fn serve_supplied(
    links: Links,
    client: Link,
    supply: Result<Supply, StockError>,
) -> Result<(), SessionError> {
    serve_after(links, client, |_| (), supply)
}

/// The same, in a process that does nothing else.
///
/// # Errors
/// As [`serve`].
pub fn serve_alone(
    links: Links,
    client: Link,
    supply: Result<Supply, StockError>,
) -> Result<(), SessionError> {
    serve_after(links, client, devote_process, supply)
}

fn serve_after(
    links: Links,
    client: Link,
    prepare: impl FnOnce(&Program),
    supply: Result<Supply, StockError>,
) -> Result<(), SessionError> {
    let breaker = links.breaker();
    breaker.tie(&client);
    let job = supply.map_err(SessionError::from).and_then(|supply| set_up(&links, &client, supply));
    let job = tell_everybody(&breaker, job)?;
    prepare(&job.program);
    converse(links, &client, job)
}

/// Serves a session that the parties have agreed on, to its end. When anything fails, everybody is
/// told why.
///
/// # Errors
/// Whatever ended the session before its time.
pub fn converse(links: Links, client: &Link, job: Job) -> Result<(), SessionError> {
    let breaker = links.breaker();
    breaker.tie(client);
    if worth_threads(&job.program) == 1 {
        // It waits for messages more than it computes.
        breaker.read_by_users();
    }
    // A handle that outlives the run: links that close with it would say good-bye, and not why.
    let open = links.clone();
    tell_everybody(&breaker, job.protocol.visit(Session { links, client, job }))?;
    // Everybody has what was due. Whoever says more has not run this session.
    open.finish().and(client.finish())?;
    Ok(())
}

/// A session after its setup, in whichever protocol.
struct Session<'a> {
    links: Links,
    client: &'a Link,
    job: Job,
}

impl Visitor for Session<'_> {
    type Output = Result<(), SessionError>;

    fn visit<D: Definition>(self, protocol: D) -> Result<(), SessionError> {
        let Job { program, session, .. } = &self.job;
        let (session, ring_bits) = (*session, program.ring_bits);
        let protocol = protocol.for_network(program.bits_per_round);
        // What was dealt ahead is taken in the order in which it was dealt.
        let older = match &self.job.supply {
            Supply::Stock(stock) => stock.older(),
            Supply::Live | Supply::Ahead { .. } => self.job.edition.older(),
        };
        let protocol = older.into_iter().fold(protocol, D::with_older);
        let program = digest(program).map_err(Obstacle::from)?.0;
        let scope = Scope { session, program, ring_bits };
        run(&protocol, self.links, self.client, self.job, &scope)
    }
}

/// Breaks the links after an error, while they are still open: whoever drops them first says
/// good-bye instead of why. If it was the links that broke, everybody has been told already.
fn tell_everybody<T>(breaker: &Breaker, result: Result<T, SessionError>) -> Result<T, SessionError> {
    if let Err(error) = &result {
        breaker.abort_all(error);
    }
    result
}

fn set_up(links: &Links, client: &Link, supply: Supply) -> Result<Job, SessionError> {
    let Request::Setup { manifest, program } = receive(client)? else {
        return Err(unexpected(client, "a session begins with its setup"));
    };
    let edition = same_version(&manifest)?;
    let program: Program = serde_json::from_str(&program).map_err(|e| unexpected(client, e))?;
    let program = validate(program).map_err(Obstacle::from)?;
    check(&manifest, &program)?;
    // The client is whoever started this party.
    fits_this_machine(&program).map_err(Obstacle::from)?;
    // Its parties were started for what they do, by the client.
    agree(links, &manifest, Mode::Live)?;
    let Manifest { protocol, session, check_inputs, .. } = manifest;
    let weights = match &supply {
        Supply::Stock(stock) => {
            let part = read_part(&stock.path(WEIGHTS), links.index())?;
            part.check(links.index(), &program, CHANGED)?;
            let deployment = part.deployment.digest();
            let dealt_for = digest(&*part.deployment.parse()?).map_err(Obstacle::from)?.0;
            if manifest.deployment != Some(deployment) || manifest.program != dealt_for {
                return Err(stock.different("program, or other weights").into());
            }
            stock.serves(protocol, &deployment, check_inputs)?;
            Some(Weights::Parts(part.weights))
        }
        Supply::Live | Supply::Ahead { .. } => None,
    };
    let at_once = match &supply {
        Supply::Live => Limits::at_once_here(&program).runs,
        // What a stock has was dealt for one run at a time.
        Supply::Ahead { .. } | Supply::Stock(_) => 1,
    };
    Ok(Job {
        at_once,
        program,
        protocol,
        session,
        edition,
        weights,
        check_inputs,
        accord: None,
        reporter: Reporter::silent(),
        supply,
    })
}

fn same_version(manifest: &Manifest) -> Result<Edition, SessionError> {
    Ok(spoken(manifest.version, Edition::NEWEST).map_err(Obstacle::from)?)
}

/// Whether the manifest speaks of this program; the messages in which its session speaks.
///
/// # Errors
/// In which point it does not, or why the protocol cannot run the program.
pub fn check(manifest: &Manifest, program: &Checked) -> Result<Edition, SessionError> {
    let edition = same_version(manifest)?;
    supported(manifest.protocol, program)?;
    let own = digest(program).map_err(Obstacle::from)?;
    if own.0 != manifest.program {
        return Err(Obstacle::from(Difference::Program).into());
    }
    if program.ring_bits != manifest.ring_bits {
        let difference = Difference::Ring { manifest: manifest.ring_bits, program: program.ring_bits };
        return Err(Obstacle::from(difference).into());
    }
    Ok(edition)
}

/// Whether a protocol computes every step of a program as it should.
///
/// # Errors
/// Why it does not.
pub fn supported(protocol: ProtocolName, program: &Program) -> Result<(), SessionError> {
    Ok(protocol.supports(&truncations(program)).map_err(Obstacle::from)?)
}

/// The parties run nothing before they have seen that they were asked for the same.
///
/// # Errors
/// Two parties were not.
pub fn agree(links: &Links, manifest: &Manifest, mode: Mode) -> Result<(), SessionError> {
    let own = mode.digest(manifest);
    for j in links.others() {
        links.to(j).send(own.to_vec())?;
    }
    for j in links.others() {
        if links.to(j).recv(own.len())? != own {
            let difference = Difference::Manifest { party: links.index(), peer: links.to(j).peer().into() };
            return Err(Obstacle::from(difference).into());
        }
    }
    Ok(())
}

/// The session after its setup. Nothing is made of an owner's parts before all parties have found
/// that they go together. The protocol's own session, and with it all of its randomness, begins then,
/// with the first batch.
fn run<D: Definition>(
    definition: &D,
    links: Links,
    client: &Link,
    job: Job,
    scope: &Scope,
) -> Result<(), SessionError> {
    let Job {
        program,
        at_once,
        protocol: name,
        edition,
        weights: mut raw_weights,
        check_inputs,
        mut accord,
        mut reporter,
        mut supply,
        ..
    } = job;
    let (one, most) = (&program, at_once);
    let mut runs = Runs::of(one, most);
    let deployed = raw_weights.is_some();
    let mut running: Option<D::Protocol> = None;
    let mut weights: Option<Vec<WeightOf<D>>> = None;
    // What the parties have yet to compare.
    let mut weights_told: Option<[u8; 32]> = None;
    // What the client has told of the weights that it brought.
    let mut brought: Option<Told> = None;
    let mut inputs: Option<(Vec<Vec<u8>>, [u8; 32])> = None;
    let owner = client.peer();
    let teller = (links.index() == Party::P0.index()).then_some(client);
    let (watch, mut profiled) = (links.watch(), false);
    let fit = |what, told: &Told, parts: &[Vec<u8>]| {
        let party = links.index();
        if commitments::check(name, party, told, parts) {
            return Ok(commitments::digest(what, &told.commitments));
        }
        Err(SessionError::from(Unfit::Part { owner: owner.into(), party, what }))
    };
    let ready = if edition < Edition::Eight {
        Reply::Ready
    } else {
        Reply::ReadyFor { runs: u32::try_from(most).unwrap_or(u32::MAX) }
    };
    send(client, &ready)?;
    loop {
        reporter.enter(Phase::Wait);
        // A batch to run.
        let (parts, digest) = match receive_short(client)? {
            Request::Weights { .. } if deployed || weights.is_some() => {
                return Err(unexpected(client, "this session has its weights"));
            }
            Request::Weights { told } => {
                let mut parts = Vec::with_capacity(one.weights.len());
                for weight in &one.weights {
                    parts.push(client.recv_any(part_limit(elements(&weight.shape)))?);
                }
                weights_told = Some(fit(What::Weights, &told, &parts)?);
                (raw_weights, brought) = (Some(Weights::Parts(parts)), Some(told));
                send(client, &Reply::WeightsHeld)?;
                continue;
            }
            Request::AtOnce { .. } if edition < Edition::Eight => {
                return Err(unexpected(client, not_spoken(edition)));
            }
            Request::AtOnce { .. } if inputs.is_some() => {
                return Err(unexpected(client, "it has given inputs for another number of batches"));
            }
            Request::AtOnce { runs: asked } => {
                runs.ask(asked).map_err(|reason| unexpected(client, reason))?;
                continue;
            }
            Request::Inputs { told } => {
                let program = runs.program();
                if program.inputs.iter().map(|input| input_len(program, input)).sum::<usize>() > LONG {
                    reporter.enter(Phase::Take);
                }
                let mut parts = Vec::with_capacity(program.inputs.len());
                for input in &program.inputs {
                    parts.push(client.recv_any(part_limit(input_len(program, input)))?);
                }
                let digest = commitments::at_once(fit(What::Inputs, &told, &parts)?, runs.count());
                inputs = Some((parts, digest));
                send(client, &Reply::InputsHeld)?;
                continue;
            }
            Request::Go => match inputs.take() {
                Some(inputs) => inputs,
                None => return Err(unexpected(client, "it starts a program without inputs")),
            },
            Request::Batch { .. } if edition < Edition::Seven => {
                return Err(unexpected(client, not_spoken(edition)));
            }
            Request::Batch { told, parts } => {
                if parts.len() != one.inputs.len() {
                    return Err(unexpected(client, format!("parts of {} inputs", parts.len())));
                }
                let parts: Vec<_> = parts.into_iter().map(ByteBuf::into_vec).collect();
                let digest = commitments::at_once(fit(What::Inputs, &told, &parts)?, runs.count());
                (parts, digest)
            }
            Request::Attest => match &accord {
                Some(accord) => {
                    accord.renew_for_client(client)?;
                    continue;
                }
                None => return Err(unexpected(client, "this session is not attested")),
            },
            Request::Profile if edition < Edition::Seven => {
                return Err(unexpected(client, not_spoken(edition)));
            }
            Request::Profile => {
                profiled = true;
                continue;
            }
            Request::Finish => {
                return send(client, &Reply::Finished { peak_rss: peak_rss() });
            }
            Request::Setup { .. } => return Err(unexpected(client, "the session has begun already")),
            Request::Deal { runs } => {
                let weighed = match (raw_weights.take(), brought.take(), weights_told.take()) {
                    (Some(Weights::Parts(parts)), None, None) if deployed => Weighed::Deployed(parts),
                    (Some(Weights::Parts(parts)), Some(told), Some(compared)) => {
                        commitments::compare(&links, owner, What::Weights, compared)?;
                        Weighed::Brought(told, parts)
                    }
                    // Those that are prepared are for runs.
                    (Some(_) | None, _, _) => {
                        return Err(unexpected(client, "runs are dealt ahead once the weights are there"));
                    }
                };
                reporter.enter(Phase::Run);
                let older = edition.older();
                let order = Order { program: one, stock: scope.session, runs, check_inputs, older };
                let job = Ahead { definition, name, links: &links, client, supply: &supply };
                job.deal(&order, weighed)?;
                continue;
            }
        };
        if let Supply::Ahead { .. } = supply {
            return Err(unexpected(client, "this session deals ahead, and runs nothing"));
        }
        reporter.run_begins(one.steps.len());
        if let Some(digest) = weights_told.take() {
            commitments::compare(&links, owner, What::Weights, digest)?;
        }
        let commitments = match &mut accord {
            Some(accord) => Some(accord.before_batch(&links, owner, digest)?),
            None => {
                commitments::compare(&links, owner, What::Inputs, digest)?;
                None
            }
        };
        let raw = raw_weights.take();
        if weights.is_none() && raw.is_none() {
            return Err(unexpected(client, "it starts a program without weights"));
        }
        // From here on the others may be ahead of this party.
        let _ahead = links.read_ahead();
        let (protocol, kept) = match (&mut supply, &mut running) {
            (Supply::Stock(stock), running) => {
                let (protocol, links) = take(definition, &links, stock, scope)?;
                (running.insert(protocol), Some(links))
            }
            (_, Some(protocol)) => (protocol, None),
            (_, running) => (running.insert(definition.begin(links.clone(), scope)?), None),
        };
        // The file is read ahead as a dealer is.
        let _kept_ahead = kept.as_ref().map(Links::read_ahead);
        let taken = raw.map(|raw| take_weights(protocol, one, raw)).transpose()?;
        let weights = match (&mut weights, taken) {
            (Some(weights), _) => weights,
            (weights, taken) => weights.insert(taken.unwrap_or_default()),
        };
        let profiler = profiled.then(|| Profiler::begin(&watch));
        // That a run has begun is no news to its client.
        let watcher = Watcher {
            client: teller,
            last: Instant::now(),
            runs: &runs,
            steps: vec![StepRecord::default(); one.steps.len()],
            reporter: &mut reporter,
            profiler,
        };
        let (parts, record, profile) = batch(protocol, weights, parts, client, check_inputs, watcher)?;
        if let Some(kept) = &kept {
            finished(kept, D::FACTS.dealer)?;
        }
        let statement = match (&accord, commitments) {
            (Some(accord), Some(commitments)) => {
                Some(Box::new(accord.after_batch(&links, commitments)?.statement))
            }
            _ => None,
        };
        let parts = parts.into_iter().map(ByteBuf::from).collect();
        send(client, &Reply::Outputs { parts, record, statement })?;
        if let Some(profile) = profile {
            send(client, &Reply::Profile(profile))?;
        }
    }
}

fn not_spoken(edition: Edition) -> String {
    format!("this session speaks version {edition} of the messages")
}

/// A party's part of a weight.
type WeightOf<D> = <<D as Definition>::Protocol as Protocol>::Weight;

/// Whether a run has used up all that was dealt for it.
fn finished(kept: &Links, dealer: Option<Party>) -> Result<(), SessionError> {
    match dealer {
        Some(dealer) => Ok(kept.to(dealer.index()).finish()?),
        None => Ok(()),
    }
}

fn input_len(program: &Program, input: &Input) -> usize {
    elements(program.values.get(input.value.0).map(|v| v.shape.as_slice()).unwrap_or_default())
}

fn take_weights<P: Protocol>(
    protocol: &mut P,
    program: &Checked,
    raw: Weights,
) -> Result<Vec<P::Weight>, SessionError> {
    match raw {
        Weights::Parts(parts) => {
            let named = program.weights.iter().zip(program.weight_rings());
            named
                .zip(parts)
                .map(|((weight, bits), part)| {
                    Ok(protocol.receive_weight(&weight.name, elements(&weight.shape), part, bits)?)
                })
                .collect()
        }
        Weights::Prepared(words) => words.into_iter().map(|words| Ok(protocol.take_weight(words)?)).collect(),
    }
}

fn take_inputs<P: Protocol>(
    protocol: &mut P,
    program: &Program,
    raw: Vec<Vec<u8>>,
) -> Result<Vec<P::Value>, SessionError> {
    let parts = program.inputs.iter().zip(raw);
    parts
        .map(|(input, part)| Ok(protocol.receive_value(&input.name, input_len(program, input), part)?))
        .collect()
}

fn batch<P: Protocol>(
    protocol: &mut P,
    weights: &[P::Weight],
    inputs: Vec<Vec<u8>>,
    client: &Link,
    check_inputs: bool,
    mut watcher: Watcher<'_>,
) -> Result<(Vec<Vec<u8>>, BatchRecord, Option<Profile>), SessionError> {
    let runs = watcher.runs;
    let (party, program) = (protocol.party(), runs.program());
    let (begun, before) = (Instant::now(), protocol.metered());
    let inputs = take_inputs(protocol, program, inputs)?;
    let (outputs, check) = if check_inputs {
        let checked = execute_checked(protocol, program, weights, inputs, &mut watcher);
        let (outputs, check) = checked.map_err(|error| match error {
            EngineError::Inputs(cryptflow_mpc::Error::Outside) => {
                SessionError::Outside { owner: client.peer().into() }
            }
            error => error.into(),
        })?;
        (outputs, Some(check))
    } else {
        (execute(protocol, program, weights, inputs, &mut watcher)?, None)
    };
    check.iter().for_each(|check| watcher.reporter.took(check));
    let Watcher { steps, reporter, profiler, .. } = watcher;
    let profile = profiler.map(Profiler::end);
    let parts = outputs.iter().map(|x| protocol.reveal(x)).collect::<Result<Vec<_>, _>>()?;
    let taken = protocol.metered().since(&before);
    let record = BatchRecord {
        seconds: begun.elapsed().as_secs_f64(),
        rounds: taken.rounds,
        sent: taken.bytes.sent(party).to_vec(),
        steps,
        check,
    };
    reporter.runs_end(runs.count(), &record);
    Ok((parts, record, profile))
}

/// Tells the client and the operator which step runs, not too often, and keeps the time line.
struct Watcher<'a> {
    client: Option<&'a Link>,
    last: Instant,
    runs: &'a Runs<'a>,
    /// By the step of one run.
    steps: Vec<StepRecord>,
    reporter: &'a mut Reporter,
    profiler: Option<Profiler<'a>>,
}

impl<Value> Observer<Value> for Watcher<'_> {
    fn started(&mut self, index: usize, step: &Step) {
        let index = self.runs.origin(index);
        self.reporter.step(index, &step.name);
        if let Some(profiler) = &mut self.profiler {
            profiler.resumed();
        }
        let Some(client) = self.client else { return };
        if self.last.elapsed() >= PROGRESS {
            self.last = Instant::now();
            // A client that is gone breaks the links: the program notices it there.
            let _ = send(client, &Reply::Progress { step: u32::try_from(index).unwrap_or(u32::MAX) });
        }
    }

    fn resumed(&mut self, _index: usize) {
        if let Some(profiler) = &mut self.profiler {
            profiler.resumed();
        }
    }

    fn paused(&mut self, index: usize) {
        if let Some(profiler) = &mut self.profiler {
            profiler.paused(index);
        }
    }

    fn finished(&mut self, index: usize, _step: &Step, record: &StepRecord) {
        if let Some(profiler) = &mut self.profiler {
            profiler.paused(index);
        }
        self.reporter.took(record);
        // Movements come between the steps of several runs: they belong to the step that they are for.
        if let Some(step) = self.steps.get_mut(self.runs.origin(index)) {
            step.add(record);
        }
    }
}

/// The most memory that this process ever held, in bytes; where the system tells (Linux).
pub fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
