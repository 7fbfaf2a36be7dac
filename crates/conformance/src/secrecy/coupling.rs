//! The coupling of two runs: whatever a party sees under one secret, it could see under another one.
//!
//! The party's keys, its parts of what is shared, and what is public stay the same, and its view must
//! stay the same byte for byte when the secrets become others. The key that it lacks makes up for the
//! difference: every word of it that hides something is *solved*, so that the message is what it was.
//! A word that hides nothing stays what it is.
//!
//! So a run on the first secret is recorded: what is hidden, under which word of the key
//! ([`Source::hid`]). Then runs on the second one are repeated, each with the words that follow from
//! the one before, until everything that is hidden shows what it showed (it takes as many runs as pads
//! depend on one another). At the end all messages to the party are compared, whatever they are made
//! of. What is found:
//! * a word that hides twice, or would have to be two things;
//! * a message, or a part of one, with no pad, or with one of too few bits, or of a key that the party
//!   holds: it does not become what it was;
//! * a message that the party should not get at all.
//!
//! As every pad is determined by the message and by what is hidden, the words of one run correspond
//! to those of the other one to one: if pads are uniform, the views are equally likely.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptflow_mpc::stream::{Hiding, Source};
use cryptflow_mpc::{Definition, Error, Party, Protocol};
use cryptflow_ring::Prf;
use cryptflow_wire::local::Recorded;

use super::network::Network;
use super::{PARTIES, Scenario, Sources, Subject, in_session, seeds};

/// Two streams of words that a tensor is masked with.
pub type Masks = [Vec<u64>; 2];

/// How tensors are shared with masks that are written down.
pub trait Sharing<P: Protocol>: Sync {
    /// A party's part of an input.
    fn value(&self, party: Party, ring_bits: u32, x: &[u64], masks: &Masks) -> P::Value;
    /// A party's part of a weight.
    fn weight(&self, party: Party, ring_bits: u32, w: &[u64], masks: &Masks) -> P::Weight;
    /// A word of a key, of a random one: where no word is drawn again, as what it stands for is unfit.
    fn fit(word: u64) -> u64 {
        word
    }

    /// Words that bring a message which is hidden jointly (it is of two parties, the holders of the key)
    /// nearer to what it was: the numbers of their stream and of themselves, and the words.
    fn solved(&self, _joint: &Joint<'_>) -> Vec<(u64, u64, u64)> {
        Vec::new()
    }

    /// The masks under which a party's part of `to` is what its part of `from` was.
    fn moved(&self, party: Party, ring_bits: u32, masks: &Masks, from: &[u64], to: &[u64]) -> Masks;
}

/// A message that words of several streams hide together.
pub struct Joint<'a> {
    /// One of the streams.
    pub domain: u64,
    /// The first of its words.
    pub first: u64,
    /// What the holders of the key sent in the run that is recorded.
    pub was: [&'a [u64]; 2],
    /// What they sent now.
    pub is: [&'a [u64]; 2],
    /// The words of a stream.
    pub words: &'a dyn Fn(u64, u64, usize) -> Vec<u64>,
}

/// A protocol, and how its tensors are shared.
pub struct Coupling<'a, D: Definition, S> {
    /// The protocol.
    pub subject: &'a Subject<D>,
    /// How tensors are shared.
    pub sharing: S,
}

/// How many runs may bring no progress.
const PATIENCE: usize = 6;
/// Bytes of a digest, by which two parties ask a third one whether they hold the same.
const DIGEST: usize = 32;

/// Where a message was hidden: the holder of the key, the stream, its first word.
type Place = (Party, u64, u64);
/// Words of a key that are written down: by stream and number.
type Words = HashMap<u64, BTreeMap<u64, u64>>;

/// What was hidden in a run.
#[derive(Default)]
struct Seen {
    /// What each place showed, in the run that is recorded.
    shown: HashMap<Place, Vec<u64>>,
    /// The same of what is hidden jointly.
    joint: HashMap<Place, Vec<u64>>,
    /// Words that must become others.
    solved: Vec<(u64, u64, u64)>,
    /// Places that a run has come by.
    met: usize,
    wrong: Option<String>,
}

/// A key that the party lacks.
struct Lacked {
    prf: Prf,
    fit: fn(u64) -> u64,
    holder: Party,
    words: Arc<Words>,
    seen: Arc<Mutex<Seen>>,
    /// What each place showed under the first secret; nothing in the run that is recorded.
    due: Option<Arc<HashMap<Place, Vec<u64>>>>,
}

impl Lacked {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Lacked {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        self.prf.fill_words(domain, first, out);
        out.iter_mut().for_each(|word| *word = (self.fit)(*word));
        if let Some(words) = self.words.get(&domain) {
            for (at, word) in words.range(first..first + out.len() as u64) {
                out[(at - first) as usize] = *word;
            }
        }
    }

    fn watches(&self) -> bool {
        true
    }

    fn hid(&self, hidden: &Hiding<'_>) {
        let place = (self.holder, hidden.domain, hidden.first);
        let mut seen = self.seen();
        if hidden.group.joint() {
            if seen.joint.insert(place, hidden.message.to_vec()).is_some() {
                seen.wrong = Some(format!("{}: stream {} hides twice", self.holder, hidden.domain));
            }
            return;
        }
        let Some(due) = &self.due else {
            if seen.shown.insert(place, hidden.message.to_vec()).is_some() {
                seen.wrong = Some(format!("{}: stream {} hides twice", self.holder, hidden.domain));
            }
            return;
        };
        seen.met += 1;
        let Some(due) = due.get(&place).filter(|due| due.len() == hidden.message.len()) else {
            seen.wrong = Some(format!("{}: stream {} hides something else", self.holder, hidden.domain));
            return;
        };
        for (i, ((due, is), pad)) in due.iter().zip(hidden.message).zip(hidden.pads).enumerate() {
            if due != is {
                let (plus, minus) = if hidden.subtracted { (is, due) } else { (due, is) };
                let moved = hidden.group.sum(*pad, hidden.group.difference(*plus, *minus));
                seen.solved.push((hidden.domain, hidden.first + i as u64, moved));
            }
        }
    }
}

/// A key that the party holds.
struct Held(Prf);

impl Source for Held {
    fn words(&self, domain: u64, first: u64, out: &mut [u64]) {
        self.0.fill_words(domain, first, out);
    }
}

/// What a party saw of a run.
#[derive(PartialEq)]
struct View {
    /// What it received of each party.
    messages: [Vec<Vec<u8>>; 3],
    /// P0's share of each output, if the party is P2, and the client, too.
    revealed: Vec<Vec<u8>>,
}

impl View {
    fn new(party: Party, messages: &[Recorded], revealed: &[Vec<Vec<u8>>; 3]) -> View {
        let of = |from: Party| {
            let sent = messages.iter().filter(|m| (m.from, m.to) == (from.index(), party.index()));
            sent.map(|m| m.payload.clone()).collect::<Vec<_>>()
        };
        let mut view = View { messages: PARTIES.map(of), revealed: Vec::new() };
        view.digests();
        if party == Party::P2 {
            view.revealed.clone_from(&revealed[0]);
        }
        view
    }

    /// Of two digests under a key that the party lacks it sees whether they are the same.
    fn digests(&mut self) {
        let digests = |messages: &[Vec<u8>]| -> Vec<Vec<u8>> {
            messages.iter().filter(|m| m.len() == DIGEST).cloned().collect()
        };
        let [a, b, c] = self.messages.each_ref().map(|messages| digests(messages));
        let others = [[&b, &c], [&a, &c], [&a, &b]];
        for (messages, others) in self.messages.iter_mut().zip(others) {
            for message in messages.iter_mut().filter(|m| m.len() == DIGEST) {
                *message = vec![u8::from(others.iter().any(|other| other.contains(message)))];
            }
        }
    }

    /// Where two views differ.
    fn same(&self, other: &View) -> Result<(), String> {
        for (from, (a, b)) in self.messages.iter().zip(&other.messages).enumerate() {
            if a.len() != b.len() {
                return Err(format!("it receives {} messages of P{from}, and {}", a.len(), b.len()));
            }
            if let Some(i) = (0..a.len()).find(|&i| a[i] != b[i]) {
                return Err(format!(
                    "message {i} of P{from}, of {} bytes, tells the secrets apart",
                    a[i].len()
                ));
            }
        }
        if self.revealed != other.revealed {
            return Err("an output's share tells the secrets apart".into());
        }
        Ok(())
    }
}

/// What a coupling was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coupled {
    /// Runs on the second secret.
    pub runs: usize,
    /// Messages, or parts of them, that were hidden.
    pub hidden: usize,
    /// Words of the key that became others, at first.
    pub moved: usize,
}

impl<D: Definition + Sync, S: Sharing<D::Protocol>> Coupling<'_, D, S> {
    /// Whether a party's view of the network on two secrets is the same.
    ///
    /// # Errors
    /// How it tells the secrets apart, or what a run says.
    pub fn check(&self, network: &Network, party: Party, secrets: [u64; 2]) -> Result<Coupled, String> {
        let tensors = secrets.map(|s| [network.inputs(s), network.weights(s)].concat());
        self.couple(network, party, tensors, &|protocol, inputs, weights| {
            Ok(network.reveal(protocol, inputs, weights)?.0)
        })
    }

    /// The same of inputs that are refused.
    ///
    /// # Errors
    /// As [`Coupling::check`].
    pub fn check_refused(
        &self,
        network: &Network,
        party: Party,
        secrets: [u64; 2],
    ) -> Result<Coupled, String> {
        let tensors = secrets.map(|s| [network.inputs_beyond(s), network.weights(s)].concat());
        self.couple(network, party, tensors, &|protocol, inputs, _| {
            let refused = network.refuse(protocol, inputs)?;
            Ok(vec![vec![u8::from(refused)]])
        })
    }

    fn couple(
        &self,
        network: &Network,
        party: Party,
        [from, to]: [Vec<Vec<u64>>; 2],
        play: &Play<'_, D>,
    ) -> Result<Coupled, String> {
        let masks = self.masks(network);
        let moved: Vec<Masks> = masks
            .iter()
            .zip(from.iter().zip(&to))
            .map(|(masks, (from, to))| self.sharing.moved(party, network.ring_bits, masks, from, to))
            .collect();
        let run = |tensors: &[Vec<u64>], masks: &[Masks], words, due| {
            self.run(network, party, tensors, masks, words, due, play)
        };
        let nothing = Arc::new(Words::new());
        let (first, recorded) = run(&from, &masks, Arc::clone(&nothing), None)?;
        let (due, joint) = (Arc::new(recorded.shown), recorded.joint);
        let hidden = due.len();
        overlaps(&due)?;
        let mut words = Words::new();
        let mut coupled = Coupled { hidden, ..Coupled::default() };
        let (mut best, mut idle) = (usize::MAX, 0);
        loop {
            let (view, seen) = run(&to, &moved, Arc::new(words.clone()), Some(Arc::clone(&due)))?;
            if seen.met != hidden {
                return Err(format!("{} messages are hidden, and {hidden}", seen.met));
            }
            let (mut solved, mut left) = (seen.solved, 0);
            self.solve(party, &joint, &seen.joint, &words, &mut |differ, words| {
                left += differ;
                solved.extend(words);
            })?;
            left += solved.len();
            coupled.runs += 1;
            if coupled.runs == 1 {
                coupled.moved = left;
            }
            if left == 0 {
                return first.same(&view).map(|()| coupled).map_err(|e| format!("{party}: {e}"));
            }
            (best, idle) = if left < best { (left, 0) } else { (best, idle + 1) };
            if idle > PATIENCE {
                let streams: BTreeSet<u64> = solved.iter().map(|solved| solved.0).collect();
                let some: Vec<u64> = streams.iter().copied().take(3).collect();
                return Err(format!(
                    "{party}: no other pads of the key that it lacks explain what it saw: {left} words, in \
                     {} streams such as {some:?}",
                    streams.len()
                ));
            }
            for (domain, at, word) in solved {
                words.entry(domain).or_default().insert(at, word);
            }
        }
    }

    /// Solves what is hidden jointly: tells how many words of a message differ, and what they should be
    /// under.
    fn solve(
        &self,
        party: Party,
        due: &HashMap<Place, Vec<u64>>,
        now: &HashMap<Place, Vec<u64>>,
        words: &Words,
        tell: &mut dyn FnMut(usize, Vec<(u64, u64, u64)>),
    ) -> Result<(), String> {
        let holders = [party.next(3), party.previous(3)];
        let key = Lacked {
            prf: Prf::new(seeds(3)[holders[0].index()]),
            fit: S::fit,
            holder: party,
            words: Arc::new(words.clone()),
            seen: Arc::default(),
            due: None,
        };
        let read = |domain, first, count| {
            let mut out = vec![0; count];
            key.words(domain, first, &mut out);
            out
        };
        for &(_, domain, first) in due.keys().filter(|place| place.0 == holders[0]) {
            let of = |all: &HashMap<Place, Vec<u64>>| -> Option<[Vec<u64>; 2]> {
                let [a, b] = holders.map(|holder| all.get(&(holder, domain, first)).cloned());
                Some([a?, b?])
            };
            let (Some(was), Some(is)) = (of(due), of(now)) else {
                return Err(format!("stream {domain} hides something else"));
            };
            let differ = |holder: usize| was[holder].iter().zip(&is[holder]).filter(|(a, b)| a != b).count();
            let differ = differ(0) + differ(1);
            if differ > 0 {
                let [was, is] = [&was, &is].map(|pair| pair.each_ref().map(Vec::as_slice));
                tell(differ, self.sharing.solved(&Joint { domain, first, was, is, words: &read }));
            }
        }
        Ok(())
    }

    /// A run: what the party saw, and what was hidden from it.
    #[allow(clippy::too_many_arguments)]
    fn run(
        &self,
        network: &Network,
        party: Party,
        tensors: &[Vec<u64>],
        masks: &[Masks],
        words: Arc<Words>,
        due: Option<Arc<HashMap<Place, Vec<u64>>>>,
        play: &Play<'_, D>,
    ) -> Result<(View, Seen), String> {
        // Of a key with the next party, at the party's index.
        let lacked = party.next(3);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let source = |holder: Party, key: Party| -> Arc<dyn Source> {
            let prf = Prf::new(seeds(3)[key.index()]);
            if key != lacked {
                return Arc::new(Held(prf));
            }
            let (words, seen) = (Arc::clone(&words), Arc::clone(&seen));
            Arc::new(Lacked { prf, fit: S::fit, holder, words, seen, due: due.clone() })
        };
        let sources: Sources = PARTIES.map(|p| [source(p, p), source(p, p.previous(3))]);
        let ring = network.ring_bits;
        let inputs = network.lengths().0.len();
        let (revealed, messages) = in_session(self.subject, ring, sources, |protocol, party| {
            let (x, w) = tensors.split_at(inputs);
            let (x_masks, w_masks) = masks.split_at(inputs);
            let values: Vec<_> =
                x.iter().zip(x_masks).map(|(x, masks)| self.sharing.value(party, ring, x, masks)).collect();
            let weights: Vec<_> =
                w.iter().zip(w_masks).map(|(w, masks)| self.sharing.weight(party, ring, w, masks)).collect();
            play(protocol, &values, &weights)
        })
        .map_err(|e| e.to_string())?;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = std::mem::take(&mut *seen);
        match seen.wrong {
            Some(wrong) => Err(format!("{party} could see that {wrong}")),
            None => Ok((View::new(party, &messages, &revealed), seen)),
        }
    }

    fn masks(&self, network: &Network) -> Vec<Masks> {
        let prf = Prf::new([8; 16]);
        let (inputs, weights) = network.lengths();
        let mask = |number: u64, len: usize| {
            let mut words = vec![0; len];
            prf.fill_words(number, 0, &mut words);
            words
        };
        let all = inputs.into_iter().chain(weights).enumerate();
        all.map(|(i, len)| [mask(2 * i as u64, len), mask(2 * i as u64 + 1, len)]).collect()
    }
}

/// What a party does.
type Play<'a, D> = dyn Fn(
        &mut <D as Definition>::Protocol,
        &[<<D as Definition>::Protocol as Protocol>::Value],
        &[<<D as Definition>::Protocol as Protocol>::Weight],
    ) -> Result<Vec<Vec<u8>>, Error>
    + Sync
    + 'a;

/// No word hides twice.
fn overlaps(shown: &HashMap<Place, Vec<u64>>) -> Result<(), String> {
    let mut ranges: Vec<(u64, u64, u64)> = shown
        .iter()
        .map(|((_, domain, first), words)| (*domain, *first, first + words.len() as u64))
        .collect();
    ranges.sort_unstable();
    match ranges.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].2 > pair[1].1) {
        Some(pair) => Err(format!("words of stream {} hide twice", pair[0].0)),
        None => Ok(()),
    }
}
