//! How long a run will take, and what it will hold: from the formulas of costs and a calibration of this machine.
//!
//! A step takes what its work takes at the calibration's rates, or, where that is more, the time in which its bytes pass
//! the link that carries most of them; then half a round trip for each of its rounds. What a dealer sends goes ahead,
//! and a step waits until the network has brought it. Around the steps there is what a run takes beside them, and the
//! round in which the parties find that the inputs go together.

mod network;
mod work;

use cryptflow_bench::calibration::OfProtocol;
use cryptflow_engine::{estimate, is_worth_threads};
use cryptflow_mpc::{Cost, Party};
use cryptflow_party::commitments;
use cryptflow_program::{Checked, PROCESS, demand};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::Network;
use serde::Serialize;

use crate::error::{Error, Result};

pub use network::{LARGE, Measured, SMALL, SMALLEST, calibrating};
pub use work::work;

/// Where the parties are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Machines {
    /// All on this machine.
    One,
    /// Each on a machine like this one, which does nothing else.
    Each,
}

/// What one run will take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Seconds from the inputs' shares to the outputs.
    pub seconds: f64,
    /// Seconds of these that the steps' work takes, were the network as fast as this machine's own.
    pub computing: f64,
    /// Bytes between the parties.
    pub bytes: u64,
    /// Rounds.
    pub rounds: u64,
    /// The most that a party's process will hold.
    pub memory: u64,
    /// Where the parties are.
    pub machines: Machines,
}

/// What one run of a program will take.
///
/// # Errors
/// A step that the protocol has no cost for.
pub fn forecast(
    program: &Checked,
    protocol: ProtocolName,
    calibration: &OfProtocol,
    network: Option<Network>,
    machines: Machines,
) -> Result<Forecast> {
    let costs = protocol.costs(program.ring_bits, program.bits_per_round);
    let estimate = estimate(program, costs.as_ref()).map_err(Error::new)?;
    let agreement = commitments::cost(protocol.facts().parties);
    let pace = if is_worth_threads(program) { &calibration.several } else { &calibration.one };
    let slowed = match machines {
        Machines::One => 1.0,
        Machines::Each => pace.alone,
    };
    let line = Line { network, dealer: protocol.facts().dealer };
    let (mut now, mut computing, mut dealt) = (0.0, 0.0, 0.0);
    for (index, cost) in estimate.steps.iter().enumerate() {
        let works = pace.rates.seconds(&work(program, index, cost)) * slowed;
        let of_dealer = line.of_dealer(cost);
        if of_dealer > 0.0 {
            dealt += of_dealer;
            now = f64::max(now, dealt + line.there());
        }
        now += works.max(line.of_others(cost)) + cost.rounds as f64 * line.there();
        computing += works;
    }
    let beside = pace.run + agreement.rounds as f64 * line.there();
    let most = demand(program).memory.saturating_sub(PROCESS) as f64;
    Ok(Forecast {
        seconds: now + beside,
        computing: computing + pace.run,
        bytes: estimate.total.total(),
        rounds: estimate.total.rounds,
        memory: (calibration.process + most * calibration.held) as u64,
        machines,
    })
}

/// The links between the parties.
struct Line {
    network: Option<Network>,
    dealer: Option<Party>,
}

impl Line {
    /// Seconds of a message there.
    fn there(&self) -> f64 {
        self.network.map_or(0.0, |network| network.rtt.as_secs_f64() / 2.0)
    }

    /// Seconds for which a step occupies the link that carries most of it, but for the dealer's.
    fn of_others(&self, cost: &Cost) -> f64 {
        self.longest(cost, |party| Some(party) != self.dealer)
    }

    fn of_dealer(&self, cost: &Cost) -> f64 {
        self.longest(cost, |party| Some(party) == self.dealer)
    }

    fn longest(&self, cost: &Cost, sends: impl Fn(Party) -> bool) -> f64 {
        let senders = Party::all(cost.bytes.parties()).filter(|&party| sends(party));
        let most = senders.flat_map(|party| cost.bytes.sent(party)).max().copied().unwrap_or(0);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.network.map_or(0.0, |network| network.serialisation(most).as_secs_f64())
    }
}
