//! What parties do to have runs dealt ahead, and what evaluators do to take one.

use cryptflow_engine::{Silent, estimate, execute, execute_checked, input_bounds, input_check};
use cryptflow_mpc::keys::{Fresh, Scope};
use cryptflow_mpc::{Cost, Definition, Older, Party, Protocol};
use cryptflow_program::{Checked, digest};
use cryptflow_wire::{LinkOptions, Links};
use zeroize::Zeroizing;

use super::{Left, MOST_RUNS, Making, Portion, Stock, StockError, Taking, guard, number};
use crate::messages::{Obstacle, SessionError, elements};

/// Bytes that the files of a run take beside what is dealt, about.
const BESIDE: u64 = 1024;

/// What is to be dealt.
pub(crate) struct Order<'a> {
    pub(crate) program: &'a Checked,
    /// The number of the dealing.
    pub(crate) stock: [u8; 32],
    pub(crate) runs: u32,
    pub(crate) check_inputs: bool,
    /// Which release's form the runs have, if it is an older one's.
    pub(crate) older: Option<Older>,
}

impl Order<'_> {
    /// What a party is sent for one run.
    pub(crate) fn due<D: Definition>(&self, definition: &D, party: Party) -> Result<u64, SessionError> {
        let dealer = dealer::<D>()?;
        let costs = definition.costs(self.program.ring_bits);
        let check = if self.check_inputs { input_check(self.program, &costs)? } else { Cost::FREE };
        let all = estimate(self.program, &costs)?.total + check;
        Ok(all.bytes.between(dealer, party))
    }

    /// What an evaluator keeps of one run: what it is sent, the key, and what sealing adds.
    pub(crate) fn size<D: Definition>(&self, definition: &D, party: Party) -> Result<u64, SessionError> {
        Ok(self.due(definition, party)?.saturating_add(BESIDE))
    }

    /// Whether so many runs can be dealt.
    pub(crate) fn check(&self) -> Result<(), StockError> {
        if (1..=MOST_RUNS).contains(&self.runs) { Ok(()) } else { Err(StockError::Runs(self.runs)) }
    }

    fn scope(&self, run: u64) -> Result<Scope, SessionError> {
        let program = digest(self.program).map_err(Obstacle::from)?.0;
        Ok(Scope { session: number(&self.stock, run), program, ring_bits: self.program.ring_bits })
    }
}

/// The party that deals.
fn dealer<D: Definition>() -> Result<Party, SessionError> {
    let none = cryptflow_mpc::Error::ahead(D::FACTS.name);
    D::FACTS.dealer.filter(|_| D::FACTS.ahead).ok_or_else(|| none.into())
}

/// Deals all runs of an order, or keeps what is dealt: `making` is an evaluator's, and `weights` are this
/// party's parts. `dealt` is told each run that is done.
///
/// # Errors
/// A link or a disk fails, or the dealer sends what the program does not demand.
pub(crate) fn deal<D: Definition>(
    definition: &D,
    links: &Links,
    order: &Order<'_>,
    weights: Vec<Vec<u8>>,
    making: Option<&Making>,
    mut dealt: impl FnMut(u32) -> Result<(), SessionError>,
) -> Result<(), SessionError> {
    let (own, dealer) = (Party::new(links.index()), dealer::<D>()?);
    let evaluators: Vec<Party> = links.others().map(Party::new).collect();
    let mut raw = Some(weights);
    let mut weights = Vec::new();
    let _ahead = links.read_ahead();
    for run in 1..=order.runs {
        let scope = order.scope(run.into())?;
        if own == dealer {
            let keys = definition.agree_ahead(links, &evaluators, &scope)?;
            let mut protocol = definition.begin_ahead(links.clone(), &scope, keys)?;
            let parts = raw.take().unwrap_or_default();
            let named = order.program.weights.iter().zip(order.program.weight_rings());
            for ((weight, bits), part) in named.zip(parts) {
                weights.push(protocol.receive_weight(&weight.name, elements(&weight.shape), part, bits)?);
            }
            deal_run(&mut protocol, order, &weights)?;
        } else {
            let keys = definition.agree_ahead(links, &[dealer], &scope)?;
            let (Some(making), Some((_, key))) = (making, keys.first()) else {
                return Err(cryptflow_mpc::Error::ahead(D::FACTS.name).into());
            };
            let due = order.due(definition, own)?;
            making.run(run.into(), dealer, key, |keep| {
                let mut came = 0;
                while came < due {
                    let left = usize::try_from(due - came).unwrap_or(usize::MAX);
                    let message = links.to(dealer.index()).recv_any(left)?;
                    came += message.len() as u64;
                    if message.is_empty() {
                        return Err(StockError::Amount { dealer, dealt: came, due }.into());
                    }
                    keep(message)?;
                }
                Ok::<_, SessionError>(())
            })?;
        }
        dealt(run)?;
    }
    Ok(())
}

/// The dealer's side of a run.
fn deal_run<P: Protocol>(
    protocol: &mut P,
    order: &Order<'_>,
    weights: &[P::Weight],
) -> Result<(), SessionError> {
    let program = order.program;
    let bounds = input_bounds(program);
    let inputs = program.inputs.iter().zip(bounds);
    let inputs = inputs
        .map(|(input, (len, _))| protocol.receive_value(&input.name, len, Vec::new()))
        .collect::<Result<Vec<_>, _>>()?;
    if order.check_inputs {
        execute_checked(protocol, program, weights, inputs, &mut Silent)?;
    } else {
        execute(protocol, program, weights, inputs, &mut Silent)?;
    }
    Ok(())
}

/// Takes the next run that both evaluators have, and begins it: `scope` is the session's. Returns the run
/// and its links, of which the dealer's is the file.
///
/// # Errors
/// There is none left, the evaluators' stocks do not go together, or a link or the disk fails.
pub(crate) fn take<D: Definition>(
    definition: &D,
    links: &Links,
    stock: &Stock,
    scope: &Scope,
) -> Result<(D::Protocol, Links), SessionError> {
    let (own, dealer) = (Party::new(links.index()), dealer::<D>()?);
    let (taking, left) = agree(links, stock)?;
    let Portion { run, messages, secret } = match left.count() {
        0 => return Err(StockError::UsedUp(stock.folder.clone()).into()),
        _ => taking.take(left.next)?,
    };
    let number = number(stock.stock(), run);
    let name = format!("the file of what {dealer} dealt for run {run}");
    let guard = guard(&secret, number, own, dealer);
    let links = links.with_kept(&name, messages, guard, LinkOptions::default())?;
    let key = Zeroizing::new(links.to(dealer.index()).recv(Fresh::BYTES)?);
    let mut bytes = Zeroizing::new([0; Fresh::BYTES]);
    bytes.copy_from_slice(&key);
    // The evaluators' own key is of this run and of this session.
    let mut hasher = blake3::Hasher::new_derive_key("cryptflow session that takes a dealt run v1");
    hasher.update(&number).update(&scope.session);
    let scope = Scope { session: *hasher.finalize().as_bytes(), ..*scope };
    let keys = vec![(dealer, Fresh::from_bytes(bytes))];
    Ok((definition.begin_ahead(links.clone(), &scope, keys)?, links))
}

/// The evaluators tell each other what is left: the runs that all of them have. Until one is taken, other sessions
/// are kept out: at an evaluator once those before it have kept them out, so that no two sessions wait for each
/// other.
fn agree<'a>(links: &Links, stock: &'a Stock) -> Result<(Taking<'a>, Left), SessionError> {
    let said =
        |left: Left| [stock.stock().as_slice(), &left.next.to_le_bytes(), &left.last.to_le_bytes()].concat();
    let none = said(Left { next: 1, last: 0 }).len();
    let hear = |other| links.to(other).recv(none);
    let mut heard = Vec::new();
    for other in links.others().filter(|other| *other < links.index()) {
        heard.push((other, hear(other)?));
    }
    let taking = stock.taking()?;
    for other in links.others() {
        links.to(other).send(said(taking.left))?;
    }
    for other in links.others().filter(|other| *other > links.index()) {
        heard.push((other, hear(other)?));
    }
    let mut left = taking.left;
    for (other, theirs) in heard {
        let (of, rest) = theirs.split_at(stock.stock().len());
        let (words, _) = rest.as_chunks::<8>();
        let &[next, last] = words else { return Err(StockError::UsedUp(stock.folder.clone()).into()) };
        if of != stock.stock() {
            return Err(StockError::Apart { folder: stock.folder.clone(), other }.into());
        }
        left = left.both(Left { next: u64::from_le_bytes(next), last: u64::from_le_bytes(last) });
    }
    Ok((taking, left))
}
