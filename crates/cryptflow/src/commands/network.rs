//! The options that make a slower network out of this machine's.

use std::time::Duration;

use clap::Args;
use cryptflow::error::{Error, Result};
use cryptflow_wire::Network;

/// An emulated network between the parties.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "An emulated network between the parties (not to the client)")]
pub(crate) struct Emulated {
    /// Time of a message there and of its answer back, in milliseconds.
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    rtt: Option<f64>,
    /// Megabits (10^6) that each direction of each link carries in a second.
    #[arg(long, value_name = "MBIT", allow_negative_numbers = true)]
    bandwidth: Option<f64>,
}

impl Emulated {
    /// The network, if one was asked for.
    ///
    /// # Errors
    /// A number that is no time or no bandwidth.
    pub(crate) fn network(self) -> Result<Option<Network>> {
        let rtt = match self.rtt {
            None => Duration::ZERO,
            Some(ms) => Duration::try_from_secs_f64(ms / 1000.0)
                .map_err(|_| Error::new(format!("--rtt {ms}: give a number of milliseconds")))?,
        };
        let bandwidth_bits_per_s = match self.bandwidth {
            None => 0,
            Some(mbit) if mbit > 0.0 && (1.0..1e15).contains(&(mbit * 1e6)) => (mbit * 1e6) as u64,
            Some(mbit) => {
                return Err(Error::new(format!("--bandwidth {mbit}: give a number of Mbit/s")));
            }
        };
        let network = Network { rtt, bandwidth_bits_per_s };
        Ok((self.rtt.is_some() || self.bandwidth.is_some()).then_some(network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_checked() {
        let network = |rtt, bandwidth| Emulated { rtt, bandwidth }.network();
        assert_eq!(network(None, None).unwrap(), None);
        let wan = Network { rtt: Duration::from_millis(40), bandwidth_bits_per_s: 352_000_000 };
        assert_eq!(network(Some(40.0), Some(352.0)).unwrap(), Some(wan));
        let slow = Network { rtt: Duration::from_micros(500), bandwidth_bits_per_s: 0 };
        assert_eq!(network(Some(0.5), None).unwrap(), Some(slow));
        for (rtt, bandwidth) in [(-1.0, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (1.0, -5.0), (1.0, f64::INFINITY)]
        {
            assert!(network(Some(rtt), Some(bandwidth)).is_err(), "{rtt} {bandwidth}");
        }
    }
}
